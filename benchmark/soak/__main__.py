"""`python -m reshift.benchmark.soak`: many cells in one process tree, memory and handles watched. Linux only.

Exit code 0 when both stay flat and every trouble costs its own cell alone, 1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from reshift.benchmark.soak.runs import long_run, troubled_run


def main(arguments: Sequence[str] | None = None) -> int:
    """Compute the cells; print what grew, and what was said of cells in trouble."""
    parser = argparse.ArgumentParser(prog="python -m reshift.benchmark.soak", description=__doc__)
    parser.add_argument("--cells", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args(arguments)
    if not sys.platform.startswith("linux"):
        parser.error("memory and handles are read from /proc: run it on Linux")
    if given.cells < 1 or given.workers < 1:
        parser.error("--cells and --workers must be at least 1")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="reshift-soak-") as scratch:
        os.environ.update(OMP_NUM_THREADS="1", RESHIFT_CACHE=str(Path(scratch, "cache")))
        growths, wrong = long_run(Path(scratch), given.cells, given.workers)
        said, troubles = troubled_run(Path(scratch), given.workers)
    for grown in growths:
        verdict = "flat" if grown.flat else "GROWS"
        print(f"{grown.what:<28} second quarter {grown.second:9.1f}  last quarter {grown.last:9.1f}  {verdict}")
    print("\n".join([*said, *(f"WRONG  {line}" for line in (*wrong, *troubles))]))
    print(f"soak: {given.cells} cells in {time.monotonic() - started:.0f} s, {len(wrong) + len(troubles)} wrong")
    return 1 if wrong or troubles else 0


if __name__ == "__main__":
    sys.exit(main())
