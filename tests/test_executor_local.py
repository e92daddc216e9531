"""Workers on this machine: one that is killed before it took a task costs nothing."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from pathlib import Path

import pytest
from executor_cells import CELLS, arguments, boards, fits, local_boards, workplace
from pebble.pool.process import WorkerManager

from reshift.benchmark.executors.local import LocalWorkers
from reshift.benchmark.preset import load_preset
from reshift.benchmark.torture.processes import kill, left_after, workers_of
from reshift.benchmark.worker import Job

__all__ = ["local_boards", "workplace"]


@pytest.mark.usefixtures("workplace")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are read from /proc")
def test_a_worker_killed_as_it_starts_is_replaced(local_boards: dict[str, bytes]) -> None:
    command = [sys.executable, "-m", "reshift.benchmark", *arguments()]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until = time.monotonic() + 120
    while not (started := workers_of(run.pid)) and time.monotonic() < until:
        time.sleep(0.01)
    assert started and kill(started[0])
    told, _ = run.communicate(timeout=120)
    assert run.returncode == 0, told
    assert "FAILED" not in told
    assert fits() == CELLS
    assert boards() == local_boards


def test_workers_end_before_what_they_would_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[int | None] = []

    def close_channels(manager: WorkerManager) -> None:
        alive.extend(worker.pid for worker in manager.workers.values() if worker.is_alive())
        closing(manager)

    closing = WorkerManager.close_channels
    monkeypatch.setattr(WorkerManager, "close_channels", close_channels)
    workers = LocalWorkers(Job(Path("run"), load_preset("quick"), "cpu", "none"), 2)
    workers.submit([[]])  # starts the processes, which take seconds to be ready
    started = multiprocessing.active_children()
    workers.close()
    assert len(started) == 2 and alive == []
    assert not any(process.is_alive() for process in started)


HOLDING = """
import multiprocessing, time
from pebble import ProcessPool
from reshift.benchmark.worker import start_worker
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    pool = ProcessPool(2, context=context, initializer=start_worker)
    busy = pool.schedule(time.sleep, args=[300])
    while not busy.running():
        time.sleep(0.05)
    print("busy", flush=True)
    time.sleep(300)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are read from /proc")
def test_workers_end_with_the_run_that_is_killed_at_a_long_cell_too(tmp_path: Path) -> None:
    (tmp_path / "holding.py").write_text(HOLDING)
    run = subprocess.Popen([sys.executable, "holding.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None and run.stdout.readline() == "busy\n"
    workers = workers_of(run.pid)
    assert workers and kill(run.pid)
    run.wait()
    assert left_after(workers, 20) == []
