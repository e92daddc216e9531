"""Leases with heartbeats: who may take a cell on a file system that several machines share."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reshift.results import heartbeat
from reshift.results.lease import LeaseHeld
from reshift.results.store import RunStore, Status


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    store = RunStore(tmp_path)
    store.share()
    return store


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves this process's own clock on; no clock but that one may matter."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "time", lambda: pytest.fail("a wall clock was read"))

    def wait(seconds: float) -> None:
        now[0] += seconds

    return wait


def watch(store: RunStore, clock: Callable[[float], None], seconds: float) -> Status:
    """Look at cell c1 every five seconds for so long; the last thing seen."""
    found = store.status("c1")
    for _ in range(int(seconds / 5)):
        clock(5)
        found = store.status("c1")
    return found


def beat(store: RunStore, count: int, machine: str = "another machine") -> Path:
    """The lease of c1 as a holder on another machine leaves it after so many beats."""
    path = store.folder("c1") / "lease.1"
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = {"host": "other", "locked": True, "machine": machine, "pid": 1}
    path.write_bytes(str(count).encode().ljust(heartbeat.HEAD) + json.dumps(holder).encode() + b"\n")
    return path


def test_a_holder_keeps_others_out_and_gives_back(store: RunStore) -> None:
    other = RunStore(store.path)
    for _ in range(2):
        with store.lease("c1"):
            assert other.status("c1") is Status.RUNNING
            with pytest.raises(LeaseHeld, match="held by another process"), other.lease("c1"):
                pass
        assert other.status("c1") is Status.PENDING


def test_a_holder_beats(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.02)
    with store.lease("c1") as folder:
        seen = set()
        for _ in range(100):
            seen.add((folder / "lease.1").read_bytes())
            time.sleep(0.01)
    assert len(seen) > 5


def test_a_beat_from_another_machine_counts_however_its_clock_goes(
    store: RunStore, clock: Callable[[float], None]
) -> None:
    for count in range(10):
        path = beat(store, count)
        os.utime(path, (count * 1e6, count * 1e6))
        assert watch(store, clock, heartbeat.SILENT_SECONDS * 0.8) is Status.RUNNING


def test_silence_is_taken_over_but_only_by_who_watched_it(store: RunStore, clock: Callable[[float], None]) -> None:
    beat(store, 7)
    assert watch(store, clock, heartbeat.SILENT_SECONDS - 10) is Status.RUNNING
    assert watch(store, clock, 10) is Status.PENDING
    newcomer = RunStore(store.path)
    with pytest.raises(LeaseHeld), newcomer.lease("c1"):
        pass
    assert store.reclaim("c1")
    with newcomer.lease("c1"):
        assert store.status("c1") is Status.RUNNING


def test_time_in_which_nobody_watched_is_no_silence(store: RunStore, clock: Callable[[float], None]) -> None:
    beat(store, 7)
    assert store.status("c1") is Status.RUNNING
    clock(100 * heartbeat.SILENT_SECONDS)  # this process was stopped, or the file server was away
    assert store.status("c1") is Status.RUNNING
    assert not store.reclaim("c1")


def test_who_died_on_this_machine_is_known_at_once(store: RunStore) -> None:
    beat(store, 7, machine=heartbeat.this_machine())
    assert store.status("c1") is Status.PENDING
    with store.lease("c1"):
        pass


def test_a_local_run_that_began_before_is_respected(store: RunStore) -> None:
    (store.path / "shared").unlink()
    with store.lease("c1"):
        store.share()
        other = RunStore(store.path)
        assert other.status("c1") is Status.RUNNING
        with pytest.raises(LeaseHeld), other.lease("c1"):
            pass
    assert other.status("c1") is Status.PENDING


def _take(path: Path, rounds: int, start: Any, wins: Any) -> None:
    for number in range(rounds):
        store = RunStore(path / str(number))
        while store.status("c1") is Status.RUNNING:
            time.sleep(0.01)
        start.wait()
        try:
            with store.lease("c1"):
                wins.put(number)
                start.wait()
        except LeaseHeld:
            start.wait()


def test_of_many_takers_one_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A file system without locks, and a dead holder that all takers have watched long enough.
    monkeypatch.setattr(heartbeat, "_try_lock", lambda handle: "unknown")
    monkeypatch.setattr(heartbeat, "SILENT_SECONDS", 0.02)
    rounds, takers = 40, 4
    for number in range(rounds):
        store = RunStore(tmp_path / str(number))
        store.share()
        beat(store, 7)
    context = multiprocessing.get_context("fork")
    start, wins = context.Barrier(takers), context.Queue()
    processes = [context.Process(target=_take, args=(tmp_path, rounds, start, wins)) for _ in range(takers)]
    for process in processes:
        process.start()
    found = sorted(wins.get(timeout=60) for _ in range(rounds))
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert found == list(range(rounds)) and wins.empty()
