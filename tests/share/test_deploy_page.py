"""The programs of `docs/deploy.md` run as they stand, those for exported files without sf_core."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sf_core
from sf_core.cli.export import main as sf_export

ROOT = Path(sf_core.__file__).parents[1]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "deploy.md"
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_the_page_is_read_as_meant():
    assert len(PROGRAMS) == 3
    assert ["sf_core" in program for program in PROGRAMS] == [True, False, False]


@pytest.mark.parametrize(("index", "format_name"), [(0, None), (1, "onnx"), (2, "torch")])
def test_a_program_of_the_page_plays_an_episode(run_of, tmp_path, index, format_name):
    run = run_of(name="cartpole")
    if format_name == "onnx":
        for module in ("onnx", "onnxruntime", "onnxscript"):
            pytest.importorskip(module)
    if format_name:
        assert sf_export([f"--train_dir={run.parent}", "--experiment=cartpole", f"--format={format_name}"]) == 0
    program = PROGRAMS[index]
    if index:
        program += "\nimport sys\nassert not [name for name in sys.modules if name.startswith('sf_core')]\n"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"return \d+( with checkpoint_000000007_1000)?\n", done.stdout)
