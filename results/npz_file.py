"""Arrays as npz bytes that depend on their content alone, and back, without pickles."""

from __future__ import annotations

import io
import lzma
import struct
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

MOST_BYTES = 1 << 30
"""Of all arrays of a file; those of 150,000 images take a tenth of it."""

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    tokenize.TokenError,
    struct.error,
    SyntaxError,
    TypeError,
    LookupError,
    ValueError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
)
"""What numpy and zipfile raise at damaged bytes; MemoryError where a header claims a shape that is not there."""


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Compressed; the same arrays in the same order give the same bytes, since numpy stamps members with 1980-01-01."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


@contextmanager
def open_npz(content: bytes, what: str) -> Iterator[Mapping[str, Any]]:
    """The arrays by name, read as they are asked for.

    Raises:
        ValueError: "not a `what` file": the bytes are no npz, one that unpacks to more than `MOST_BYTES`, lack an array
            that is asked for, or the block finds it wrong by raising a ValueError.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it is one array")
            if archive.zip is None or sum(info.file_size for info in archive.zip.infolist()) > MOST_BYTES:
                raise ValueError(f"it unpacks to more than {MOST_BYTES >> 20} MiB")
            yield archive
    except _DAMAGE as error:
        raise ValueError(f"not a {what} file ({' '.join(str(error).split())[:200]})") from error


def numbered(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Columns of any name as members: a member is a file name, so they are numbered and their names are one more."""
    members = {f"c{i:02d}": array for i, array in enumerate(columns.values())}
    return {"columns": np.array(list(columns), dtype=np.str_), **members}


def by_name(archive: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The columns that `numbered` was given."""
    names = _array(archive, "columns")
    return {str(name): _array(archive, f"c{i:02d}") for i, name in enumerate(names)}


def _array(archive: Mapping[str, Any], member: str) -> np.ndarray:
    """A member that is an array, and whose texts Python can hold: it ends with a SystemError at others."""
    found = archive[member]
    if not isinstance(found, np.ndarray):
        raise ValueError(f"member {member} is no array")
    if found.dtype.kind == "U":
        points = np.frombuffer(found.astype(found.dtype.newbyteorder("=")).tobytes(), np.uint32)
        if points.max(initial=0) > sys.maxunicode:
            raise ValueError(f"member {member} holds what is no text")
    return found
