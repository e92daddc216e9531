"""Workers on this machine: one that is killed before it took a task costs nothing."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from executor_cells import CELLS, arguments, boards, fits, local_boards, workplace

from reshift.benchmark.torture.processes import kill, workers_of

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
