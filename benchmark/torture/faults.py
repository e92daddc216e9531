"""What happens to a run: each fault strikes at a random moment and leaves the run to be started again."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from reshift.benchmark.torture.arena import ORPHAN_SECONDS, Arena
from reshift.benchmark.torture.damage import damage_some
from reshift.benchmark.torture.processes import kill, left_after, workers_of
from reshift.results.record import RECORD_FILE, SCORES_FILE
from reshift.results.store import PLAN_FILE
from reshift.results.weights_file import WEIGHTS_FILE

Fault = Callable[[Arena, random.Random], str]
"""Strikes once; returns in a few words what was done."""

START_SECONDS = 20.0
PATIENCE_SECONDS = 60.0
YEAR = 365 * 86400

BACK_IN_TIME = """\
import time
_now, _now_ns = time.time, time.time_ns
time.time = lambda: _now() - {seconds}
time.time_ns = lambda: _now_ns() - {seconds} * 10**9
"""


def worker_killed(arena: Arena, rng: random.Random) -> str:
    """SIGKILL of one worker; the run itself must go on."""
    arena.moment(rng)
    until = time.monotonic() + START_SECONDS
    while not (workers := workers_of(arena.running().pid)) and time.monotonic() < until:
        time.sleep(0.02)
    if workers:
        arena.killed(rng.choice(workers))
    return "a worker was killed"


def parent_killed(arena: Arena, rng: random.Random) -> str:
    """SIGKILL of the run, with or without its workers."""
    arena.moment(rng)
    arena.running()
    arena.stop(rng)
    return "the run was killed"


def two_parents(arena: Arena, rng: random.Random) -> str:
    """A second run on the same folder; after a while one of the two is killed, and the other goes on."""
    arena.moment(rng)
    first = arena.running()
    second = arena.new_process()
    until = time.monotonic() + START_SECONDS
    while not workers_of(second.pid) and second.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
        arena.watch.glance()
    for _ in range(rng.randint(0, 60)):
        time.sleep(0.05)
        arena.watch.glance()
    arena.disturb()
    killed, kept = (first, second) if rng.random() < 0.5 else (second, first)
    arena.listen()
    orphans = workers_of(killed.pid)
    arena.killed(killed.pid)
    killed.wait()
    for orphan in left_after(orphans, ORPHAN_SECONDS):
        arena.losses.append(f"orphan: worker {orphan} lives {ORPHAN_SECONDS:.0f} s after its parent was killed")
        kill(orphan)
    arena.not_heard()
    arena.parent = kept
    return "two runs on one folder, one of them killed"


def disk_full(arena: Arena, rng: random.Random) -> str:
    """No space for some seconds while cells are computed."""
    arena.moment(rng)
    parent = arena.running()
    arena.disturb()
    slack = rng.choice((0, 0, 4096, 16384, 65536))
    with arena.volume.full(slack, [parent.pid, *workers_of(parent.pid)]):
        _while_running(arena, rng.uniform(0.5, 3.0))
    return f"the disk was full but for {slack} bytes"


def read_only(arena: Arena, rng: random.Random) -> str:
    """The folder cannot be written to for some seconds, or from the start of a run on."""
    if not arena.volume.can_be_read_only:
        return "skipped: root may write everywhere, and cannot mount here"
    arena.moment(rng)
    arena.running()
    from_start = rng.random() < 0.5
    if from_start:
        arena.stop(rng)
    arena.disturb()
    until = time.monotonic() + 5
    while not (done := arena.volume.read_only()) and time.monotonic() < until:
        pass  # refused while a file is open for writing
    if not done:
        return "the folder could not be made read-only at that moment"
    try:
        if from_start:
            refused = arena.new_process()
            if refused.wait(PATIENCE_SECONDS) == 0:
                arena.losses.append("a run on a read-only folder said that all was well")
        else:
            _while_running(arena, rng.uniform(0.5, 3.0))
    finally:
        arena.volume.writable()
    return f"the folder was read-only {'from the start of a run' if from_start else 'for a while'}"


def clock_set_back(arena: Arena, rng: random.Random) -> str:
    """What is on disk comes from the future, and Python's clock of all later processes goes back."""
    arena.moment(rng)
    arena.running()
    arena.stop(rng)
    seconds = rng.randint(1, YEAR)
    for path in [p for p in arena.volume.path.rglob("*") if rng.random() < 0.5]:
        with suppress(FileNotFoundError):
            ahead = path.stat().st_mtime + seconds
            os.utime(path, (ahead, ahead))
    arena.watch.moved_in_time()
    patch = arena.log.parent / "clock"
    patch.mkdir(exist_ok=True)
    (patch / "sitecustomize.py").write_text(BACK_IN_TIME.format(seconds=seconds), encoding="utf-8")
    outside = os.environ.get("PYTHONPATH")
    arena.environment["PYTHONPATH"] = os.pathsep.join([str(patch), *([outside] if outside else [])])
    return f"the clock went back by {seconds / 86400:.0f} days"


def files_damaged(arena: Arena, rng: random.Random) -> str:
    """Plan, records, scores, weights, caches and boards are cut short or have bits flipped with no process at work."""
    arena.moment(rng)
    arena.running()
    arena.stop(rng)
    damaged = damage_some(arena.volume.path, rng)
    for cell in {path.parent.name for path in damaged if path.name in (RECORD_FILE, SCORES_FILE)}:
        arena.watch.damaged(cell)
    for path in damaged:
        if path.name == WEIGHTS_FILE:
            arena.watch.weights_damaged(path.parent.name)
        elif path.name == PLAN_FILE:
            arena.watch.plan_damaged()
    arena.counts["damaged files"] += len(damaged)
    return f"damaged: {', '.join(_short(path) for path in damaged) or 'nothing was there yet'}"


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (worker_killed, parent_killed, two_parents, disk_full, read_only, clock_set_back, files_damaged)
}
KILLS: Sequence[str] = (worker_killed.__name__, parent_killed.__name__)


def _while_running(arena: Arena, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and arena.parent is not None and arena.parent.poll() is None:
        time.sleep(0.03)
        arena.watch.glance()


def _short(path: Path) -> str:
    return f"{path.parent.name[:8]}/{path.name}"
