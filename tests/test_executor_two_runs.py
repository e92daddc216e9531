"""Several runs on one folder: no cell is computed twice, and none is lost with who held it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from executor_cells import CELLS, arguments, boards, fits, local_boards, workplace

from reshift.benchmark.cli import main
from reshift.results import heartbeat

__all__ = ["local_boards", "workplace"]


@pytest.mark.usefixtures("workplace")
def test_two_runs_at_once_share_the_cells(local_boards: dict[str, bytes]) -> None:
    command = [sys.executable, "-m", "reshift.benchmark", *arguments("--shared")]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    told = [run.communicate(timeout=240)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], told
    assert fits() == CELLS
    assert boards() == local_boards
    assert not any("FAILED" in text for text in told)


@pytest.mark.usefixtures("workplace")
def test_a_cell_whose_holder_died_on_another_machine_is_computed(
    local_boards: dict[str, bytes], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(arguments("--dry-run")) == 0
    first = capsys.readouterr().out.split()[0]
    lease = Path("runs/run/cells", first, "lease.1")
    lease.parent.mkdir(parents=True)
    holder = {"host": "other", "locked": True, "machine": "another machine", "pid": 1}
    lease.write_bytes(b"7".ljust(heartbeat.HEAD) + json.dumps(holder).encode())
    # Workers are processes of their own and keep the long wait; the run watches for them.
    monkeypatch.setattr(heartbeat, "SILENT_SECONDS", 3.0)
    assert main(arguments("--shared")) == 0
    assert fits() == CELLS
    assert boards() == local_boards
    assert sorted(path.name for path in lease.parent.glob("lease.*")) == ["lease.1", "lease.2", "lease.3"]
