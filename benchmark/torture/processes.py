"""Processes of a run: who its workers are, and whether all are gone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

WORKER = b"spawn_main"  # stands in the command line of every process that multiprocessing starts for work


def workers_of(parent: int) -> list[int]:
    """Ids of the worker processes of a run, oldest first (Linux: read from /proc)."""
    found = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{parent}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text(encoding="ascii").split()]
    return sorted(child for child in found if WORKER in _command(child))


def kill(process: int) -> bool:
    """SIGKILL; whether there was such a process."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def left_after(processes: Iterable[int], seconds: float) -> list[int]:
    """Which of these processes still live after so many seconds; returns as soon as none does."""
    until = time.monotonic() + seconds
    living = [process for process in processes if _alive(process)]
    while living and time.monotonic() < until:
        time.sleep(0.02)
        living = [process for process in living if _alive(process)]
    return living


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _alive(process: int) -> bool:
    """A zombie is dead: it waits to be reaped by whoever took it over."""
    try:
        told = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return told.rpartition(")")[2].split()[0] not in "ZX"  # the name before it may hold anything
