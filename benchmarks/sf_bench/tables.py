"""Markdown from a results file: what stands in the terminal and in `docs/performance.md`.

In: the content of the file. Out: text, one table a section, and a page with tables put between its markers. Rounds and
formats; the arithmetic was done before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

MARKER = re.compile(
    r"(?P<begin><!-- benchmark: (?P<name>[\w ]+) -->\n).*?(?P<end><!-- end of benchmark -->)", re.DOTALL
)

_MAIN_VARIANT = ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def figure(value: float | None) -> str:
    """Three digits, or all digits before the point."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def training_tables(section: Mapping[str, Any]) -> str:
    """Contenders in their best modes, then the parts, then all modes."""
    parts = [table(*_best_modes(section))]
    if limits := section.get("summary", {}).get("limits"):
        parts.append("Parts, samples per second of the whole machine (medians):\n\n" + table(*_limits(limits)))
    if section.get("modes"):
        seconds = section["effort"]["choose_s"]
        parts.append(f"All modes, one measurement of {seconds:g} s each:\n\n" + table(*_all_modes(section["modes"])))
    return "\n\n".join(parts)


def sampling_table(section: Mapping[str, Any]) -> str:
    """Agent steps per second of every arrangement."""
    rows = [(name, figure(rate)) for name, rate in section.get("summary", {}).items()]
    return table([f"sampling only, {section.get('num_agents', 0):,} agents", "agent steps/s"], rows)


def memory_table(section: Mapping[str, Any]) -> str:
    """Megabytes."""
    rows = [(name, figure(megabytes)) for name, megabytes in section.get("summary", {}).items()]
    return table(["without shared memory", "MB"], rows)


def startup_table(section: Mapping[str, Any]) -> str:
    """Seconds."""
    rows = [(name, f"{seconds:.2f}") for name, seconds in section.get("summary", {}).items()]
    return table(["from the command on", "seconds"], rows)


def scaling_tables(section: Mapping[str, Any]) -> str:
    """Throughput by workers and envs, then memory and start-up by workers."""
    cells = section.get("cells", [])
    frameworks = list(dict.fromkeys(cell["framework"] for cell in cells))
    envs = sorted({cell["envs_per_worker"] for cell in cells})
    workers = sorted({cell["workers"] for cell in cells})
    found = {(cell["framework"], cell["workers"], cell["envs_per_worker"]): cell for cell in cells}

    def rate(framework: str, num_workers: int, num_envs: int) -> str:
        cell = found.get((framework, num_workers, num_envs))
        return "" if cell is None else figure(cell.get("rate")) if "error" not in cell else "failed"

    throughput = [
        (f"{framework}, {number} worker" + "s" * (number > 1), *(rate(framework, number, one) for one in envs))
        for framework in frameworks
        for number in workers
    ]

    def middle(framework: str, num_workers: int, name: str) -> str:
        sizes = sorted(
            cell[name]
            for cell in cells
            if cell["framework"] == framework and cell["workers"] == num_workers and cell.get(name) is not None
        )
        return figure(sizes[len(sizes) // 2] if sizes else None)

    columns = [
        (framework, name, what)
        for name, what in (("worker_mb", "MB per worker"), ("first_step_s", "s to the first step"))
        for framework in frameworks
    ]
    by_workers = [
        (str(number), *(middle(framework, number, name) for framework, name, _ in columns)) for number in workers
    ]
    head = [f"{framework}: {what}" for framework, _, what in columns]
    return "\n\n".join(
        [
            table(["agent steps/s by envs per worker", *map(str, envs)], throughput),
            table(["workers", *head], by_workers),
        ]
    )


def render(content: Mapping[str, Any]) -> dict[str, str]:
    """Section -> its tables, for every section there is."""
    special: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "sampling": sampling_table,
        "memory": memory_table,
        "startup": startup_table,
        "scaling": scaling_tables,
    }
    rendered = {}
    for name, section in content["sections"].items():
        text = special.get(name, training_tables)(section)
        if errors := _errors(section):
            text += "\n\nFailed: " + "; ".join(errors)
        rendered[name] = text
    return rendered


def machine_line(content: Mapping[str, Any]) -> str:
    """What the figures were measured on."""
    machine = content.get("machine")
    if not machine:
        return ""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return f"{machine['cores']} cores of {machine['cpu']}, Python {machine['python']}, {versions}."


def fill(page: str, content: Mapping[str, Any]) -> str:
    """The page with every `<!-- benchmark: NAME -->` filled from the results; what was not measured stays."""
    rendered = {"machine": machine_line(content), **render(content)}

    def replace(match: re.Match[str]) -> str:
        text = rendered.get(match["name"])
        return match[0] if text is None else f"{match['begin']}\n{text}\n\n{match['end']}"

    return MARKER.sub(replace, page)


def _best_modes(section: Mapping[str, Any]) -> tuple[list[str], list[tuple[str, ...]]]:
    summary = section.get("summary", {"rows": {}, "limits": {}})
    head = [
        "best mode of each",
        "agent steps/s",
        "efficiency",
        "ours is faster by",
        "gradient steps per 1,000",
        "parameters",
    ]
    rows: list[tuple[str, ...]] = []
    for name, row in summary["rows"].items():
        ratio = row.get("ours_is_faster", {}).get(_MAIN_VARIANT)
        last = section["rounds"][name][-1]
        parameters = last.get("parameters")
        rows.append(
            (
                name,
                figure(row["rate"]),
                f"{row['efficiency']:.2f}" if "efficiency" in row else "",
                f"{ratio:.2f}×" if ratio else "",
                figure(last.get("gradient_steps_per_1000")),
                f"{parameters:,}" if parameters else "–",
            )
        )
    for variant, limit in summary["limits"].items():
        name = "parts limit" + (f" ({variant})" if variant else "")
        rows.append((name, figure(limit["limit"]), "1", "", "", ""))
    return head, rows


def _limits(limits: Mapping[str, Mapping[str, float]]) -> tuple[list[str], list[tuple[str, ...]]]:
    rows = [
        (variant or "as it is", *(figure(limit[name]) for name in ("env_rate", "forward_rate", "train_rate", "limit")))
        for variant, limit in limits.items()
    ]
    return ["env", "simulator", "acting", "gradient (per epoch)", "limit"], rows


def _all_modes(modes: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[tuple[str, ...]]]:
    rows: list[tuple[str, ...]] = []
    for name, one in modes.items():
        rows.append((name, "failed" if "error" in one else figure(one.get("rate"))))
    return ["mode", "agent steps/s"], rows


def _errors(section: Mapping[str, Any]) -> list[str]:
    """One line for everything in a section that failed."""
    found = [error.splitlines()[0] for error in section.get("errors", [])]
    for name, one in section.get("modes", {}).items():
        if "error" in one:
            found.append(f"{name}: {one['error'].splitlines()[0]}")
    for name, rounds in section.get("rounds", {}).items():
        found += [
            f"{name}: {one['error'].splitlines()[0]}" for one in rounds if isinstance(one, dict) and "error" in one
        ]
    for cell in section.get("cells", []):
        if "error" in cell:
            who = f"{cell['framework']} {cell['workers']} x {cell['envs_per_worker']}"
            found.append(f"{who}: {cell['error'].splitlines()[0]}")
    return found
