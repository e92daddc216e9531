"""Memory and open files of the processes of a run, taken after every cell, and whether they stay flat."""

from __future__ import annotations

import os
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from reshift.benchmark.progress import RunProgress
from reshift.benchmark.torture.processes import workers_of
from reshift.results.plan import PlannedCell

MOST_GROWTH = 0.05
FEWEST_SAMPLES = 40
"""Of a process, before its quarters say anything."""


@dataclass(frozen=True)
class Growth:
    """One figure of one process over a run.

    Attributes:
        what: process and figure, for a person.
        second, last: what stands for the second and the last quarter of the samples.
    """

    what: str
    second: float
    last: float

    @property
    def flat(self) -> bool:
        """The last quarter lies at most 5 % above the second; the first is left out, when libraries still load."""
        return self.last <= self.second * (1 + MOST_GROWTH)


def growth(what: str, samples: Sequence[float], of: Callable[[Sequence[float]], float] = statistics.median) -> Growth:
    """Second against last quarter of samples in the order of time, at least four of them; `of` stands for a quarter."""
    quarter = len(samples) // 4
    return Growth(what, of(samples[quarter : 2 * quarter]), of(samples[-quarter:]))


class Sampled(RunProgress):
    """Progress of a run in this process that samples it and its workers after every cell (Linux: /proc).

    Attributes:
        samples: (resident MiB, open files) in the order of time, by process id.
    """

    def __init__(
        self, cells: Sequence[PlannedCell], already_done: int, workers: int, out: TextIO | None = None
    ) -> None:
        super().__init__(cells, already_done, workers, out)
        self.samples: defaultdict[int, list[tuple[float, int]]] = defaultdict(list)

    def finished(self, cell: str, seconds: float) -> None:
        super().finished(cell, seconds)
        for process in (os.getpid(), *workers_of(os.getpid())):
            try:
                self.samples[process].append((resident_mib(process), open_files(process)))
            except (FileNotFoundError, ProcessLookupError):
                continue  # a worker that ended meanwhile

    def growths(self) -> list[Growth]:
        """Of every process that lived for at least `FEWEST_SAMPLES` cells."""
        found = []
        for process, samples in self.samples.items():
            if len(samples) < FEWEST_SAMPLES:
                continue
            name = "run" if process == os.getpid() else f"worker {process}"
            found.append(growth(f"{name}: resident MiB", [memory for memory, _ in samples]))
            # The fewest: a cell at work holds its lease and its log for a moment, what leaks stays for good.
            found.append(growth(f"{name}: open files", [files for _, files in samples], min))
        return found


def resident_mib(process: int | Literal["self"] = "self") -> float:
    """Memory of a process that is in RAM, in MiB, libraries and mapped files included.

    Raises:
        OSError: no such process, or a system without /proc; measure on Linux.
    """
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def open_files(process: int) -> int:
    """File handles of a process: files, pipes, sockets."""
    return len(os.listdir(f"/proc/{process}/fd"))
