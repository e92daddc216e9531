"""`python -m reshift.benchmark.torture`: strike a run again and again, and say what was lost. Linux only.

Exit code 0 when nothing was lost, 1 otherwise.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from reshift.benchmark.torture.faults import FAULTS
from reshift.benchmark.torture.rounds import torture


def main(arguments: Sequence[str] | None = None) -> int:
    """Torture runs for a number of rounds and print kills, restarts, cells and losses."""
    parser = argparse.ArgumentParser(prog="python -m reshift.benchmark.torture", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="faults, one a round")
    parser.add_argument("--cells", type=int, default=102, help="of the study that is tortured")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of what happens when")
    parser.add_argument("--faults", nargs="+", choices=list(FAULTS), default=list(FAULTS), help="default: all")
    parser.add_argument("--folder", type=Path, default=None, help="to work in and keep (default: a temporary one)")
    given = parser.parse_args(arguments)
    if not sys.platform.startswith("linux"):
        parser.error("processes are read from /proc and disks are filled through tmpfs: run it on Linux")
    if given.rounds < 1 or given.cells < 1 or given.workers < 1:
        parser.error("--rounds, --cells and --workers must be at least 1")
    if given.folder is not None:
        given.folder.mkdir(parents=True)
        return _torture(given.folder, given)
    with tempfile.TemporaryDirectory(prefix="reshift-torture-") as folder:
        return _torture(Path(folder), given)


def _torture(folder: Path, given: argparse.Namespace) -> int:
    found = torture(folder, given.rounds, given.cells, given.workers, given.seed, given.faults)
    print("\n".join(found.lines()))
    return 1 if found.losses else 0


if __name__ == "__main__":
    sys.exit(main())
