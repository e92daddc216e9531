"""Arrays larger than memory: `.npy` files written piece by piece and read through memory maps."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reshift.datamodules.cache_folder import DamagedError


def write_array(path: Path, dtype: str, shape: tuple[int, ...], pieces: Iterable[NDArray[Any]]) -> None:
    """Write `pieces`, which follow one another along the leading axes of `shape`, holding one of them at a time."""
    # Plain writes, not a writable map: a full disk is then an error here and not a bus error in a worker.
    with path.open("wb") as handle:
        header = {"descr": dtype, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(handle, header)
        for piece in pieces:
            handle.write(np.ascontiguousarray(piece, dtype).data)
        handle.flush()
        os.fsync(handle.fileno())  # a power cut must not keep the entry's name and lose its bytes


def open_array(path: Path) -> NDArray[Any]:
    """A read-only memory map of the file, which `in_use` tells of as long as the map or a part of it lives.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedError: it is cut short, or no `.npy` file.
    """
    with path.open("rb") as handle:
        with suppress(OSError):  # where a file system knows no locks, reading must not fail for it
            fcntl.flock(handle, fcntl.LOCK_SH)
        try:
            np.lib.format.read_magic(handle)
            shape, _, dtype = np.lib.format.read_array_header_1_0(handle)
        except ValueError as error:
            raise DamagedError(f"{path}: is no array ({error})") from error
        there, due = os.fstat(handle.fileno()).st_size, handle.tell() + prod(shape) * dtype.itemsize
        if there != due:
            raise DamagedError(f"{path}: holds {there} bytes of {due}")
        if not prod(shape):
            return np.zeros(shape, dtype)  # a memory map of no bytes cannot be made
        # The map duplicates the descriptor and the lock with it, in forked workers too: both end with the last map.
        return np.memmap(handle, dtype, "r", handle.tell(), shape)


def in_use(path: Path) -> bool:
    """Whether any process holds a map of the file that `open_array` made.

    Raises:
        OSError: this process may not write the file.
    """
    with path.open("r+b") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
