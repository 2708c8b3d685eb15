import pytest
import torch

from sf_core.learner.lamb import Lamb
from sf_core.learner.optimizer import (
    clip_gradients,
    guarded_step,
    make_optimizer,
    optimizer_tensors,
    restore_optimizer,
    set_learning_rate,
)
from sf_core.utils.errors import UsageError


def model(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2, bias=False))


def optimizer_of(net, name="adam", lr=0.01):
    return make_optimizer(net.parameters(), name=name, lr=lr, betas=(0.9, 0.999), eps=1e-6)


def set_gradients(net, seed):
    generator = torch.Generator().manual_seed(seed)
    for p in net.parameters():
        p.grad = torch.randn(p.shape, generator=generator)


def names_of(net):
    return {p: name for name, p in net.named_parameters()}


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_adam_follows_algorithm_1():
    net = model()
    expected = [p.detach().double() for p in net.parameters()]
    m = [torch.zeros_like(w) for w in expected]
    v = [torch.zeros_like(w) for w in expected]
    optimizer = optimizer_of(net)
    for t in (1, 2, 3):
        set_gradients(net, t)
        for i, p in enumerate(net.parameters()):
            g = p.grad.double()
            m[i], v[i] = 0.9 * m[i] + 0.1 * g, 0.999 * v[i] + 0.001 * g**2
            expected[i] -= 0.01 * (m[i] / (1 - 0.9**t)) / ((v[i] / (1 - 0.999**t)).sqrt() + 1e-6)
        guarded_step(optimizer, torch.tensor(True))
    for p, w in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(p.detach().double(), w, rtol=1e-5, atol=1e-6)


def test_lamb_follows_algorithm_2_with_its_bounds():
    net = model()
    with torch.no_grad():
        net[0].weight.mul_(100)  # norm above 10
        net[0].bias.zero_()  # norm 0: trust 1
    expected = [p.detach().double() for p in net.parameters()]
    m = [torch.zeros_like(w) for w in expected]
    v = [torch.zeros_like(w) for w in expected]
    optimizer = optimizer_of(net, "lamb")
    for t in (1, 2, 3):
        set_gradients(net, t)
        for i, p in enumerate(net.parameters()):
            g, w = p.grad.double(), expected[i]
            m[i], v[i] = 0.9 * m[i] + 0.1 * g, 0.999 * v[i] + 0.001 * g**2
            u = (m[i] / (1 - 0.9**t)) / ((v[i] / (1 - 0.999**t)).sqrt() + 1e-6) + 1e-4 * w
            norm, length = min(float(w.norm()), 10.0), float(u.norm())
            trust = 1.0 if norm == 0 or length == 0 else min(max(norm / length, 0.01), 100.0)
            expected[i] = w - 0.01 * trust * u
        guarded_step(optimizer, torch.tensor(True))
    for p, w in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(p.detach().double(), w, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["adam", "lamb"])
def test_a_skipped_step_changes_no_bit_of_weights_and_state(name):
    net = model()
    optimizer = optimizer_of(net, name)
    set_gradients(net, 1)
    guarded_step(optimizer, torch.tensor(True))
    before = weights(net), {k: x.clone() for k, x in optimizer_tensors(optimizer, names_of(net)).items()}
    set_gradients(net, 2)
    net[0].bias.grad[0] = float("nan")
    guarded_step(optimizer, torch.tensor(False))
    after = weights(net), optimizer_tensors(optimizer, names_of(net))
    assert torch.equal(before[0], after[0])
    assert set(before[1]) == set(after[1])
    assert all(torch.equal(x, after[1][k]) for k, x in before[1].items())
    set_gradients(net, 3)
    guarded_step(optimizer, torch.tensor(True))  # and the next one works again
    assert not torch.equal(before[0], weights(net))


