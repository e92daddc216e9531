"""Progress of long preparations, for people who wait at a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Called with (done, total) while a cache is built."""


class StderrProgress:
    """Prints `what: done/total, seconds left` on stderr every two seconds; short preparations stay silent.

    A count that falls begins another preparation of that name, such as the next cache, which takes its own time.
    """

    interval = 2.0

    def __init__(self, what: str) -> None:
        self.what = what
        self.started: float | None = None
        self.printed = 0.0
        self.first = self.done = 0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self.started is None or done < self.done:
            self.started = self.printed = now
            self.first = done
        self.done = done
        if now - self.printed < self.interval:
            return
        self.printed = now
        left = (now - self.started) / max(done - self.first, 1) * (total - done)
        print(f"{self.what}: {done}/{total}, about {left:.0f} s left", file=sys.stderr, flush=True)


def tracked(items: Sequence[T], what: str) -> Iterator[T]:
    """The items one by one, with `StderrProgress` on how many of them are dealt with."""
    progress = StderrProgress(what)
    progress(0, len(items))
    for done, item in enumerate(items, start=1):
        yield item
        progress(done, len(items))
