"""The reference of hooks and specs in the documentation, written from their docstrings.

In: the source of `hookspecs`, `specs`, `observer` and `script`. Out: Markdown, between two markers of a page:

    python -m sf_core.plugins.reference docs/plugins.md            writes it
    python -m sf_core.plugins.reference --check docs/plugins.md    exits 1 if the page is not current

This file does not know what a plugin does with any of it.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sf_core.plugins import hookspecs, observer, script, specs

BEGIN = "<!-- reference: begin (python -m sf_core.plugins.reference docs/plugins.md) -->"
END = "<!-- reference: end -->"

_EXAMPLE = re.compile(r"\*\*Example\*\*::\n\n((?:[ ]{4}.*\n?|\n)+)")
_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises):\n((?:[ ]{4}.*(?:\n|$)|\n)+)", re.MULTILINE)
_ITEM = re.compile(r"^(\w+): (.*(?:\n +.*)*)", re.MULTILINE)
# what a hook's docstring says on one line or, without indentation, on several
_FACT = re.compile(
    r"^(Called|Process|May import): ((?:(?!\n\n|\n(?:Process|May import):).|\n(?!\n|Process:|May import:))*)\n",
    re.MULTILINE,
)


def reference() -> str:
    """Every hook, spec, observer method and registering function, as Markdown."""
    parts = [
        "## Hooks\n",
        _paragraphs(_doc(hookspecs)),
        *(_callable_section(hook) for hook in hooks()),
        "## Specs\n",
        "Frozen dataclasses; every field is given by name (those of `Arg` and `Metric` also by position), and an "
        "unknown one is an error with the close ones.\n",
        *(_dataclass_section(spec) for spec in spec_classes()),
        "## Observers\n",
        *(_class_section(cls) for cls in observer_classes()),
        "## What a script registers\n",
        _callable_section(script.register_env),
        _class_section(script.ModelFactory, "global_model_factory()"),
    ]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def hooks() -> list[Callable[..., Any]]:
    """The hook specifications in the order of their file."""
    names = [node.name for node in _definitions(hookspecs) if node.name.startswith("sf_")]
    return [getattr(hookspecs, name) for name in names]


def spec_classes() -> list[type[Any]]:
    """The dataclasses a plugin builds, the base class first."""
    return [
        specs.Spec,
        *specs.SPEC_OF_KIND.values(),
        specs.Preset,
        specs.Arg,
        specs.Metric,
    ]


def observer_classes() -> list[type[Any]]:
    """The base class of observers, then what its methods are given."""
    classes = [
        value for value in vars(observer).values() if inspect.isclass(value) and value.__module__ == observer.__name__
    ]
    return sorted(classes, key=lambda cls: cls is not observer.TrainingObserver)


def updated(page: str) -> str:
    """`page` with the part between the markers written anew.

    Raises:
        ValueError: a marker is missing.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the lines {BEGIN!r} and {END!r}")
    # a formatter of the code in pages would disagree with the docstrings
    return f"{before}{BEGIN}\n<!-- fmt: off -->\n\n{reference()}\n<!-- fmt: on -->\n{END}{after}"


def main(argv: list[str] | None = None) -> int:
    """Write or check one page; returns the exit code."""
    words = sys.argv[1:] if argv is None else argv
    paths = [Path(word) for word in words if word != "--check"]
    stale = [path for path in paths if updated(path.read_text("utf-8")) != path.read_text("utf-8")]
    for path in stale:
        if "--check" in words:
            print(f"{path} is not current; run: python -m sf_core.plugins.reference {path}", file=sys.stderr)
        else:
            path.write_text(updated(path.read_text("utf-8")), "utf-8")
    return int("--check" in words and bool(stale))


def signature(function: Any) -> str:
    """`name(arguments) -> result` as the source has it, without `self`; the same on every version of Python."""
    node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(node, ast.FunctionDef), function
    if node.args.args and node.args.args[0].arg == "self":
        del node.args.args[0]
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({ast.unparse(node.args)}){result}"


def _definitions(module: Any) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.FunctionDef))


def _doc(thing: Any) -> str:
    return inspect.getdoc(thing) or ""


def _callable_section(function: Callable[..., Any]) -> str:
    return f"### `{signature(function)}`\n\n{_paragraphs(_doc(function))}"


def _class_section(cls: type[Any], title: str = "") -> str:
    lines = [f"### `{title or cls.__name__}`\n", _paragraphs(_doc(cls))]
    own = {name: text for name, text in getattr(cls, "__annotations__", {}).items() if not name.startswith("_")}
    lines += [f"- `{name}: {text}`" for name, text in own.items()]
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            lines.append(f"- `{name}: {signature(member.fget).partition(' -> ')[2]}`: {_one_line(_doc(member))}")
        # an alias has the name of what it stands for
        elif inspect.isfunction(member) and member.__name__ == name:
            lines.append(f"- `{signature(member)}`: {_one_line(_doc(member))}")
    return "\n".join(lines) + "\n"


def _dataclass_section(cls: type[Any]) -> str:
    lines = [f"### `{cls.__name__}`\n", _paragraphs(_SECTION.sub("", _doc(cls)))]
    own = [field for field in dataclasses.fields(cls) if field.name in cls.__annotations__]
    described = _items(_doc(cls))
    if described:
        lines += ["| field | type | default | |", "|---|---|---|---|"]
        for field in own:
            cells = (f"`{field.name}`", f"`{field.type}`", f"`{_default(field)}`", described.get(field.name, ""))
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
        lines.append("")
    elif own:
        fields = (f"`{field.name}: {field.type} = {_default(field)}`" for field in own)
        lines.append("Fields: " + ", ".join(text.replace(" = required", "") for text in fields) + ".\n")
    if cls is not specs.Spec and issubclass(cls, specs.Spec):
        lines.append(f"{'The other' if own else 'Its'} fields are those of [`Spec`](#spec).")
    return "\n".join(lines) + "\n"


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return repr(field.default_factory())
    if field.default is dataclasses.MISSING:
        return "required"
    return field.default.__name__ if isinstance(field.default, type) else repr(field.default)


def _paragraphs(doc: str) -> str:
    """A docstring as Markdown: sections and facts become lists, the example a block of code."""
    doc = _EXAMPLE.sub(lambda match: f"```python\n{textwrap.dedent(match[1]).strip()}\n```\n", doc + "\n")
    doc = _SECTION.sub(_section, doc)
    doc = _FACT.sub(lambda match: f"- *{match[1]}*: {_one_line(match[2])}\n", doc)
    return doc.rstrip() + "\n"


def _section(match: re.Match[str]) -> str:
    items = _ITEM.findall(textwrap.dedent(match[2]))
    body = "\n".join(f"- `{name}`: {_one_line(text)}" for name, text in items)
    return f"{match[1]}:\n\n{body or _one_line(match[2])}\n\n"


def _items(doc: str) -> dict[str, str]:
    """The entries of a docstring's sections by name."""
    bodies = (textwrap.dedent(body) for _, body in _SECTION.findall(doc))
    return {name: _one_line(text) for body in bodies for name, text in _ITEM.findall(body)}


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    sys.exit(main())
