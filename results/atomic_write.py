"""Writing a file so that a reader, a crash or a full disk never meets half of it."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step: temp file in the same folder, fsync, `os.replace`, fsync of the folder.

    The folder must exist. Whatever happens, `path` holds its old bytes or all of the new ones, and no temp file stays
    behind unless the process is killed (its name starts with a dot and ends in `.tmp`).

    Raises:
        OSError: the disk refused; for a full disk (ENOSPC, EDQUOT) the message says what to do.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)  # mkstemp gives 0600, which would make a shared run folder unreadable to others
        os.replace(name, path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(
                error.errno,
                f"disk full while writing {len(content)} bytes; free space and run the same command again, "
                f"finished cells are kept",
                str(path),
            ) from error
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # Without this the new name itself may be lost in a power cut, although the file's content is safe.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
