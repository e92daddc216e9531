"""Where caches live, and how several processes build one entry exactly once."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from reshift.datamodules.dataset import DataError

Opened = TypeVar("Opened")


class DamagedError(Exception):
    """An entry that is there but not whole; the message says which file and why."""


def cache_root() -> Path:
    """`$RESHIFT_CACHE` where it is set, otherwise `~/.cache/reshift`."""
    chosen = os.environ.get("RESHIFT_CACHE", "")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "reshift"


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """Return `folder`, filled by `build(empty folder)` if it does not exist yet.

    Raises:
        DataError: the cache cannot be written (disk full, no permission).
    """

    def opened(folder: Path) -> Path:
        if not folder.is_dir():
            raise FileNotFoundError(folder)
        return folder

    return open_entry(folder, build, opened)


def open_entry(folder: Path, build: Callable[[Path], None], opened: Callable[[Path], Opened]) -> Opened:
    """Return `opened(folder)`, after `build(empty folder)` where the entry is absent or damaged.

    The entry is built beside its final place and renamed when complete, so a reader never sees half of it and a
    killed build leaves nothing that is taken for whole. A second process waits for the first and reuses its result.

    Args:
        opened: raises `FileNotFoundError` or `DamagedError` for an entry that must be built. A file that it keeps open
            outlives the removal of the entry; a path that it returns may not.

    Raises:
        DataError: the cache cannot be written (disk full, no permission).
    """
    try:
        with suppress(FileNotFoundError, DamagedError):
            return opened(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            try:
                return opened(folder)  # another process was faster
            except FileNotFoundError:
                pass
            except DamagedError as error:
                print(f"cache: {error}; it is built again", file=sys.stderr, flush=True)
            _build(folder, build)
            found = opened(folder)
        _sweep(folder.parent)
        return found
    except OSError as error:
        raise DataError(
            f"{folder}: the cache cannot be written ({error.strerror or error}); "
            f"free some space or set RESHIFT_CACHE to a folder that can hold it"
        ) from error


@contextmanager
def locked(folder: Path, wait: bool = True) -> Iterator[None]:
    """Keep other processes from building or removing this entry; the kernel lets go when this one dies.

    Raises:
        BlockingIOError: another process is at it, and `wait` is False.
    """
    path = folder.with_name(folder.name + ".lock")
    while True:
        with path.open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if not _is_still(path, handle.fileno()):  # its last holder deleted it: this lock would hold off nobody
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _is_still(path: Path, descriptor: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def partial_of(folder: Path) -> Path:
    """Where an entry stands while it is built or removed; only the holder of its lock may touch it."""
    return folder.with_name(folder.name + ".partial")


def _build(folder: Path, build: Callable[[Path], None]) -> None:
    partial = partial_of(folder)
    for leftover in (partial, folder):  # of a build that was killed, and the damaged entry
        if leftover.exists():
            shutil.rmtree(leftover)
    partial.mkdir()
    try:
        build(partial)
        os.replace(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _sweep(parent: Path) -> None:
    """Remove what killed processes left of any entry here."""
    for suffix in (".partial", ".lock"):
        for path in parent.glob(f"*{suffix}"):
            folder = path.with_name(path.name.removesuffix(suffix))
            with suppress(OSError), locked(folder, wait=False):  # held: somebody is building it
                shutil.rmtree(partial_of(folder), ignore_errors=True)
