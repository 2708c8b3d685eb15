"""One training workload: every contender in its best mode, alternating, beside what the parts allow.

In: a workload and for how long. Out: a section of the results, complete after every single measurement. A contender
that fails is reported in its place; the others go on.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sf_bench.contenders import OURS, Contender, Peers, contenders_of, cores
from sf_bench.limit import Parts, median_parts
from sf_bench.measure import Measurement, measure
from sf_bench.parts import PartRates, measure_parts
from sf_bench.workloads import Workload, words

Put = Callable[[dict[str, Any]], None]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How long everything is measured.

    Attributes:
        seconds: of steady state in a measurement that counts.
        warmup_s: before it, after the first training iteration.
        repeat: rounds in which the contenders alternate.
        choose_s: of steady state to find out which mode is best; 0 to take the first mode of `usual` instead.
        part_s: for each part in each arrangement, in every round.
        device: where the networks are.
    """

    seconds: float = 30.0
    warmup_s: float = 5.0
    repeat: int = 3
    choose_s: float = 8.0
    part_s: float = 4.0
    device: str = "cpu"


QUICK = Effort(seconds=5.0, warmup_s=1.0, repeat=1, choose_s=0.0, part_s=1.0)

USUAL_MODES = {
    "cartpole": ("async, 2 splits", "async", "1 thread"),
    "pong": ("serial", f"serial, {cores()} threads", f"{cores()} threads"),
    "doom_basic": ("async, 2 splits", "async"),
}
"""Modes that a quick run measures without choosing: the first one of a framework that is named here."""


def measure_workload(
    workload: Workload, peers: Peers, effort: Effort, put: Put, say: Say, *, frameworks: Sequence[str] = ()
) -> dict[str, Any]:
    """Measure one workload; `put` gets the section whenever it has grown.

    Args:
        workload: what is trained.
        peers: where they are.
        effort: how long.
        put: keeps the section.
        say: tells the user.
        frameworks: only these; empty for all.
    """
    contenders = [
        c for c in contenders_of(workload, peers, effort.device) if not frameworks or c.framework in frameworks
    ]
    section: dict[str, Any] = {
        "title": workload.title,
        "shared_flags": list(words(workload.shared)),
        "effort": vars(effort),
        "modes": {},
        "rounds": {},
        "parts": {},
    }
    if effort.choose_s:
        for contender in contenders:
            found = measure(contender, seconds=effort.choose_s, warmup_s=effort.warmup_s)
            section["modes"][contender.name] = found.to_json()
            say(f"{workload.name}: {contender.name}: {described(found)}")
            put(section)
        best = best_modes(contenders, {name: one.get("rate") for name, one in section["modes"].items()})
    else:
        best = usual_modes(contenders, USUAL_MODES[workload.name])
    for number in range(effort.repeat):
        for contender in best:
            found = measure(contender, seconds=effort.seconds, warmup_s=effort.warmup_s)
            section["rounds"].setdefault(contender.name, []).append(found.to_json())
            say(f"{workload.name}, round {number + 1}: {contender.name}: {described(found)}")
            put(section)
        for variant in sorted({contender.variant for contender in best if contender.framework == OURS}):
            _measure_parts(workload, variant, effort, section, say)
        section["summary"] = summary(section, best, workload.number("num_epochs"), effort.device)
        put(section)
    return section


def described(found: Measurement) -> str:
    """In a few words."""
    if found.rate is None:
        return "FAILED: " + found.error
    return f"{found.rate:,.0f} agent steps/s over {found.seconds:.0f} s, {found.iterations} iterations"


def best_modes(contenders: Sequence[Contender], rates: Mapping[str, float | None]) -> list[Contender]:
    """The fastest contender of each entry, in the order the entries first appear; entries without a rate are out."""
    best: dict[str, Contender] = {}
    for contender in contenders:
        rate = rates.get(contender.name)
        if rate is not None and (contender.entry not in best or rate > (rates[best[contender.entry].name] or 0.0)):
            best[contender.entry] = contender
    return list(best.values())


def usual_modes(contenders: Sequence[Contender], modes: Sequence[str]) -> list[Contender]:
    """The contender of each entry whose mode comes first in `modes`; where none is named, its first mode."""
    order = {mode: rank for rank, mode in enumerate(modes)}
    best: dict[str, Contender] = {}
    for contender in contenders:
        other = best.get(contender.entry)
        if other is None or order.get(contender.mode, len(order)) < order.get(other.mode, len(order)):
            best[contender.entry] = contender
    return list(best.values())


def summary(section: Mapping[str, Any], best: Sequence[Contender], epochs: int, device: str = "cpu") -> dict[str, Any]:
    """Medians, limits, efficiencies and ratios: pure arithmetic on what was measured."""
    rates = {}
    for contender in best:
        measured = [one["rate"] for one in section["rounds"].get(contender.name, []) if "rate" in one]
        if measured:
            rates[contender.name] = statistics.median(measured)
    limits = {}
    for variant, rounds in section["parts"].items():
        parts = median_parts([best_parts(one, epochs) for one in rounds])
        limits[variant] = {**vars(parts), "limit": limit_on(device, parts)}
    rows = {}
    ours = {c.variant: rates[c.name] for c in best if c.framework == OURS and c.name in rates}
    for contender in best:
        if contender.name not in rates:
            continue
        row: dict[str, Any] = {"framework": contender.framework, "rate": rates[contender.name]}
        if contender.framework == OURS and contender.variant in limits:
            row["efficiency"] = row["rate"] / limits[contender.variant]["limit"]
        if contender.framework != OURS:
            row["ours_is_faster"] = {variant: rate / row["rate"] for variant, rate in ours.items()}
        rows[contender.name] = row
    return {"rows": rows, "limits": limits}


def limit_on(device: str, parts: Parts) -> float:
    """The parts limit with the network on a device."""
    return parts.limit() if device == "cpu" else parts.limit_with_accelerator()


def best_parts(rates: Mapping[str, Mapping[str, float]], epochs: int) -> Parts:
    """From one round of a section: the best arrangement of each part."""
    return PartRates(**rates).best(epochs)


def _measure_parts(workload: Workload, variant: str, effort: Effort, section: dict[str, Any], say: Say) -> None:
    try:
        found = measure_parts(workload, seconds=effort.part_s, variant=variant, device=effort.device)
    except (RuntimeError, OSError, ValueError) as error:
        say(f"{workload.name}: parts FAILED: {error}")
        section.setdefault("errors", []).append(f"parts {variant}: {error}")
        return
    section["parts"].setdefault(variant, []).append(found.to_json())
    limit = limit_on(effort.device, found.best(workload.number("num_epochs")))
    say(f"{workload.name}: parts{' of ' + variant if variant else ''}: limit {limit:,.0f} agent steps/s")
