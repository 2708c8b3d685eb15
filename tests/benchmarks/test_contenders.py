"""Every contender does the same work."""

from pathlib import Path

import pytest
from sf_bench.contenders import CLEANRL, OURS, PEERS, SAMPLE_FACTORY, STABLE_BASELINES3, Peers, contenders_of
from sf_bench.workloads import CARTPOLE, PONG, WORKLOADS, words

from sf_core import parse_full_cfg, parse_sf_args
from sf_core.cfg.checks import check

each_workload = pytest.mark.parametrize("workload", WORKLOADS.values(), ids=lambda workload: workload.name)


@pytest.fixture
def peers(tmp_path):
    for name in PEERS.values():
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "bin" / "python").touch()
    return Peers(tmp_path)


@each_workload
def test_ours_and_sample_factory_get_the_same_flags(workload, peers):
    env = f"--env={workload.shared['env']}"
    shared = set(words(workload.shared)) - {env}
    for contender in contenders_of(workload, peers):
        if contender.framework in (OURS, SAMPLE_FACTORY):
            assert shared <= set(contender.command)
            assert contender.variant or env in contender.command


@each_workload
def test_where_collecting_and_training_take_turns_rounds_of_all_envs_fill_the_dataset(workload):
    dataset = workload.number("batch_size") * workload.minibatches_in_turns
    assert dataset % (workload.num_envs * workload.number("rollout")) == 0


@each_workload
def test_every_contender_has_every_mode_and_a_name_of_its_own(workload, peers):
    contenders = contenders_of(workload, peers)
    names = [contender.name for contender in contenders]
    assert len(set(names)) == len(names)
    assert {contender.framework for contender in contenders} == {OURS, *workload.peers}
    modes = {contender.mode for contender in contenders if contender.framework == OURS}
    assert modes == {"serial", "sync, 1 split", "sync, 2 splits", "async, 1 split", "async, 2 splits"}


def test_stable_baselines3_gets_the_same_numbers(peers):
    command = next(c.command for c in contenders_of(CARTPOLE, peers) if c.framework == STABLE_BASELINES3)
    assert {"--envs=40", "--rollout=32", "--batch=640", "--epochs=1"} <= set(command)


def test_cleanrl_gets_the_same_numbers(peers):
    commands = [c.command for c in contenders_of(PONG, peers) if c.framework == CLEANRL]
    for command in commands:
        assert {"--num-envs=8", "--num-steps=128", "--update-epochs=4", "--anneal-lr=False"} <= set(command)
        (minibatches,) = (int(word.partition("=")[2]) for word in command if word.startswith("--num-minibatches="))
        assert 8 * 128 / minibatches == PONG.number("batch_size")


def test_our_commands_are_understood(peers):
    for contender in contenders_of(CARTPOLE, peers):
        if contender.framework == OURS:
            argv = list(contender.command[contender.command.index("train") + 1 :])
            cfg = check(parse_full_cfg(parse_sf_args(argv)[0], argv))
            # gradient steps per sample: epochs * minibatches / (minibatches * batch size)
            assert (cfg.num_epochs, cfg.batch_size, cfg.num_workers * cfg.num_envs_per_worker) == (1, 640, 40)


def test_peers_that_are_not_installed_do_not_take_part(tmp_path):
    assert {contender.framework for contender in contenders_of(CARTPOLE, Peers(tmp_path))} == {OURS}


def test_the_peers_scripts_are_python_and_hide_no_package():
    folder = Path(__file__).resolve().parents[2] / "benchmarks" / "sf_bench" / "peers"
    scripts = [path for path in folder.glob("*.py") if path.stem != "__init__"]
    assert {path.stem.removeprefix("run_") for path in scripts} == set(PEERS)
    for path in scripts:
        compile(path.read_text("utf-8"), str(path), "exec")
        assert path.stem.startswith("run_")
