"""Files that came from elsewhere are data: whatever stands in them, nothing of it is executed.

Each file that a command reads is replaced by a pickle that would leave a trace, or names code that would. Commands
either do not need the file or refuse it in one sentence.
"""

import itertools
import json
import pickle
import sys

import pytest

from sf_core.cli.eval import main as sf_eval
from sf_core.cli.export import main as sf_export
from sf_core.cli.hub import main as sf_hub
from sf_core.model.policy import Policy
from sf_core.utils.errors import ComponentFailure, UsageError

CHECKPOINT = "checkpoint_p0/checkpoint_000000007_1000"
NEEDED = ["config.json", f"{CHECKPOINT}/checkpoint.json", f"{CHECKPOINT}/model.safetensors"]
OTHERS = ["plan.json", "result.json", "hub.json", "README.md", "replay.mp4", f"{CHECKPOINT}/optimizer.safetensors"]
DEEP = b'{"schema":1,"values":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.fixture
def trace(tmp_path):
    return tmp_path / "it_was_executed"


@pytest.fixture
def bomb(trace):
    class Bomb:
        def __reduce__(self):
            return exec, (f"open({str(trace)!r}, 'w').close()",)

    data = pickle.dumps(Bomb())
    pickle.loads(data)  # it works
    assert trace.exists()
    trace.unlink()
    return data


@pytest.fixture
def trap(tmp_path, trace, monkeypatch):
    """The name of a module that leaves the trace when it is imported, as would its `run`."""
    line = f"open({str(trace)!r}, 'w').close()\n"
    (tmp_path / "trap_of_a_stranger.py").write_text(f"{line}\ndef run(*args, **kwargs):\n    {line}")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return "trap_of_a_stranger"


def commands(run):
    where = [f"--train_dir={run.parent}", f"--experiment={run.name}"]
    yield lambda: Policy.load(run, device="cpu")
    yield lambda: sf_eval([*where, "--episodes=1", "--json"])
    yield lambda: sf_hub(["push", "me/x", *where, "--dry_run"])
    yield lambda: sf_export([*where, "--format=torch"])


def refusals(run, capsys, most=4):
    """How many of the first commands refused; any other failure fails the test."""
    refused = 0
    for command in itertools.islice(commands(run), most):
        try:
            code = command()
        except (UsageError, ComponentFailure):
            code = 2
        except SystemExit as end:
            code = end.code
        refused += code in (1, 2)
        assert "Traceback" not in capsys.readouterr().err
    return refused


def put(run, name, data):
    (run / name).parent.mkdir(parents=True, exist_ok=True)
    (run / name).write_bytes(data)


@pytest.mark.parametrize("names", [*([name] for name in NEEDED), OTHERS], ids=lambda names: names[0])
def test_a_pickle_in_place_of_any_file_executes_nothing(run_of, bomb, trace, capsys, names):
    run = run_of()
    for name in names:
        put(run, name, bomb)
    refused = refusals(run, capsys)
    if names == OTHERS:
        assert refused == 1  # the card needs plan.json
    else:
        assert refused >= 3
    assert not trace.exists()


@pytest.mark.parametrize("names", [*([name] for name in NEEDED), OTHERS], ids=lambda names: names[0])
def test_a_pickle_from_the_hub_executes_nothing(run_of, hub, bomb, trace, capsys, names):
    run = run_of()
    assert sf_hub(["push", "me/x", f"--train_dir={run.parent}", "--experiment=run"]) == 0
    hub.commit("me/x", {**hub.files("me/x"), **dict.fromkeys(names, bomb)})
    assert sf_hub(["pull", "me/x", f"--train_dir={run.parent}"]) == (0 if names == OTHERS else 1)
    assert (run.parent / "x").exists() == (names == OTHERS)
    assert not list(run.parent.glob(".pulling*"))
    assert "Traceback" not in capsys.readouterr().err
    assert not trace.exists()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("config.json", DEEP),
        ("config.json", b"\xff\xfe"),
        ("config.json", b'{"schema": 1}'),
        ("config.json", b'{"schema": 1, "values": [], "origins": 3, "requested": []}'),
        (NEEDED[1], b'{"schema": 1}'),
        (NEEDED[1], b"[]"),
        (NEEDED[1], b'{"schema": 1, "observation_space": {"type": "Box"}, "action_space": {}, "config": {}}'),
    ],
)
def test_malformed_json_is_refused_in_a_sentence(run_of, capsys, name, data):
    run = run_of()
    put(run, name, data)
    assert refusals(run, capsys) >= 2


def test_a_configuration_that_says_nothing_is_no_traceback(run_of, capsys):
    run = run_of()
    put(run, "config.json", b'{"schema": 1, "values": [], "origins": []}')
    assert refusals(run, capsys, most=3) == 1  # sf-eval, which needs an env; the card does without


@pytest.mark.parametrize("number", ["1e999", '"many"', "[7]"])
@pytest.mark.parametrize("name", ["policy_version", "env_steps"])
def test_a_checkpoint_that_does_not_say_how_old_it_is_is_refused_in_a_sentence(run_of, capsys, name, number):
    run = run_of()
    path = run / CHECKPOINT / "checkpoint.json"
    facts = json.loads(path.read_text())
    facts["sha256"] = {}
    path.write_text(json.dumps({**facts, name: "number"}).replace('"number"', number))
    assert refusals(run, capsys, most=2) == 2


def test_a_checkpoint_names_code_and_none_is_imported(run_of, trap, trace, capsys):
    run = run_of()
    path = run / CHECKPOINT / "checkpoint.json"
    facts = json.loads(path.read_text())
    for components in (dict.fromkeys(facts["components"], f"{trap}:run"), dict.fromkeys(facts["components"], trap)):
        facts["sha256"] = {}
        changed = {**facts["config"], "plugins": [trap, f"{trap}.py"], "env": f"py:{trap}:run", "config": f"{trap}.py"}
        path.write_text(json.dumps({**facts, "components": components, "config": changed}))
        assert refusals(run, capsys) >= 2
    path.write_text(json.dumps({**facts, "config": changed}))
    Policy.load(run, device="cpu")  # the components are the core's, the rest is not looked at
    assert not trace.exists()
    assert trap not in sys.modules


def test_a_configuration_names_code_and_none_is_imported(run_of, hub, trap, trace, capsys):
    run = run_of()
    saved = json.loads((run / "config.json").read_text())
    for number, values in enumerate(
        (
            {"env": f"py:{trap}:run"},
            {"env": f"{trap}:Maze-v0"},
            {"env": f"gym:{trap}:Maze-v0"},
            {"env": f"core/py:{trap}:run"},
            {"env": f"pettingzoo:{trap}/x-v0"},
            {"env": [f"py:{trap}:run"]},
            {"plugins": [trap, f"{trap}.py"], "config": f"{trap}.py", "preset": f"{trap}:run", "env": f"{trap}:X-v0"},
            {"encoder": f"{trap}:run"},
            {"encoder": f"{trap}/run"},
            {"env_wrappers": [f"{trap}:run"]},
            {"observers": [f"{trap}:run"]},
        )
    ):
        (run / "config.json").write_text(json.dumps({**saved, "values": {**saved["values"], **values}}))
        assert sf_hub(["push", "me/x", f"--train_dir={run.parent}", "--experiment=run"]) == 0
        assert sf_hub(["pull", "me/x", f"--train_dir={run.parent}", f"--experiment=x{number}"]) == 0
        assert refusals(run.parent / f"x{number}", capsys, most=2) == 1, values  # loading does not look at it
        assert not trace.exists(), values
        assert trap not in sys.modules, values
