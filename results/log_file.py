"""The plain text log that a cell leaves in its folder: bounded, without secrets, and never in a cell's way."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection
from contextlib import suppress
from io import TextIOBase
from pathlib import Path

LOG_FILE = "log.txt"
MOST_BYTES = 256 * 2**10
"""Of a log over all attempts; beyond it a part in the middle is left out."""
_KEPT_BYTES = 64 * 2**10  # at either end, each time the log has grown beyond its bound
_LONGEST_LINE = 2000
_HEADING = re.compile(rb"^=== attempt (\d+)", re.MULTILINE)
_GAP = b"\n[... left out: the log had grown beyond its bound ...]\n"


class LogFile(TextIOBase):
    """Lines appended to a file, each stamped with the seconds since it was opened; also what `print` may write to.

    A log is never a reason for a cell to fail: what cannot be written is dropped.

    Args:
        path: of the log, whose folder exists; what stands there stays.
        secrets: values that become `***` wherever they stand.
    """

    def __init__(self, path: Path, secrets: Collection[str] = ()) -> None:
        super().__init__()
        self._secrets = sorted(secrets, key=len, reverse=True)
        self._started = time.monotonic()
        self._printed = ""
        self._handle: int | None = None
        with suppress(OSError):
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)

    @property
    def seconds(self) -> float:
        """Since the log was opened."""
        return time.monotonic() - self._started

    def attempt(self, title: str) -> None:
        """Begin the lines of another attempt."""
        before = max(map(int, _HEADING.findall(self._content())), default=0)
        self._append(("\n" if before else "") + f"=== attempt {before + 1}: {_plain(self._masked(title))}")

    def line(self, text: str) -> None:
        """Append a text; its further lines are indented below its first."""
        lines = map(_plain, self._masked(text).rstrip().splitlines() or [""])
        self._append(f"{self.seconds:9.2f} s  " + f"\n{'':13}".join(lines))

    def write(self, text: str) -> int:
        """Take what is printed; whole lines are appended, and of a line that was overwritten its last state."""
        *lines, self._printed = (self._printed + text).split("\n")
        for line in lines:
            if line.strip():
                self.line(f"printed: {line.rstrip().rpartition(chr(13))[2]}")
        # One character more than is shown, so that a cut is marked.
        self._printed = self._masked(self._printed).rpartition("\r")[2][: _LONGEST_LINE + 1]
        return len(text)

    def end_line(self) -> None:
        """Append what was printed without an end of its line."""
        if self._printed:
            self.write("\n")

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        self.end_line()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        super().close()

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _append(self, text: str) -> None:
        if self._handle is None:
            return
        with suppress(OSError):
            os.write(self._handle, (text + "\n").encode("utf-8", "replace"))
            if os.fstat(self._handle).st_size > MOST_BYTES:
                self._shorten()

    def _shorten(self) -> None:
        content = self._content()
        head, tail = content[:_KEPT_BYTES].rpartition(b"\n")[0], content[-_KEPT_BYTES:].partition(b"\n")[2]
        assert self._handle is not None
        os.ftruncate(self._handle, 0)
        os.write(self._handle, head.replace(_GAP, b"\n") + _GAP + tail)

    def _content(self) -> bytes:
        if self._handle is None:
            return b""
        with suppress(OSError):
            return os.pread(self._handle, os.fstat(self._handle).st_size, 0)
        return b""


def log_tail(folder: Path, lines: int, characters: int) -> str:
    """The last lines of a cell's log, "" where it left none; "[...]" stands for what came before."""
    try:
        text = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace").rstrip("\n")
    except OSError:
        return ""
    kept = text.split("\n")[-lines:]
    while len(kept) > 1 and sum(map(len, kept)) + len(kept) > characters:
        del kept[0]
    shown = "\n".join(kept)[-characters:]
    return shown if len(shown) == len(text) else f"[...]\n{shown}"


def _plain(line: str) -> str:
    """Without control characters, which a terminal would obey, and not longer than anybody reads."""
    line = "".join(character if character.isprintable() else " " for character in line.expandtabs(4))
    return line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + " [...]"
