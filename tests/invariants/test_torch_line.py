"""Who imports what, seen in fresh processes: the left of the torch line stays light, so workers start at once."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import sf_core

ROOT = Path(sf_core.__file__).parent
SIMULATORS = ("cv2", "ale_py", "vizdoom", "jax")
LIBRARIES = ("torch", "numpy", "gymnasium", "rich", "tensorboard", "safetensors", "PIL", "matplotlib", "wandb")
HEAVY = LIBRARIES + SIMULATORS

NUMPY_TOO = {
    "rollout": ("fields", "buffers", "slots", "shared_memory"),
    "sampler": ("rollout_worker", "env_group", "messages", "episode_stats", "mailbox", "decorrelation"),
    "runner": ("processes.rollout_process",),
}


def loaded_after(code, **variables):
    """Names of all modules in a new interpreter after `code`."""
    code = f"{code}\nimport json, sys\nprint(); print(json.dumps(sorted(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent), **variables}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return set(json.loads(result.stdout.splitlines()[-1]))


def modules_of(*rooms):
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
            yield name.removesuffix(".__init__")


def imports(names):
    return "\n".join(f"import {name}" for name in names)


def third_party(names):
    """Top-level modules of the machine that `names` hold, apart from sf_core."""
    known = set(sys.stdlib_module_names) | {"sf_core", "__main__"}
    bare = loaded_after("")  # what the interpreter itself brings: site, editable finders
    tops = {name.partition(".")[0] for name in names - bare}
    return {top for top in tops if top not in known and not top.startswith(("__editable__", "_distutils"))}


def test_the_package_itself_imports_nothing():
    before = loaded_after("")
    after = loaded_after("import sf_core")
    assert after - before == {"sf_core"}


@pytest.mark.parametrize("module", ["sf_core._entry", "sf_core.__main__"])
def test_what_every_child_imports_again_imports_nothing(module):
    assert loaded_after(f"import {module}") - loaded_after("") <= {"sf_core", module}


def test_utils_cfg_and_the_faces_of_the_commands_import_the_standard_library_alone():
    names = [*modules_of("utils"), "sf_core.train", "sf_core.enjoy", "sf_core.eval"]
    assert third_party(loaded_after(imports(names))) == set()


def test_plugins_import_the_standard_library_and_pluggy_in_two_places_only():
    names = list(modules_of("plugins"))
    # the two places, the plugin that uses the marker, and the generator of the documentation
    with_pluggy = {f"sf_core.plugins.{name}" for name in ("manager", "hookspecs", "builtin", "reference")}
    assert third_party(loaded_after(imports(name for name in names if name not in with_pluggy))) == set()
    assert third_party(loaded_after(imports(names))) == {"pluggy"}


def test_options_and_configuration_do_not_need_the_plugin_manager():
    assert third_party(loaded_after("import sf_core.cfg.options, sf_core.cfg.config, sf_core.cfg.saved")) == set()


def test_the_parser_needs_pluggy_and_nothing_heavier():
    assert third_party(loaded_after(imports(modules_of("cfg")))) <= {"pluggy"}


def test_what_a_worker_receives_is_resolved_without_pluggy_or_metadata():
    loaded = loaded_after("import sf_core.plugins.plan, sf_core.plugins.script, sf_core.plugins.observer")
    assert not loaded & {"pluggy", "importlib.metadata", "importlib_metadata", "argparse", "multiprocessing"}


def test_envs_import_numpy_and_gymnasium_besides():
    names = [name for name in modules_of("envs") if "tensor" not in name]
    loaded = loaded_after(imports(names))
    assert not loaded & {"torch", "pluggy", "importlib.metadata", "importlib_metadata", *SIMULATORS}


def test_buffers_and_rollout_workers_import_numpy_and_gymnasium_besides():
    names = [f"sf_core.{room}.{name}" for room, files in NUMPY_TOO.items() for name in files]
    loaded = loaded_after(imports(names))
    assert not loaded & {"torch", "pluggy", "importlib.metadata", "importlib_metadata", *SIMULATORS}


def test_the_runner_of_a_parallel_run_does_without_torch():
    assert "torch" not in loaded_after("import sf_core.runner.parallel")


def test_everything_can_be_imported_together():
    loaded = loaded_after(imports(name for name in modules_of(".") if name != "sf_core.__main__"))
    assert "torch" in loaded  # or this test would not see the modules that use it
    assert not loaded & set(SIMULATORS)


def run(*argv):
    """A command in a new process that prints, after its own output, which modules it had loaded."""
    code = (
        "import sys\n"
        f"sys.argv = ['sf'] + {list(argv)[1:]!r}\n"
        f"from sf_core._entry import sf_{argv[0]} as main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
    )
    return loaded_after(code)


@pytest.mark.parametrize(
    "argv",
    [
        ("list",),
        ("list", "envs"),
        ("list", "all", "--json"),
        ("list", "args", "--env=CartPole-v1"),
        ("list", "--help"),
        ("train", "--help"),
        ("train", "--env=CartPole-v1", "--help"),
        ("eval", "--help"),
        ("enjoy", "--help"),
        ("status", "--help"),
        ("plot", "--help"),
        ("export", "--help"),
        ("hub", "--help"),
        ("hub", "pull", "--help"),
    ],
    ids=" ".join,
)
def test_listing_and_help_import_nothing_heavy(argv):
    assert not run(*argv) & set(HEAVY)


def test_the_status_of_runs_imports_nothing_heavy(tmp_path):
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    (run_folder / "config.json").write_text('{"schema": 1, "values": {}, "origins": {}}')
    assert not run("status", str(tmp_path)) & set(HEAVY)


@pytest.mark.parametrize(
    ("argv", "nominal_s"),
    [(["list"], 0.3), (["train", "--help"], 0.4), (["train", "--env=CartPole-v1", "--help"], 0.4)],
)
def test_listing_and_help_answer_at_once(argv, nominal_s):
    def once():
        started = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
        subprocess.run([sys.executable, "-m", "sf_core", *argv], env=environment, capture_output=True, check=True)
        return time.perf_counter() - started

    fastest = min(once() for _ in range(5))
    print(f"sf-{' '.join(argv)}: {fastest:.2f} s, nominal {nominal_s} s")
    assert fastest < nominal_s + 0.7  # room for a shared machine; the nominal figure is for an idle one
