import pytest

from sf_core.cfg.arguments import default_cfg
from sf_core.cfg.checks import check, check_dataset_size
from sf_core.utils.errors import UsageError


def refused(sentence, **values):
    with pytest.raises(UsageError, match=sentence) as caught:
        default_cfg(**values)
    assert "\n" not in str(caught.value)


def test_batch_size_must_be_a_multiple_of_rollout():
    refused(r"batch_size=1000 is not a multiple of rollout=32; try 992 or 1024\.", batch_size=1000)
    refused(r"batch_size=10 is not a multiple of rollout=32; try 32\.", batch_size=10)


def test_recurrence_is_rollout_with_a_memory_and_one_without():
    assert default_cfg(rollout=8).recurrence == 8
    assert default_cfg(use_rnn=False).recurrence == 1
    assert default_cfg(recurrence=16).recurrence == 16


def test_recurrence_is_derived_anew_after_a_change():
    cfg = default_cfg(rollout=8)
    assert cfg.origin("recurrence") == "auto"
    assert check(cfg.replace("script", rollout=16)).recurrence == 16
    assert check(cfg.replace("script", use_rnn=False)).recurrence == 1
    assert check(check(cfg)) == cfg


def test_recurrence_must_divide_rollout():
    refused("recurrence=5 does not divide rollout=32; try 4 or 8", recurrence=5)
    refused("recurrence=64 does not divide rollout=32; try 32", recurrence=64)
    refused("--recurrence=0 is neither", recurrence=0)


def test_a_memory_with_recurrence_one_is_refused():
    refused("try --recurrence=32, or --use_rnn=False", recurrence=1)
    refused("try --rollout=32, or --use_rnn=False", rollout=1)
    assert default_cfg(recurrence=1, use_rnn=False).recurrence == 1


def test_vtrace_needs_whole_rollouts_and_unnormalised_returns():
    refused("add --normalize_returns=False", with_vtrace=True)
    refused("try --recurrence=32", with_vtrace=True, normalize_returns=False, recurrence=8)
    refused("more than one step", with_vtrace=True, normalize_returns=False, rollout=1, use_rnn=False)
    assert default_cfg(with_vtrace=True, normalize_returns=False, use_rnn=False).recurrence == 32


@pytest.mark.parametrize(
    ("values", "use_rnn", "rnn_type"),
    [
        ({"core": "lstm"}, True, "lstm"),
        ({"core": "core/gru"}, True, "gru"),
        ({"core": "none"}, False, "gru"),
        ({"core": "auto", "use_rnn": False}, False, "gru"),
    ],
)
def test_an_explicit_core_sets_the_flags_of_sample_factory(values, use_rnn, rnn_type):
    cfg = default_cfg(**values)
    assert (cfg.use_rnn, cfg.rnn_type) == (use_rnn, rnn_type)
    assert cfg.recurrence == (32 if use_rnn else 1)


def test_contradictions_on_one_command_line_are_refused(cfg_of):
    env = "--env=CartPole-v1"
    for first, second in (
        ("--core=lstm", "--use_rnn=False"),
        ("--core=none", "--use_rnn=True"),
        ("--core=gru", "--rnn_type=lstm"),
        ("--encoder=convnet_atari", "--encoder_conv_architecture=resnet_impala"),
        ("--encoder=mlp", "--encoder_conv_architecture=resnet_impala"),
        ("--actor_critic=shared", "--actor_critic_share_weights=False"),
    ):
        with pytest.raises(UsageError, match=rf"{first} and {second} contradict each other; leave one of them out"):
            cfg_of(env, first, second)


def test_the_stronger_source_wins_between_a_component_and_its_flags():
    cfg = default_cfg(core="lstm", encoder="convnet_atari", actor_critic="separate")
    cfg = check(
        cfg.replace("cli", use_rnn=False, encoder_conv_architecture="resnet_impala", actor_critic_share_weights=True)
    )
    assert (cfg.core, cfg.use_rnn, cfg.recurrence) == ("auto", False, 1)
    assert (cfg.encoder, cfg.encoder_conv_architecture) == ("auto", "resnet_impala")
    assert (cfg.actor_critic, cfg.actor_critic_share_weights) == ("auto", True)


