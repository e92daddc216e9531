"""How long it takes to find that a run of 1,000 cells is finished, which must not wait for torch."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

from reshift.benchmark.inputs import inputs_hash
from reshift.benchmark.preset import load_preset
from reshift.benchmark.speed.boards import planned_cells, write_run
from reshift.benchmark.speed.measurement import Measurement
from reshift.results.plan import Plan

CELLS = 1000
PRESET = "quick"
TARGET_S = 2.0

# Standing in the scratch folder, whose runs/quick is finished: both commands, after all imports of the command line.
SCRIPT = """
import contextlib, io, json, sys, time
from reshift.benchmark.cli import main
found = {}
for name, arguments in {"run_s": ["run", "--preset", "quick", "--dry-run"], "status_s": ["status", "quick"]}.items():
    started, told = time.process_time(), io.StringIO()
    with contextlib.redirect_stdout(told):
        code = main(arguments)
    found[name] = time.process_time() - started
    found[name.replace("_s", "_said")] = told.getvalue().splitlines()[-1 if name == "run_s" else 0]
    assert code == 0, told.getvalue()
print(json.dumps({**found, "torch": "torch" in sys.modules}))
"""


def measure(scratch: Path) -> Measurement:
    """Process time, in a fresh process and after imports, of what `reshift run` does where nothing is left to do."""
    plan = Plan(PRESET, inputs_hash(load_preset(PRESET)), tuple(islice(planned_cells(), CELLS)))
    write_run(scratch / "runs" / PRESET, plan)
    found = finished(scratch)
    if found["torch"] or not found["run_said"].startswith("0 cells to compute"):
        raise RuntimeError(f"the finished check imports torch, or does not find the cells finished: {found}")
    return Measurement(
        what=f"finding that {CELLS:,} cells are finished, process time after imports",
        against="",
        value=found["run_s"],
        unit="s",
        bound="at most",
        target=TARGET_S,
        detail={"run_s": found["run_s"], "status_s": found["status_s"]},
        note="The check imports no torch.",
    )


def finished(folder: Path) -> dict[str, Any]:
    """What the script prints, run in this folder."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=folder, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))
