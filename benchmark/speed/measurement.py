"""One measured figure of cost, and how two ways of doing the same are timed side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Literal

from reshift.benchmark.worker import start_worker


@dataclass(frozen=True)
class Measurement:
    """A figure against the one that was set for it.

    Attributes:
        what, against: what was measured and what it is compared with, "" where a plain limit is set.
        value: the figure, in `unit`.
        unit: "x" times faster than `against`, "x its time" the time `against` takes, or "s", "MiB", "%".
        bound, target: the figure should be "at least" or "at most" this.
        detail: what it was made of, by name with the unit, e.g. {"ours_s": 0.2, "theirs_s": 2.1, "rounds": 5}.
        note: one sentence on why a target is missed and what bounds it, or what a reader must know; "" if nothing.
    """

    what: str
    against: str
    value: float
    unit: Literal["x", "x its time", "s", "MiB", "%"]
    bound: Literal["at least", "at most"]
    target: float
    detail: dict[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the figure is within its bound."""
        return self.value >= self.target if self.bound == "at least" else self.value <= self.target


@dataclass(frozen=True)
class SideBySide:
    """Seconds of every round, ours and theirs, (R,) each."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def speedup(self) -> float:
        """How many times longer theirs takes: the median over rounds, so that a disturbed round does not decide."""
        return statistics.median(b / a for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def detail(self) -> dict[str, float]:
        """Medians and number of rounds, for a `Measurement`."""
        return {
            "ours_s": statistics.median(self.ours),
            "theirs_s": statistics.median(self.theirs),
            "rounds": len(self.ours),
        }


def side_by_side(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> SideBySide:
    """Time both in turn, round by round, after one untimed call each; who goes first alternates."""
    ours()
    theirs()
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        for which, call in sorted(enumerate((ours, theirs)), reverse=bool(number % 2)):
            started = time.perf_counter()
            call()
            times[which].append(time.perf_counter() - started)
    return SideBySide(tuple(times[0]), tuple(times[1]))


def measured(name: str, scratch: Path) -> Measurement:
    """What module `name` of this package measures in this process, made ready as a worker's is."""
    start_worker()
    found: Measurement = import_module(f"reshift.benchmark.speed.{name}").measure(scratch)
    return found
