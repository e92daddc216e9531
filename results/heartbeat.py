"""Who computes a cell where a file lock does not reach: a lease that its holder renews, beat by beat."""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reshift.results.lease import LeaseHeld, is_held, lock

BEAT_SECONDS = 10.0
SILENT_SECONDS = 120.0
"""A lease whose beat stood still that long while it was watched may be taken over."""

Lock = Literal["free", "taken", "unknown"]
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}
HEAD = 12  # bytes at the start of a lease that change with every beat


@dataclass(frozen=True)
class Beat:
    """A lease file as it was read.

    Attributes:
        number: leases of a cell are numbered from 1; the highest counts.
        content: all bytes; they change with every beat.
        machine: where its holder runs, see `this_machine`; "" while it is being written.
        locked: whether its holder has the file lock too.
        free: given back by its holder.
    """

    number: int
    content: bytes
    machine: str = ""
    locked: bool = False
    free: bool = False


class BeatWatch:
    """What a process saw of other processes' beats, by its own clock: clocks of two machines are never compared.

    A look adds at most one beat of silence, so time in which this process itself slept or hung does not count.
    """

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[bytes, float, float]] = {}

    def silent(self, path: Path, content: bytes) -> bool:
        """Whether the lease stood still for `SILENT_SECONDS` of watching; the first look never says so."""
        now = time.monotonic()
        before, silence, last = self._seen.get(path, (b"", 0.0, now))
        silence = silence + min(now - last, BEAT_SECONDS) if before == content else 0.0
        self._seen[path] = (content, silence, now)
        return silence >= SILENT_SECONDS


@contextmanager
def hold_beating(path: Path, watch: BeatWatch) -> Iterator[None]:
    """Hold the lease `path` on a file system that several machines share.

    The lease is the file `<path>.<n>` of highest n. To take it is to create n + 1, which succeeds for one process
    alone (O_EXCL, also over NFS); no number is ever removed or used twice, so two takers of one dead lease cannot both
    win. The file lock is taken too where there is one: it settles at once who of one machine is alive, and keeps out
    local runs that began before the run was shared.

    Raises:
        LeaseHeld: another process, or this one, holds it, or did so until too recently to tell.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        state = _try_lock(handle)
        latest = _latest(path)
        if _alive(path, latest, state, watch):
            raise LeaseHeld(f"{path}: held by another process, which computes this cell; leave it to that one")
        taken = _numbered(path, latest.number + 1 if latest else 1)
        try:
            beats = os.open(taken, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError as error:
            raise LeaseHeld(f"{taken}: another process was faster and computes this cell") from error
        try:
            with _beating(beats, locked=state == "free"):
                yield
        finally:
            os.close(beats)
    finally:
        os.close(handle)


def is_beating(path: Path, watch: BeatWatch) -> bool:
    """Whether somebody holds the lease `path`, as far as `watch` can tell by now."""
    try:
        state: Lock = "taken" if is_held(path) else "free"
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        state = "unknown"
    return _alive(path, _latest(path), state, watch)


def this_machine() -> str:
    """What all processes that see each other's file locks share: the running kernel, or the host's name."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname()


def _alive(path: Path, latest: Beat | None, state: Lock, watch: BeatWatch) -> bool:
    if latest is None or latest.free:
        return state == "taken"
    if latest.locked and latest.machine == this_machine() and state != "unknown":
        return state == "taken"
    # A lock that outlives its machine (NFS 3) must not hold a cell for ever: from elsewhere, only beats count.
    return not watch.silent(_numbered(path, latest.number), latest.content)


def _try_lock(handle: int) -> Lock:
    try:
        return "free" if lock(handle) else "taken"
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return "unknown"


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _latest(path: Path) -> Beat | None:
    # A listing, not a probe name by name: it makes a network file system look at the folder anew.
    try:
        names = [entry.name for entry in os.scandir(path.parent)]
    except FileNotFoundError:
        return None
    endings = [name.removeprefix(f"{path.name}.") for name in names if name.startswith(f"{path.name}.")]
    number = max((int(ending) for ending in endings if ending.isdecimal()), default=0)
    if not number:
        return None
    content = _numbered(path, number).read_bytes()
    try:
        holder = json.loads(content[HEAD:])
        return Beat(number, content, str(holder["machine"]), bool(holder["locked"]), content.startswith(b"free"))
    except (ValueError, KeyError, TypeError):
        return Beat(number, content)


@contextmanager
def _beating(handle: int, locked: bool) -> Iterator[None]:
    holder = {"host": socket.gethostname(), "locked": locked, "machine": this_machine(), "pid": os.getpid()}
    os.pwrite(handle, b"0".ljust(HEAD) + json.dumps(holder, sort_keys=True).encode() + b"\n", 0)
    os.fsync(handle)
    stop = threading.Event()

    def beat() -> None:
        count = 0
        while not stop.wait(BEAT_SECONDS):
            count += 1
            _write_head(handle, str(count))

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        _write_head(handle, "free")


def _write_head(handle: int, head: str) -> None:
    # In place, so that whoever opens the file gets the newest beat also over NFS.
    try:
        os.pwrite(handle, head.encode().ljust(HEAD), 0)
        os.fsync(handle)
    except OSError:
        # A server that is away for a while costs a beat, not the cell.
        pass
