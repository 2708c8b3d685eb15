"""`python -m sf_core <verb>`: the console scripts without installing them; no top-level import, as in `_entry`."""


def main() -> int:
    """Run the verb that the command line begins with; returns the exit code."""
    import sys

    from sf_core import _entry

    verbs = {
        "train": _entry.sf_train,
        "eval": _entry.sf_eval,
        "enjoy": _entry.sf_enjoy,
        "list": _entry.sf_list,
        "status": _entry.sf_status,
        "plot": _entry.sf_plot,
        "export": _entry.sf_export,
        "hub": _entry.sf_hub,
    }
    verb = sys.argv[1] if len(sys.argv) > 1 else ""
    if verb not in verbs:
        asked_for_help = verb in ("-h", "--help")
        print(f"usage: python -m sf_core {{{','.join(verbs)}}} ...", file=sys.stdout if asked_for_help else sys.stderr)
        return 0 if asked_for_help else 2
    sys.argv[0:2] = [f"sf-{verb}"]
    return verbs[verb]()


if __name__ == "__main__":
    raise SystemExit(main())
