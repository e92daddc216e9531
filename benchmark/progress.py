"""Tells a person where a run stands: cells done and total, what runs now, time left."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TextIO

from reshift.results.plan import PlannedCell


class RunProgress:
    """One line a finished cell; on a terminal, a status line below that renews itself.

    Time left is the sum over open cells of the mean seconds their model took so far (the overall mean for a model
    not seen yet), divided by the number of workers.
    """

    def __init__(
        self, cells: Sequence[PlannedCell], already_done: int, workers: int, out: TextIO | None = None
    ) -> None:
        self.open = {cell.id: cell for cell in cells}
        self.total = len(cells) + already_done
        self.done = already_done
        self.failed = 0
        self.workers = workers
        self.out = out or sys.stderr
        self.live = self.out.isatty()
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.started = self.last_status = time.monotonic()

    def finished(self, cell: str, seconds: float) -> None:
        """A cell left a record."""
        planned = self.open.pop(cell)
        self.done += 1
        self.seconds[planned.model].append(seconds)
        self._line(f"[{self.done}/{self.total}] done    {_title(planned)}  {seconds:.1f} s  {self.time_left()}")

    def failure(self, cell: str, reason: str) -> None:
        """A cell failed for good in this run."""
        planned = self.open.pop(cell)
        self.failed += 1
        self._line(f"[{self.done}/{self.total}] FAILED  {_title(planned)}: {reason}")

    def retry(self, cell: str, reason: str) -> None:
        """A cell is tried once more."""
        self._line(f"[{self.done}/{self.total}] again   {_title(self.open[cell])}: {reason}")

    def status(self, running: Iterable[PlannedCell]) -> None:
        """Renew the status line; where output is not a terminal, print one every 30 seconds."""
        now = time.monotonic()
        if now - self.last_status < (0.5 if self.live else 30):
            return
        self.last_status = now
        current = "; ".join(_title(cell) for cell in running) or "starting"
        text = f"{self.done}/{self.total} done, {self.failed} failed, {self.time_left()} | now: {current}"
        if self.live:
            self.out.write("\r\x1b[2K" + text[:150])
            self.out.flush()
        else:
            self._line(text)

    def time_left(self) -> str:
        """In words; nothing is claimed before the first cell is done."""
        if not self.seconds or not self.open:
            return "" if not self.open else "time left unknown yet"
        means = {model: sum(s) / len(s) for model, s in self.seconds.items()}
        overall = sum(means.values()) / len(means)
        left = sum(means.get(cell.model, overall) for cell in self.open.values()) / self.workers
        return f"about {left / 60:.0f} min left" if left >= 90 else f"about {left:.0f} s left"

    def close(self) -> None:
        """End the status line."""
        if self.live:
            self.out.write("\r\x1b[2K")
            self.out.flush()

    def _line(self, text: str) -> None:
        self.out.write(("\r\x1b[2K" if self.live else "") + text + "\n")
        self.out.flush()


def _title(cell: PlannedCell) -> str:
    return f"{cell.model} on {cell.protocol}/{cell.split} seed {cell.seed}"
