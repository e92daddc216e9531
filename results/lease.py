"""Who computes a cell: a file lock that dies with its process."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LeaseHeld(RuntimeError):
    """Another process computes this cell right now."""


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lease file `path`, made if absent.

    It is an `flock`, which the system drops when the process dies, so nothing stale is ever left; a child forked
    meanwhile shares it until it ends too. The empty file stays: removing it would let two processes lock two different
    files of that name.

    Raises:
        LeaseHeld: another process, or this one, holds it.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not lock(handle):
            raise LeaseHeld(f"{path}: held by another process, which computes this cell; leave it to that one")
        yield
    finally:
        os.close(handle)


def is_held(path: Path) -> bool:
    """Whether somebody holds the lease file; False where it does not exist."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two onlookers do not take each other for a worker.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(handle)


def lock(handle: int) -> bool:
    """Lock an open lease file for this process alone; False where another one has it."""
    # `is_held` takes the lock for an instant: a worker must not lose against a mere look, so it tries again.
    for _ in range(10):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.02)
    return False
