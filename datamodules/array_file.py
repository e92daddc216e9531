"""Arrays larger than memory: `.npy` files written piece by piece and read through memory maps."""

from __future__ import annotations

import fcntl
import os
import re
import zlib
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reshift.datamodules.cache_folder import DamagedError

_NOTE = re.compile(rb"#crc32=([0-9a-f]{8})\n")
_NOTE_BYTES = len("#crc32=00000000\n")
_PIECE = 2**22  # bytes read at once


def write_array(path: Path, dtype: str, shape: tuple[int, ...], pieces: Iterable[NDArray[Any]]) -> None:
    """Write `pieces`, which follow one another along the leading axes of `shape`, holding one of them at a time.

    A checksum of header and content stands as a comment in the blanks at the header's end, where any reader of `.npy`
    passes over it.
    """
    # Plain writes, not a writable map: a full disk is then an error here and not a bus error in a worker.
    with path.open("wb") as handle:
        header = {"descr": dtype, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(handle, header)
        begins = handle.tell()
        checksum = _of_header(np.dtype(dtype), shape)
        for piece in pieces:
            data = np.ascontiguousarray(piece, dtype).data
            checksum = zlib.crc32(data, checksum)
            handle.write(data)
        handle.seek(begins - _NOTE_BYTES)
        handle.write(f"#crc32={checksum:08x}\n".encode())
        handle.flush()
        os.fsync(handle.fileno())  # a power cut must not keep the entry's name and lose its bytes


def open_array(path: Path) -> NDArray[Any]:
    """A read-only memory map of the file, which `in_use` tells of as long as the map or a part of it lives.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedError: it is cut short, no `.npy` file, or not what its checksum was taken of; a process computes the
            latter once a file (6 GB/s). Files from before there were checksums are taken as they are.
    """
    with path.open("rb") as handle:
        with suppress(OSError):  # where a file system knows no locks, reading must not fail for it
            fcntl.flock(handle, fcntl.LOCK_SH)
        try:
            np.lib.format.read_magic(handle)
            shape, _, dtype = np.lib.format.read_array_header_1_0(handle)
        except (ValueError, SyntaxError, TokenError) as error:  # the last two from numpy's look at a damaged header
            raise DamagedError(f"{path}: is no array ({error})") from error
        there, due = os.fstat(handle.fileno()).st_size, handle.tell() + prod(shape) * dtype.itemsize
        if there != due:
            raise DamagedError(f"{path}: holds {there} bytes of {due}")
        begins, info = handle.tell(), os.fstat(handle.fileno())
        noted = _noted(os.pread(handle.fileno(), begins, 0))
        if noted is not None and noted != _checksum(path, begins, dtype, shape, info.st_ino, info.st_mtime_ns):
            raise DamagedError(f"{path}: its checksum is not the one it was written with")
        if not prod(shape):
            return np.zeros(shape, dtype)  # a memory map of no bytes cannot be made
        # The map duplicates the descriptor and the lock with it, in forked workers too: both end with the last map.
        return np.memmap(handle, dtype, "r", handle.tell(), shape)


def _noted(header: bytes) -> int | None:
    """The checksum in a header; None where there is none, and -1, which none is, where something else stands there."""
    if found := _NOTE.fullmatch(header[-_NOTE_BYTES:]):
        return int(found[1], 16)
    return None if not header[-_NOTE_BYTES:].strip() else -1


@lru_cache(maxsize=1024)
def _checksum(path: Path, begins: int, dtype: np.dtype[Any], shape: tuple[int, ...], inode: int, changed: int) -> int:
    """The checksum of a file as it is; inode and date of change tell one file of that name from another."""
    checksum = _of_header(dtype, shape)
    with path.open("rb") as handle:
        handle.seek(begins)
        while piece := handle.read(_PIECE):
            checksum = zlib.crc32(piece, checksum)
    return checksum


def _of_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
    return zlib.crc32(f"{dtype.str} {[int(side) for side in shape]}".encode())


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
