"""Progress of long preparations, for people who wait at a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with (done, total) while a cache is built."""


class StderrProgress:
    """Prints `what: done/total, seconds left` on stderr every two seconds; short preparations stay silent."""

    interval = 2.0

    def __init__(self, what: str) -> None:
        self.what = what
        self.started: float | None = None
        self.printed = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self.started is None:
            self.started = self.printed = now
        if now - self.printed < self.interval:
            return
        self.printed = now
        left = (now - self.started) / max(done, 1) * (total - done)
        print(f"{self.what}: {done}/{total}, about {left:.0f} s left", file=sys.stderr, flush=True)
