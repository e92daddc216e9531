"""Keeps cached arrays within a size: the least recently used leave when a new entry is built."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reshift.datamodules.array_file import in_use
from reshift.datamodules.cache_folder import Opened, cache_root, locked, open_entry, partial_of
from reshift.datamodules.dataset import DataError

DEFAULT_LIMIT = "50GB"

LIMITED = ("images", "masks", "features")
"""Kinds of entries that may be removed: arrays, which can be made again from the data. Rendered worlds are data, read
by path for as long as a run lasts, and what training computed is small and dear."""

TOO_SOON = 3600.0
"""Seconds; an entry removed so soon after its use will be wanted again, so its removal is told."""


@dataclass(frozen=True)
class _Entry:
    folder: Path
    used: float  # seconds since the epoch: the folder's modification time, set on every use; mounts may keep no atime
    size: int  # bytes


def cache_limit() -> int:
    """Bytes that cached arrays may take: `$RESHIFT_CACHE_LIMIT`, such as "500MB" or "1.5TB", or `DEFAULT_LIMIT`.

    Raises:
        DataError: it is no such size.
    """
    text = os.environ.get("RESHIFT_CACHE_LIMIT") or DEFAULT_LIMIT
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT])B", text.strip().upper())
    if found is None:
        raise DataError(f"RESHIFT_CACHE_LIMIT: {text!r} is no size; write a number and KB, MB, GB or TB, such as 20GB")
    return int(float(found[1]) * 1000 ** ("KMGT".index(found[2]) + 1))


def open_limited(kind: str, key: str, build: Callable[[Path], None], opened: Callable[[Path], Opened]) -> Opened:
    """As `open_entry` for the entry `key` of a kind in `LIMITED`; where it was built, others may leave.

    What is removed is absent for later readers and harmless to present ones: entries with a map in use stay, so that
    the caches may exceed the limit by what is being worked with, and so does the entry itself.

    Raises:
        DataError: the cache cannot be written, or `cache_limit` makes no sense.
    """
    limit = cache_limit()
    folder = cache_root() / kind / key
    built = False

    def build_and_note(empty: Path) -> None:
        nonlocal built
        build(empty)
        built = True

    found = open_entry(folder, build_and_note, opened)
    with suppress(OSError):  # a shared cache may be read-only
        os.utime(folder)
    if built:
        _make_room(limit, folder)
    return found


def _make_room(limit: int, stays: Path) -> None:
    entries = sorted(_entries(stays.parent.parent), key=lambda entry: entry.used)
    excess = sum(entry.size for entry in entries) - limit
    for entry in entries:
        if excess <= 0:
            break
        if entry.folder == stays or not _removed(entry.folder):
            continue
        excess -= entry.size
        age = time.time() - entry.used
        if age < TOO_SOON:
            print(
                f"cache: {entry.folder} ({entry.size / 1e9:.3g} GB) had to leave {age / 60:.0f} minutes after its last "
                f"use; set RESHIFT_CACHE_LIMIT (now {limit / 1e9:g}GB) higher if it is built again and again",
                file=sys.stderr,
                flush=True,
            )


def _entries(root: Path) -> list[_Entry]:
    found = []
    for folder in (folder for kind in LIMITED for folder in root.glob(f"{kind}/*")):
        if folder.suffix in (".partial", ".lock"):
            continue
        with suppress(OSError):  # another process may be removing it
            size = sum(path.stat().st_size for path in folder.iterdir())
            found.append(_Entry(folder, folder.stat().st_mtime, size))
    return found


def _removed(folder: Path) -> bool:
    """Remove the entry unless a process uses or builds it; whether it is gone."""
    with suppress(OSError), locked(folder, wait=False):
        if any(in_use(path) for path in folder.glob("*.npy")):
            return False
        gone = partial_of(folder)
        shutil.rmtree(gone, ignore_errors=True)
        os.replace(folder, gone)  # in one step, so that nobody opens half of it
        shutil.rmtree(gone)
    return not folder.exists()
