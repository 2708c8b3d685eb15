"""The commands of `python benchmarks`.

In: a command line. Out: measurements on the terminal and in one JSON file, tables from it, the peers' environments.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sf_bench import tables
from sf_bench.contenders import PACKAGES, PEERS, Peers, default_peers_folder
from sf_bench.results import Results, load
from sf_bench.training import QUICK, Effort, measure_workload
from sf_bench.workloads import WORKLOADS

SECTIONS = (*WORKLOADS, "sampling", "memory", "startup", "scaling")
QUICK_SECTIONS = (*WORKLOADS, "sampling", "memory", "startup")
DOCS = PACKAGES.parent / "docs" / "performance.md"
_DESCRIPTION = """\
Measure how fast sf-core is, beside what its parts allow and beside its peers.

  python benchmarks full                        everything; --only=cartpole,pong for some of it
  python benchmarks quick                       the same, short: under five minutes
  python benchmarks peers                       make the peers' environments (once, minutes)
  python benchmarks tables                      the tables of the results so far
  python benchmarks docs                        write them into docs/performance.md
  python benchmarks profile [--functions] ...   where the time of one training run goes
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for name in ("full", "quick"):
        _add_measuring(commands.add_parser(name, formatter_class=argparse.ArgumentDefaultsHelpFormatter), name)
    peers = commands.add_parser("peers", help="make the peers' environments")
    _add_peers(peers)
    peers.add_argument("--torch", help="its version; that of this environment if not given")
    for name in ("tables", "docs"):
        one = commands.add_parser(name)
        _add_json(one)
        if name == "docs":
            one.add_argument("--page", type=Path, default=DOCS)
    profile = commands.add_parser("profile", help="where the time of one training run goes")
    profile.add_argument(
        "--functions", type=int, nargs="?", const=15, default=0, help="also the N costliest of each process"
    )
    profile.add_argument("--run", type=Path, help="a run folder that exists, instead of training")
    profile.add_argument("flags", nargs="*", help="of sf-train, after --")
    args = parser.parse_args(argv)
    return _COMMANDS[args.command](args)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, default=Path("benchmarks.json"), help="the results file")


def _add_peers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--peers", type=Path, default=default_peers_folder(), help="folder of the peers' environments")


def _add_measuring(parser: argparse.ArgumentParser, command: str) -> None:
    effort = QUICK if command == "quick" else Effort()
    _add_json(parser)
    _add_peers(parser)
    parser.add_argument(
        "--only",
        type=_sections,
        default=QUICK_SECTIONS if command == "quick" else SECTIONS,
        help="some sections, with commas",
    )
    parser.add_argument("--frameworks", type=_words, default=(), help="some frameworks, with commas")
    parser.add_argument("--repeat", type=int, default=effort.repeat, help="rounds, in which contenders alternate")
    parser.add_argument("--seconds", type=float, default=effort.seconds, help="of steady state in a measurement")
    parser.add_argument("--warmup", type=float, default=effort.warmup_s, help="seconds before it")
    parser.add_argument(
        "--choose",
        type=float,
        default=effort.choose_s,
        help="seconds for each mode to find the best; 0 = the usual mode",
    )
    parser.add_argument("--part_seconds", type=float, default=effort.part_s, help="for each part of the parts limit")
    parser.add_argument("--device", default=effort.device, help="of the networks in training workloads: cpu or cuda")
    parser.add_argument("--cell_seconds", type=float, default=8.0, help="for each cell of the scaling table")
    parser.add_argument("--workers", type=int, nargs="+", default=(1, 2, 4, 8, 16), help="of the scaling table")
    parser.add_argument("--envs", type=int, nargs="+", default=(1, 4, 16, 64), help="per worker, of the scaling table")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


def _sections(text: str) -> tuple[str, ...]:
    words = _words(text)
    if unknown := [word for word in words if word not in SECTIONS]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(SECTIONS)}")
    return words


def _measure(args: argparse.Namespace) -> int:
    from sf_bench.memory import measure_memory
    from sf_bench.sampling import measure_sampling
    from sf_bench.scaling import measure_scaling
    from sf_bench.startup import measure_startup

    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # contenders are ended on the way out
    results, peers, begin_s = Results(args.json), Peers(args.peers), time.monotonic()
    effort = Effort(args.seconds, args.warmup, args.repeat, args.choose, args.part_seconds, args.device)
    small = 1 if args.command == "quick" else args.repeat

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begin_s:6.0f} s] {text}", flush=True)

    measurements: dict[str, Callable[[Callable[[dict[str, Any]], None]], Any]] = {
        "sampling": lambda put: measure_sampling(min(5.0, args.seconds / 3), small, put, say),
        "memory": lambda put: measure_memory(peers, small, put, say),
        "startup": lambda put: measure_startup(peers, small, put, say),
        "scaling": lambda put: measure_scaling(
            peers, args.cell_seconds, put, say, workers=args.workers, envs_per_worker=args.envs
        ),
    }
    for name, workload in WORKLOADS.items():
        measurements[name] = lambda put, workload=workload: measure_workload(  # type: ignore[misc]
            workload, peers, effort, put, say, frameworks=args.frameworks
        )
    for framework in PEERS:
        if peers.python(framework) is None:
            say(f"{framework} is not installed under {peers.folder} (python benchmarks peers) and does not take part")
    failed = False
    for section in args.only:
        try:
            measurements[section](lambda content, section=section: results.put(section, content))  # type: ignore[misc]
        except Exception as error:
            failed = True
            say(f"{section}: FAILED: {type(error).__name__}: {error}")
            results.put(section, {**results.content["sections"].get(section, {}), "errors": [str(error)]})
    say(f"done; the figures are in {args.json}")
    _print_tables(results.content, args.only)
    return 1 if failed else 0


def _make_peers(args: argparse.Namespace) -> int:
    from sf_bench.peer_environments import make_all

    make_all(args.peers, args.torch)
    return 0


def _tables(args: argparse.Namespace) -> int:
    content = load(args.json)
    _print_tables(content, tuple(content["sections"]))
    return 0


def _docs(args: argparse.Namespace) -> int:
    page = args.page.read_text("utf-8")
    filled = tables.fill(page, load(args.json))
    args.page.write_text(filled, "utf-8")
    print(f"{args.page} " + ("is as it was" if filled == page else "is up to date"))
    return 0


def _profile(args: argparse.Namespace) -> int:
    from sf_bench.profile import profile

    return profile(args.flags, run=args.run, num_functions=args.functions)


def _print_tables(content: dict[str, Any], sections: Sequence[str]) -> None:
    print(f"\n{tables.machine_line(content)}")
    for name, text in tables.render(
        {"sections": {s: content["sections"][s] for s in sections if s in content["sections"]}}
    ).items():
        print(f"\n## {name}\n\n{text}")


_COMMANDS = {
    "full": _measure,
    "quick": _measure,
    "peers": _make_peers,
    "tables": _tables,
    "docs": _docs,
    "profile": _profile,
}
