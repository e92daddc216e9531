"""Where caches live, and how several processes build one entry exactly once."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from reshift.datamodules.dataset import DataError


def cache_root() -> Path:
    """`$RESHIFT_CACHE` where it is set, otherwise `~/.cache/reshift`."""
    chosen = os.environ.get("RESHIFT_CACHE", "")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "reshift"


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """Return `folder`, filled by `build(empty folder)` if it does not exist yet.

    The entry is built beside its final place and renamed when complete, so a reader never sees half of it and a
    killed build leaves nothing that is taken for whole. A second process waits for the first and reuses its result.

    Raises:
        DataError: the cache cannot be written (disk full, no permission).
    """
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_name(folder.name + ".lock")):
            if folder.is_dir():
                return folder
            partial = folder.with_name(folder.name + ".partial")
            shutil.rmtree(partial, ignore_errors=True)  # left by a build that was killed; the lock says nobody is on it
            partial.mkdir()
            try:
                build(partial)
                os.replace(partial, folder)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
    except OSError as error:
        raise DataError(
            f"{folder}: the cache cannot be written ({error.strerror or error}); "
            f"free some space or set RESHIFT_CACHE to a folder that can hold it"
        ) from error
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # released by the kernel when the process dies, however it dies
        yield
