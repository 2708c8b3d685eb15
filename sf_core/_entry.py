"""Thunks for the console scripts, with no top-level import.

A child process started with `spawn` imports the parent's main script again. A console script imports this module, so
whatever stood at its top would be imported by every worker.
"""

TYPE_CHECKING = False  # type checkers take it for True; at run time nothing is imported for it
if TYPE_CHECKING:
    from collections.abc import Callable


def _run(main: "Callable[[list[str] | None], int]", argv: "list[str] | None") -> int:
    """What `main` returns; 130 and one line where Ctrl+C or SIGTERM came before the run could take care of it."""
    import contextlib
    import signal
    import sys

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = None
    try:
        with contextlib.suppress(ValueError):  # not the main thread
            before = signal.signal(signal.SIGTERM, interrupt)
        return main(argv)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def sf_train(argv: "list[str] | None" = None) -> int:
    """`sf-train`: train; returns the exit code."""
    from sf_core.cli.train import main

    return _run(main, argv)


def sf_enjoy(argv: "list[str] | None" = None) -> int:
    """`sf-enjoy`: watch a trained policy; returns the exit code."""
    from sf_core.cli.enjoy import main

    return _run(main, argv)


def sf_eval(argv: "list[str] | None" = None) -> int:
    """`sf-eval`: measure a trained policy; returns the exit code."""
    from sf_core.cli.eval import main

    return _run(main, argv)


def sf_list(argv: "list[str] | None" = None) -> int:
    """`sf-list`: what is installed; returns the exit code."""
    from sf_core.cli.list import main

    return _run(main, argv)


def sf_status(argv: "list[str] | None" = None) -> int:
    """`sf-status`: the runs of a folder; returns the exit code."""
    from sf_core.cli.status import main

    return _run(main, argv)


def sf_export(argv: "list[str] | None" = None) -> int:
    """`sf-export`: a trained policy as one file; returns the exit code."""
    from sf_core.cli.export import main

    return _run(main, argv)


def sf_plot(argv: "list[str] | None" = None) -> int:
    """`sf-plot`: learning curves of runs as a picture; returns the exit code."""
    from sf_core.cli.plot import main

    return _run(main, argv)


def sf_hub(argv: "list[str] | None" = None) -> int:
    """`sf-hub`: runs to and from the Hugging Face hub; returns the exit code."""
    from sf_core.cli.hub import main

    return _run(main, argv)
