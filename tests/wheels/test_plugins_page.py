"""Whoever types the commands of `docs/plugins.md` sees what the page shows.

A line `<!-- run -->` (or `<!-- run: 2 -->` for another exit code) in front of a block of commands has it executed, in
order, from a folder with `examples/` in it; `<!-- output -->` in front of the next block has the output compared. What
varies from run to run is marked `<!-- output: example -->` and not compared.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.wheels, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
STEP = re.compile(
    r"^<!-- run(?:: (?P<code>\d+))? -->\n```bash\n(?P<commands>.*?)^```$"
    r"(?:\n\n<!-- output -->\n```text\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Step:
    commands: list[str]
    code: int
    output: list[str]


def steps() -> list[Step]:
    page = (ROOT / "docs" / "plugins.md").read_text("utf-8")
    return [
        Step(match["commands"].splitlines(), int(match["code"] or 0), (match["output"] or "").splitlines())
        for match in STEP.finditer(page)
    ]


def comparable(line: str) -> str:
    """Without what the width of a column and the speed of a machine change."""
    return re.sub(r"\d+ms", "ms", " ".join(line.split()))


def documented_names() -> set[str]:
    """What the table of `docs/run-folder.md` says a run folder holds."""
    page = (ROOT / "docs" / "run-folder.md").read_text("utf-8")
    return {name.partition("/")[0] for name in re.findall(r"^\| \[?`([^`]+)`.*\|$", page, re.MULTILINE)}


def test_the_page_is_read_as_meant():
    page = (ROOT / "docs" / "plugins.md").read_text("utf-8")
    found = steps()
    assert len(found) == page.count("<!-- run") >= 10
    assert sum(bool(step.output) for step in found) == page.count("<!-- output -->") >= 5
    assert found[0].commands == ["pip install ./examples/my_env_plugin"]


def test_the_commands_of_the_page_do_what_it_says(fresh_environment, tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    try:
        for step in steps():
            for command in step.commands:
                done = fresh_environment.run(*command.split(), cwd=tmp_path, code=step.code)
            written = [comparable(line) for line in (done.stdout + done.stderr).splitlines()]
            position = 0
            for line in (comparable(line) for line in step.output if line != "..."):
                assert line in written[position:], f"{step.commands[-1]}\nshould show: {line}\nshows:\n{done.stdout}"
                position = written.index(line, position) + 1
        run = tmp_path / "train_dir" / "maze"
        assert (run / "replay.mp4").stat().st_size > 0
        undocumented = {path.relative_to(run).parts[0] for path in run.rglob("*")} - documented_names()
        assert undocumented == set()
    finally:
        fresh_environment.run("python", "-m", "pip", "uninstall", "--yes", "my-env-plugin")