def test_an_explicit_encoder_and_actor_critic_set_their_flags():
    cfg = default_cfg(encoder="convnet_atari", actor_critic="separate")
    assert cfg.encoder_conv_architecture == "convnet_atari"
    assert cfg.actor_critic_share_weights is False


@pytest.mark.parametrize(
    ("values", "flag"),
    [
        ({"num_policies": 2}, "--num_policies=2"),
        ({"with_pbt": True}, "--with_pbt=True"),
    ],
)
def test_what_is_not_there_is_refused_rather_than_ignored(values, flag):
    refused(f"{flag}.*not part of this version", **values)


@pytest.mark.parametrize("device", ["auto", "cpu", "gpu", "cuda", "cuda:3", "mps"])
def test_device_names(device):
    assert default_cfg(device=device).device == device


@pytest.mark.parametrize("device", ["cuda3", "tpu", "", "cuda:", "CPU"])
def test_other_device_names_are_refused(device):
    refused("none of auto, cpu, gpu, cuda, cuda:N and mps", device=device)


def test_envs_must_split_evenly_but_not_in_serial_mode():
    refused("try --num_envs_per_worker=2 or --num_envs_per_worker=4", num_envs_per_worker=3)
    # serial: 1 x 32 environments x rollout 32 = 1024 = batch_size
    assert (
        default_cfg(num_workers=1, num_envs_per_worker=32, worker_num_splits=5, serial_mode=True).worker_num_splits == 5
    )


def test_a_synchronous_dataset_is_a_multiple_of_one_round_of_rollouts():
    # 8 workers x 2 envs x rollout 128 = 2048; 3 * 512 = 1536 transitions in a dataset. 2048 itself is the least batch
    # whose triple is a multiple of 2048.
    values = {"rollout": 128, "batch_size": 512, "num_batches_per_epoch": 3, "num_workers": 8, "num_envs_per_worker": 2}
    refused(r"= 1536 is not a multiple of .* = 2048; try batch_size=2048", async_rl=False, **values)
    assert default_cfg(async_rl=True, **values).batch_size == 512
    assert default_cfg(async_rl=False, **{**values, "num_batches_per_epoch": 4}).batch_size == 512
    assert default_cfg(async_rl=False, **{**values, "num_workers": "auto"}).num_workers == "auto"


def test_agents_count_in_a_synchronous_dataset():
    cfg = default_cfg(async_rl=False, num_workers=1, num_envs_per_worker=16, rollout=32, batch_size=1024)
    check_dataset_size(cfg, agents_per_env=2)  # 16 * 2 * 32 = 1024
    with pytest.raises(UsageError, match=r"x 3 agents x rollout=32 = 1536; try batch_size=1536"):
        check_dataset_size(cfg, agents_per_env=3)


def test_numbers_meant_for_an_asynchronous_run_are_not_refused_when_the_engine_runs_it_serially():
    cfg = default_cfg(num_workers=20, num_envs_per_worker=20).replace("engine", serial_mode=True)
    check(cfg)
    with pytest.raises(UsageError, match="is not a multiple of num_workers=20"):
        check(default_cfg(num_workers=20, num_envs_per_worker=20).replace("cli", serial_mode=True))


def test_bounds_of_the_adaptive_schedule_must_be_in_order():
    refused("exchange them", lr_adaptive_min=0.1)


def test_evaluation_leaves_out_what_only_matters_for_training():
    cfg = default_cfg().replace("saved", batch_size=1000, num_workers=3)
    assert check(cfg, evaluation=True).batch_size == 1000


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/abs/x", "a/../b", "a/", "a\\..\\b"])
def test_an_experiment_is_a_folder_below_train_dir(name):
    with pytest.raises(UsageError, match="not the name of a folder below train_dir"):
        default_cfg(experiment=name)


def test_a_batch_of_one_is_refused():
    with pytest.raises(UsageError, match="nothing to compare an advantage with"):
        default_cfg(batch_size=1, rollout=1, recurrence=1, use_rnn=False)
