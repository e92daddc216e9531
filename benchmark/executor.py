"""Gives out bundles of cells to workers, wherever these run, and follows each cell to its record or failure."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from reshift.benchmark.progress import RunProgress
from reshift.benchmark.sharing import prefix_key
from reshift.benchmark.time_limit import hung
from reshift.benchmark.worker import Job
from reshift.results.plan import PlannedCell
from reshift.results.record import read_header
from reshift.results.store import RunStore, Status

LOOK_SECONDS = 0.5
ELSEWHERE_SECONDS = 2.0  # between looks at cells that other processes hold

Bundle = list[PlannedCell]


@dataclass(frozen=True)
class Ended:
    """A bundle that a worker no longer works on.

    Attributes:
        left: ids of its cells that another process holds.
        lost: how the worker died, or "".
        error: what the worker raised outside any cell, or "".
    """

    bundle: Bundle
    left: frozenset[str] = frozenset()
    lost: str = ""
    error: str = ""


class Workers(Protocol):
    """Processes that compute bundles: on this machine, on a Ray cluster, in Slurm jobs.

    Attributes:
        retries: how often a cell is tried again whose worker died; a cell that raised is retried by the next run.
        slots: how many bundles are computed at once, as far as is known.
    """

    retries: int

    @property
    def slots(self) -> int: ...

    def submit(self, groups: Sequence[Bundle]) -> None:
        """Take bundles, to be begun in this order."""

    def ended(self, seconds: float) -> list[Ended]:
        """Bundles that ended since the last call; waits for one, at most about so many seconds."""

    def running(self) -> list[Bundle]:
        """Bundles that are being computed, as far as is known."""

    def busy(self) -> bool:
        """Whether a bundle was taken that has not ended."""

    def close(self) -> None:
        """Stop all workers; cells in computation are lost, finished ones stay."""


def bundles(cells: Sequence[PlannedCell]) -> list[Bundle]:
    """Group cells that share their training, or its first phase.

    Bundles come in the order of their first cell, so an interrupted run is complete for early seeds.
    """
    groups: dict[str, Bundle] = defaultdict(list)
    for cell in cells:
        groups[prefix_key(cell.identity)].append(cell)
    return list(groups.values())


def run_cells(job: Job, groups: Sequence[Bundle], progress: RunProgress, workers: Workers) -> None:
    """Have the bundles computed, and report each cell as it ends.

    On return every cell has a record or a failure, or its failure could not be written and was reported. A worker
    that dies costs the cell it was at: the rest of its bundle goes to another one. Cells that other runs on the same
    store hold are waited for, and computed here if their holder dies.

    Raises:
        KeyboardInterrupt: after the workers were stopped; finished cells stay.
    """
    ledger = _Ledger(RunStore(job.run), groups, progress, workers.retries)
    try:
        workers.submit([list(bundle) for bundle in groups])
        while workers.busy() or ledger.elsewhere:
            if again := ledger.regained():
                workers.submit(again)
            ended = workers.ended(LOOK_SECONDS)
            running = workers.running()
            progress.workers = max(1, workers.slots)
            for bundle in running:
                ledger.follow(bundle)
            progress.status(bundle[0] for bundle in running if bundle)
            if again := [rest for end in ended if (rest := ledger.close(end))]:
                workers.submit(again)
    finally:
        workers.close()
        progress.close()


class _Ledger:
    """What became of every cell that was given out. A bundle shrinks as its cells end."""

    def __init__(self, store: RunStore, groups: Sequence[Bundle], progress: RunProgress, retries: int) -> None:
        self.store, self.progress, self.retries = store, progress, retries
        self.attempts = {cell.id: self._attempts(cell) for bundle in groups for cell in bundle}
        self.deaths: Counter[str] = Counter()
        self.elsewhere: list[Bundle] = []
        self._looked = 0.0

    def follow(self, bundle: Bundle) -> None:
        """Report and drop what ended at the front of a bundle; its first cell is then the one being computed."""
        while bundle and self._ended(bundle[0]):
            del bundle[0]

    def close(self, end: Ended) -> Bundle:
        """Settle a bundle that ended; what is to be computed again comes back."""
        rest = self._open(end.bundle)
        if rest and end.lost:
            victim = rest[0]
            self.deaths[victim.id] += 1
            hanging = hung(self.store.folder(victim.id))
            if hanging or self.deaths[victim.id] > self.retries:
                self.store.write_failure(victim.id, "TimeLimitError" if hanging else "WorkerDied", hanging or end.lost)
                self.progress.failure(victim.id, hanging or end.lost)
                return rest[1:]
            self.progress.retry(victim.id, end.lost)
            return rest
        if held := [cell for cell in rest if cell.id in end.left]:
            self.elsewhere.append(held)
        for cell in rest:
            if cell.id not in end.left:
                self.progress.failure(cell.id, f"left neither record nor failure: {end.error or 'is the disk full?'}")
        return []

    def regained(self) -> list[Bundle]:
        """Bundles that were held elsewhere and that nobody holds any more."""
        if time.monotonic() - self._looked < ELSEWHERE_SECONDS:
            return []
        self._looked = time.monotonic()
        still = [rest for bundle in self.elsewhere if (rest := self._open(bundle))]
        # Every lease is looked at each time, since only watching tells a dead holder from a slow one.
        free = [rest for rest in still if all([self.store.status(c.id) is not Status.RUNNING for c in rest])]
        again = [rest for rest in free if all(self.store.reclaim(cell.id) for cell in rest)]
        self.elsewhere = [rest for rest in still if rest not in again]
        return again

    def _open(self, bundle: Bundle) -> Bundle:
        return [cell for cell in bundle if not self._ended(cell, fresh=True)]

    def _ended(self, cell: PlannedCell, fresh: bool = False) -> bool:
        folder = self.store.folder(cell.id)
        if fresh and folder.exists():
            os.listdir(folder)  # makes a network file system look at the folder anew
        if self.store.status(cell.id) is Status.DONE:
            self.progress.finished(cell.id, float(read_header(folder).run["seconds"]))
        elif self._attempts(cell) > self.attempts[cell.id]:
            failure = self.store.failure(cell.id)
            self.progress.failure(cell.id, failure.message if failure else "")
        else:
            return False
        return True

    def _attempts(self, cell: PlannedCell) -> int:
        failure = self.store.failure(cell.id)
        return failure.attempts if failure else 0
