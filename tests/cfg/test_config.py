import copy
import pickle

import pytest

from sf_core.cfg.config import Config
from sf_core.utils.errors import UsageError


@pytest.fixture
def cfg():
    return Config({"gamma": 0.9, "layers": [1, 2], "recurrence": -1}, {"gamma": "cli", "recurrence": "env"})


def test_values_read_as_attributes_and_as_items(cfg):
    assert cfg.gamma == cfg["gamma"] == 0.9
    assert cfg.get("absent", 3) == 3
    assert "gamma" in cfg
    with pytest.raises(AttributeError):
        _ = cfg.absent


@pytest.mark.parametrize(
    "change",
    [
        lambda c: setattr(c, "gamma", 1),
        lambda c: c.__setitem__("gamma", 1),
        lambda c: c.__delitem__("gamma"),
        lambda c: delattr(c, "gamma"),
        lambda c: c.update(gamma=1),
        lambda c: c.pop("gamma"),
        lambda c: c.setdefault("new", 1),
        lambda c: c.clear(),
        lambda c: c.__ior__({"gamma": 1}),
    ],
)
def test_nothing_can_be_assigned_and_the_refusal_says_what_to_do(cfg, change):
    with pytest.raises(TypeError, match=r"read-only; use cfg = cfg\.replace"):
        change(cfg)
    assert cfg.gamma == 0.9


def test_every_value_has_an_origin(cfg):
    assert cfg.origins == {"gamma": "cli", "layers": "default", "recurrence": "env"}
    assert cfg.origin("gamma") == "cli"


def test_replace_makes_a_copy_with_another_origin(cfg):
    changed = cfg.replace("script", gamma=0.5)
    assert (changed.gamma, changed.origin("gamma")) == (0.5, "script")
    assert (cfg.gamma, cfg.origin("gamma")) == (0.9, "cli")


def test_replace_refuses_names_and_origins_that_do_not_exist(cfg):
    with pytest.raises(UsageError, match="no option 'gama'; did you mean 'gamma'"):
        cfg.replace("script", gama=1)
    with pytest.raises(ValueError, match="origin='me'"):
        cfg.replace("me", gamma=1)


def test_a_derived_value_remembers_what_was_asked_for_first(cfg):
    twice = cfg.replace("auto", recurrence=8).replace("engine", recurrence=4)
    assert twice.recurrence == 4
    assert twice.requested == {"recurrence": (-1, "env")}
    assert twice.replace("script", recurrence=2).requested == {}


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, Config.copy, lambda c: pickle.loads(pickle.dumps(c))])
def test_copies_and_pickles_keep_values_and_origins(cfg, duplicate):
    derived = cfg.replace("auto", recurrence=8)
    other = duplicate(derived)
    assert type(other) is Config
    assert (dict(other), other.origins, other.requested) == (dict(derived), derived.origins, derived.requested)
