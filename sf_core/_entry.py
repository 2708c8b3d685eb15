"""Thunks for the console scripts, with no top-level import.

A child process started with `spawn` imports the parent's main script again. A console script imports this module, so
whatever stood at its top would be imported by every worker.
"""


def sf_train(argv: "list[str] | None" = None) -> int:
    """`sf-train`: train; returns the exit code."""
    from sf_core.cli.train import main

    return main(argv)


def sf_enjoy(argv: "list[str] | None" = None) -> int:
    """`sf-enjoy`: watch a trained policy; returns the exit code."""
    from sf_core.cli.enjoy import main

    return main(argv)


def sf_eval(argv: "list[str] | None" = None) -> int:
    """`sf-eval`: measure a trained policy; returns the exit code."""
    from sf_core.cli.eval import main

    return main(argv)


def sf_list(argv: "list[str] | None" = None) -> int:
    """`sf-list`: what is installed; returns the exit code."""
    from sf_core.cli.list import main

    return main(argv)
