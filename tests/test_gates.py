"""The gates of the synthetic gearbox, measured on so little that they are missed: what is said and written then."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from reshift.benchmark.gates.__main__ import main
from reshift.benchmark.gates.measure import Gate


def test_missed_gates_are_said_written_and_fail_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "gates.json"
    size = ["--images", "300", "--epochs", "1", "--folds", "1", "--components", "splined_shaft"]
    assert main([*size, "--root", str(tmp_path / "worlds"), "--out", str(out)]) == 1
    written = json.loads(out.read_text())
    assert written["settings"] == {
        "images": 300,
        "seed": 0,
        "epochs": 1,
        "folds": 1,
        "components": ["splined_shaft"],
    }
    found, gates = written["auroc"], {gate["name"]: gate for gate in written["gates"]}
    assert set(found) == {"prevalence", "probe", "in_distribution"} | {
        f"splined_shaft/{model}" for model in ("home", "control", "shifted")
    }
    assert all(0 <= value <= 1 for value in found.values())
    gap = gates["gap to the matched control"]
    assert gap["measured"] == pytest.approx(found["splined_shaft/control"] - found["splined_shaft/shifted"])
    network = gates["small network, in-distribution AUROC"]
    assert network["measured"] == found["in_distribution"] and not network["passed"]
    printed = capsys.readouterr().out
    assert printed.count(" MISS ") + printed.count(" pass ") == len(gates) == 4 and "1 folds" in printed


def test_what_could_not_be_measured_passes_no_gate() -> None:
    assert not Gate("share", math.nan, 0.5, 9.0, "").passed
    assert Gate("share", 0.5, 0.5, 9.0, "").passed and not Gate("share", 0.49, 0.5, 9.0, "").passed
