"""`make benchmark` whole: no blank cell, nothing trained twice, killed and resumed with another number of workers."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(5400)]


def start(folder: Path, workers: int) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "reshift.benchmark", "run", "--preset", "quick", "--workers", str(workers)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True)


def boards(folder: Path) -> dict[str, bytes]:
    found = (folder / "runs/quick/leaderboards").glob("*.csv")
    return {path.name: path.read_bytes() for path in found if path.name != "cost.csv"}


def test_quick_is_whole_and_the_same_after_a_kill_and_with_another_number_of_workers(tmp_path: Path) -> None:
    assert start(tmp_path / "calm", workers=2).wait() == 0
    with (tmp_path / "calm/runs/quick/leaderboards/overall.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "auroc"]
    assert len({row["model"] for row in rows}) >= 12
    assert all(row["mean"] for row in rows)

    before = time.monotonic()
    assert start(tmp_path / "calm", workers=2).wait() == 0
    assert time.monotonic() - before < 60

    killed = start(tmp_path / "killed", workers=2)
    while len(list((tmp_path / "killed").glob("runs/quick/cells/*/record.json"))) < 60:
        assert killed.poll() is None
        time.sleep(0.2)
    os.killpg(killed.pid, signal.SIGKILL)
    assert start(tmp_path / "killed", workers=1).wait() == 0
    assert boards(tmp_path / "killed") == boards(tmp_path / "calm")