@pytest.mark.parametrize("name", ["adam", "lamb"])
def test_a_step_skipped_before_the_first_real_one_leaves_no_trace(name):
    nets = model(), model()
    for net, skips_first in zip(nets, (True, False), strict=True):
        optimizer = optimizer_of(net, name)
        if skips_first:
            for p in net.parameters():
                p.grad = torch.full_like(p, float("nan"))
            guarded_step(optimizer, torch.tensor(False))
        set_gradients(net, 5)
        guarded_step(optimizer, torch.tensor(True))
    assert torch.equal(weights(nets[0]), weights(nets[1]))


@pytest.mark.parametrize("name", ["adam", "lamb"])
def test_state_restored_by_name_continues_bit_for_bit(name):
    net = model()
    optimizer = optimizer_of(net, name)
    set_gradients(net, 1)
    guarded_step(optimizer, torch.tensor(True))
    tensors = {k: x.clone() for k, x in optimizer_tensors(optimizer, names_of(net)).items()}
    assert set(tensors) == {
        f"{kind}.{p}" for kind in ("exp_avg", "exp_avg_sq", "step") for p in ("0.weight", "0.bias", "1.weight")
    }
    copy = model(seed=1)
    copy.load_state_dict(net.state_dict())
    restored = optimizer_of(copy, name, lr=0.5)
    restore_optimizer(restored, names_of(copy), tensors)
    assert restored.param_groups[0]["lr"] == 0.5  # the configuration's, not the checkpoint's
    set_learning_rate(restored, 0.01)
    for n, o in ((net, optimizer), (copy, restored)):
        set_gradients(n, 2)
        guarded_step(o, torch.tensor(True))
    assert torch.equal(weights(net), weights(copy))


@pytest.mark.parametrize("tensors", [{"exp_avg.2.weight": torch.zeros(1)}, {"exp_avg.0.bias": torch.zeros(5)}])
def test_state_of_another_model_is_refused(tensors):
    net = model()
    with pytest.raises(UsageError, match="does not fit this model"):
        restore_optimizer(optimizer_of(net), names_of(net), tensors)


@pytest.mark.parametrize("name", ["adam", "lamb"])
def test_restored_state_has_the_memory_order_of_its_parameter(name):
    def images():
        torch.manual_seed(0)
        return torch.nn.Conv2d(3, 4, 2).to(memory_format=torch.channels_last)

    def step(net, optimizer, seed):
        set_gradients(net, seed)
        net.weight.grad = net.weight.grad.contiguous(memory_format=torch.channels_last)  # as backward leaves it
        guarded_step(optimizer, torch.tensor(True))

    net, copy = images(), images()
    optimizer, restored = optimizer_of(net, name), optimizer_of(copy, name)
    step(net, optimizer, 1)
    copy.load_state_dict(net.state_dict())
    tensors = optimizer_tensors(optimizer, names_of(net))
    restore_optimizer(restored, names_of(copy), {key: x.contiguous().clone() for key, x in tensors.items()})  # as saved
    step(net, optimizer, 2)
    step(copy, restored, 2)
    assert torch.equal(net.weight, copy.weight)
    assert restored.state[copy.weight]["exp_avg"].stride() == copy.weight.stride()


def test_gradients_are_scaled_to_the_largest_norm_and_the_norm_before_is_returned():
    # 0.weight has 12 entries, 0.bias 4, 1.weight 8: 24 ones, norm sqrt(24)
    net = model()
    for limit, expected in ((0.0, 24**0.5), (100.0, 24**0.5), (2.0, 2.0)):
        for p in net.parameters():
            p.grad = torch.ones_like(p)
        assert clip_gradients(net.parameters(), limit).item() == pytest.approx(24**0.5)
        clipped = torch.cat([p.grad.flatten() for p in net.parameters()]).norm().item()
        assert clipped == pytest.approx(expected, rel=1e-4)


def test_unknown_optimizer_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="adam, lamb"):
        optimizer_of(model(), "sgd")


def test_lamb_takes_no_closure():
    with pytest.raises(NotImplementedError):
        Lamb(model().parameters()).step(lambda: 0.0)
