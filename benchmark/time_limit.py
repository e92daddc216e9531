"""Stops a cell that takes longer than it may."""

from __future__ import annotations

import faulthandler
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

GRACE_SECONDS = 30.0
"""After so many seconds more, code that hears no signal (a library that does not return) ends with its process."""

HUNG_FILE = "hung.txt"


class TimeLimitError(RuntimeError):
    """A cell did not end in time."""


@contextmanager
def time_limit(seconds: float, folder: Path) -> Iterator[None]:
    """Raise `TimeLimitError` in what is inside after `seconds`; 0 means never. For the main thread of a process.

    Where that does not stop it within `GRACE_SECONDS`, the process ends, and `hung.txt` in the folder says where every
    thread of it stood.
    """
    if not seconds:
        yield
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        raise TimeLimitError(
            f"stopped after {seconds:g} s, its time limit; raise the limit, or lower steps, size or trials"
        )

    before = signal.signal(signal.SIGALRM, stop)
    with (folder / HUNG_FILE).open("w", encoding="utf-8") as told:
        # Python's own watchdog needs neither the interpreter nor its lock.
        faulthandler.dump_traceback_later(seconds + GRACE_SECONDS, exit=True, file=told)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            faulthandler.cancel_dump_traceback_later()
            signal.signal(signal.SIGALRM, before)
            (folder / HUNG_FILE).unlink(missing_ok=True)


def hung(folder: Path) -> str:
    """How the last process that computed a cell ended, where it had to be ended; otherwise nothing."""
    path = folder / HUNG_FILE
    if not path.is_file() or not path.stat().st_size:
        return ""
    return f"hung beyond its time limit in code that hears no signal, see {path}; its process was ended"
