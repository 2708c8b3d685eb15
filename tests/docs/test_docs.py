"""The pages hold together: links lead somewhere, code is code, excerpts are excerpts, references are current.

The commands of `docs/plugins.md` are executed by `tests/wheels/test_plugins_page.py`.
"""

from __future__ import annotations

import ast
import re
import textwrap
import tomllib
from pathlib import Path

import pytest

from sf_core.plugins import reference

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")])
PLUGINS_PAGE = (ROOT / "docs" / "plugins.md").read_text("utf-8")

BLOCK = re.compile(r"^(?:<!-- (?P<mark>.+?) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """What a heading is called in links: lower case, hyphens for spaces, no punctuation."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(without_code(text))
    }


def test_the_pages_are_found():
    assert {"README.md", "CONTRIBUTING.md", "plugins.md", "run-folder.md", "options.md"} <= {
        page.name for page in PAGES
    }


@each_page
def test_relative_links_lead_to_something(page):
    text = page.read_text("utf-8")
    broken = []
    for link in LINK.findall(without_code(text)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            broken.append(link)
    assert broken == []


@each_page
def test_code_of_the_pages_is_code(page):
    for block in BLOCK.finditer(page.read_text("utf-8")):
        if block["language"] == "python":
            ast.parse(textwrap.dedent(block["text"]))
        elif block["language"] == "toml":
            tomllib.loads(block["text"])


def excerpts() -> list[tuple[str, str]]:
    blocks = (block for block in BLOCK.finditer(PLUGINS_PAGE) if (block["mark"] or "").startswith("file: "))
    return [(block["mark"].removeprefix("file: "), block["text"]) for block in blocks]


@pytest.mark.parametrize(("path", "text"), excerpts(), ids=lambda value: value.partition("\n")[0])
def test_the_examples_files_are_what_the_page_shows(path, text):
    assert text in (ROOT / path).read_text("utf-8")


def test_the_page_shows_something_of_every_file_of_the_example():
    package = ROOT / "examples" / "my_env_plugin"
    written = {path for path in package.rglob("*.*") if path.suffix in (".py", ".toml") and path.name != "__init__.py"}
    shown = {ROOT / path for path, _ in excerpts()}
    assert written | {ROOT / "examples" / "single_file_env.py"} == shown


def test_the_reference_is_what_the_docstrings_say():
    assert reference.updated(PLUGINS_PAGE) == PLUGINS_PAGE, "run: python -m sf_core.plugins.reference docs/plugins.md"


def test_every_hook_has_a_heading_with_its_exact_signature():
    source = (ROOT / "sf_core" / "plugins" / "hookspecs.py").read_text("utf-8")
    signatures = re.findall(r"^@hookspec\ndef (sf_\w+\(.*\) -> .+?):(?:  #.*)?$", source, re.MULTILINE)
    assert len(signatures) == source.count("\n@hookspec\n") == 11
    headings = HEADING.findall(without_code(PLUGINS_PAGE))
    assert [signature for signature in signatures if f"`{signature}`" not in headings] == []


def test_every_public_spec_has_a_heading():
    import sf_core

    specs = [name for name in sf_core.__all__ if name.endswith("Spec")]
    assert len(specs) == 7
    headings = HEADING.findall(without_code(PLUGINS_PAGE))
    assert [
        name for name in (*specs, "Preset", "Arg", "Metric", "TrainingObserver") if f"`{name}`" not in headings
    ] == []


def test_a_stale_page_is_noticed_and_repaired(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{reference.BEGIN}\nstale text\n{reference.END}\nafter\n")
    assert reference.main(["--check", str(page)]) == 1
    assert "is not current" in capsys.readouterr().err
    assert "stale text" in page.read_text()
    assert reference.main([str(page)]) == 0
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "stale text" not in text
    assert reference.main(["--check", str(page)]) == 0


def test_the_page_of_the_run_folder_names_every_file():
    from sf_core.learner import checkpoint_folder
    from sf_core.runner.files.run_folder import RunFolder

    page = (ROOT / "docs" / "run-folder.md").read_text("utf-8")
    folder = RunFolder("train_dir", "maze")
    names = [
        getattr(folder, name).name
        for name, member in vars(RunFolder).items()
        if isinstance(member, property) and name != "holds_a_run"
    ]
    names += [checkpoint_folder.MODEL_FILE, checkpoint_folder.OPTIMIZER_FILE, checkpoint_folder.JSON_FILE]
    assert "metrics.jsonl" in names
    assert [name for name in names if name not in page] == []


def test_the_page_of_the_run_folder_names_every_key_of_a_report_and_every_origin():
    from sf_core.cfg.config import ORIGINS
    from sf_core.runner.reports.summaries import Report

    page = (ROOT / "docs" / "run-folder.md").read_text("utf-8")
    report = Report(
        0, 0, 0, 0, 0.0, (0.0, 0.0, 0.0), 0, {}, {}, {}, {"approximate_bootstraps": 0, "skipped_updates": 0}
    )
    assert [key for key in (*report.to_json(), *ORIGINS) if f"`{key}`" not in page] == []
