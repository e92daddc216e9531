"""A small file system of one's own that can be filled, and made read-only, without harm to anything else."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MIB = 64
_FILLER = "filler"


class Volume:
    """Where the runs under torture stand: a tmpfs where this user may mount one, else a plain folder.

    On a plain folder a full disk is a limit on the length of files (RLIMIT_FSIZE) of the processes at work, and a
    read-only one a folder without write permission, which binds anybody but root.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.mounted = _succeeds("mount", "-t", "tmpfs", "-o", f"size={MIB}m", "reshift-torture", str(path))

    @property
    def means(self) -> str:
        """How faults of the disk are made, in words."""
        if self.mounted:
            return f"a tmpfs of {MIB} MiB, filled or remounted read-only"
        return "RLIMIT_FSIZE and permissions: this user may not mount a tmpfs"

    @property
    def can_be_read_only(self) -> bool:
        return self.mounted or os.geteuid() != 0

    @contextmanager
    def full(self, slack: int, processes: Iterable[int]) -> Iterator[None]:
        """No room for more than `slack` bytes; on a plain folder: these processes write no longer files than that."""
        if not self.mounted:
            with _short_files(slack, processes):
                yield
            return
        filler = self.path / _FILLER
        try:
            _fill(filler, slack)
            yield
        finally:
            filler.unlink(missing_ok=True)

    def read_only(self) -> bool:
        """Forbid writing; False where that is refused, since a file is being written to at this moment."""
        if self.mounted:
            return _succeeds("mount", "-o", "remount,ro", str(self.path))
        for folder in self._folders():
            folder.chmod(0o555)
        return True

    def writable(self) -> None:
        """Allow writing again."""
        if self.mounted:
            subprocess.run(["mount", "-o", "remount,rw", str(self.path)], check=True)
            return
        for folder in self._folders():
            folder.chmod(0o755)

    def remove(self) -> None:
        """Unmount; the folder stays, empty if it was mounted."""
        if self.mounted:
            # Lazily: a process that just died may still be on its way out.
            _succeeds("umount", "-l", str(self.path))

    def _folders(self) -> list[Path]:
        return [self.path, *(path for path in sorted(self.path.rglob("*")) if path.is_dir())]


def _fill(filler: Path, slack: int) -> None:
    piece = bytes(2**16)
    with filler.open("wb", buffering=0) as file:
        with suppress(OSError):  # full: as intended
            while file.write(piece):
                pass
        file.truncate(max(0, file.tell() - slack))


@contextmanager
def _short_files(most: int, processes: Iterable[int]) -> Iterator[None]:
    before = {}
    for process in processes:
        with suppress(ProcessLookupError):
            before[process] = resource.prlimit(process, resource.RLIMIT_FSIZE)
            resource.prlimit(process, resource.RLIMIT_FSIZE, (most, before[process][1]))
    try:
        yield
    finally:
        for process, limits in before.items():
            with suppress(ProcessLookupError):
                resource.prlimit(process, resource.RLIMIT_FSIZE, limits)


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
