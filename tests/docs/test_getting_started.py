"""The walk of `docs/getting-started.md` works as printed: its commands run in order, and show what the page shows.

In front of a block, `<!-- run -->` has its commands executed and `<!-- interrupt -->` has them stopped by Ctrl+C once
they train; `<!-- output -->` has the next block compared with what the last command said: numbers may differ, `…`
stands for the rest of a line, `...` for lines.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

import sf_core

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "getting-started.md").read_text("utf-8")
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
STEP = re.compile(
    r"^<!-- (?P<mark>run|interrupt) -->\n```bash\n(?P<commands>.*?)^```$"
    r"(?:\n\n<!-- output -->\n```text\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
NUMBER = re.compile(r"–|nan|\d[\d,.:]*(?:e[+-]?\d+)?")
BUDGET = re.compile(r"--train_for_env_steps=\d+")


@dataclass(frozen=True)
class Step:
    commands: list[str]
    interrupted: bool
    output: list[str]


def steps() -> list[Step]:
    return [
        Step(match["commands"].splitlines(), match["mark"] == "interrupt", (match["output"] or "").splitlines())
        for match in STEP.finditer(PAGE)
    ]


def comparable(line: str) -> str:
    return " ".join(NUMBER.sub("N", re.sub(r"[━─┃│┏┓┡┩┗┛└┘├┤╇┴]", " ", line)).split())


def test_the_page_is_read_as_meant():
    found = steps()
    assert len(found) == PAGE.count("<!-- run -->") + PAGE.count("<!-- interrupt -->") >= 5
    assert sum(step.interrupted for step in found) == 1
    assert sum(bool(step.output) for step in found) == PAGE.count("<!-- output -->") >= 5
    programs = [shlex.split(command)[0] for step in found for command in step.commands]
    assert set(programs) >= {"sf-train", "sf-eval", "sf-enjoy", "sf-export"}
    assert set(programs) <= set(SCRIPTS)
    extras = re.search(r'"\.\[(.*?)\]"', PAGE)  # what is installed at the page's beginning
    assert extras
    assert {extra for extra, program in (("onnx", "sf-export"), ("plot", "sf-plot")) if program in PAGE} == set(
        extras[1].split(",")
    )


def start(command: str, folder: Path) -> subprocess.Popen[str]:
    program, *arguments = shlex.split(command)
    environment = {**os.environ, "PYTHONPATH": str(Path(sf_core.__file__).parents[1]), "COLUMNS": "120"}
    return subprocess.Popen(
        [sys.executable, "-m", "sf_core", program.removeprefix("sf-"), *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def trained_steps(folder: Path) -> int:
    path = folder / "train_dir" / "cartpole" / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return max((json.loads(line)["env_steps"] for line in lines), default=0)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_walk_works_as_printed(tmp_path):
    pytest.importorskip("pygame")  # draws CartPole
    for step in steps():
        said = ""
        for command in step.commands:
            if "onnx" in command:
                for module in ("onnx", "onnxruntime", "onnxscript"):
                    pytest.importorskip(module)
            if not step.interrupted:  # a little further than it is, and no more
                command = BUDGET.sub(f"--train_for_env_steps={trained_steps(tmp_path) + 4000}", command)
            process = start(command, tmp_path)
            if step.interrupted:
                while process.poll() is None and not trained_steps(tmp_path):
                    time.sleep(0.2)
                process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=600)
            assert process.returncode == (130 if step.interrupted else 0), f"{command}\n{said}"
        lines = [comparable(line) for line in said.splitlines()]
        for line in (line for line in step.output if line != "..."):
            beginning, cut, _ = comparable(line).partition("…")
            shown = [x for x in lines if (x.startswith(beginning.rstrip()) if cut else x == beginning)]
            assert shown, f"{step.commands[-1]}\nshould show: {line}\nshows:\n{said}"
    run = tmp_path / "train_dir" / "cartpole"
    assert (run / "replay.mp4").stat().st_size > 0
    assert (run / "policy.onnx").stat().st_size > 0
