"""`python benchmarks`: how fast sf-core is, beside what its parts allow and beside its peers. `--help` shows more."""

from sf_bench.cli import main

if __name__ == "__main__":  # children import this file again
    raise SystemExit(main())
