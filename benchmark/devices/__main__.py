"""`python -m reshift.benchmark.devices`: compute the same cells under every setting; writes `<out>/<hardware>.json`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from reshift.benchmark.devices.cells import PICTURES, write_study
from reshift.benchmark.devices.difference import Difference, differences
from reshift.benchmark.devices.settings import ON_CPU, ON_GPU, STANDARD, Setting
from reshift.benchmark.speed.hardware import hardware, slug
from reshift.results.atomic_write import write_atomically
from reshift.results.store import RunStore


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure how far each setting moves scores and AUROC from the standard one."""
    parser = argparse.ArgumentParser(prog="python -m reshift.benchmark.devices", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/devices"), help="folder of the JSON file")
    parser.add_argument("--steps", type=int, default=60, help="optimiser steps a cell")
    parser.add_argument("--pictures", type=int, default=PICTURES)
    given = parser.parse_args(arguments)
    found = hardware()
    settings = ON_CPU | (ON_GPU if found["accelerator"] else {})
    with tempfile.TemporaryDirectory(prefix="reshift-devices-") as folder:
        place = Path(folder)
        write_study(place, given.pictures, given.steps)
        runs = {name: compute(place, number, name, setting) for number, (name, setting) in enumerate(settings.items())}
        moved = {name: differences(runs[STANDARD], run) for name, run in runs.items() if name != STANDARD}
    for name, models in moved.items():
        worst = Difference(max(d.score for d in models.values()), max(d.auroc for d in models.values()))
        print(f"{name:<34} scores {worst.score:.1e} of their range, AUROC {worst.auroc:.1e}")
    plain = {name: {model: asdict(d) for model, d in models.items()} for name, models in moved.items()}
    asked = {"steps": given.steps, "pictures": given.pictures}
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / f"{slug(found)}.json"
    content = json.dumps({"hardware": found, "study": asked, "moved": plain}, indent=1, sort_keys=True) + "\n"
    write_atomically(path, content.encode())
    print(f"devices: {path}")
    return 0


def compute(place: Path, number: int, name: str, setting: Setting) -> RunStore:
    """All cells under one setting, by a fresh process with empty caches.

    Raises:
        RuntimeError: they did not finish.
    """
    run = place / f"run-{number}"
    command = [sys.executable, "-m", "reshift.benchmark.devices.cells", str(place), str(run)]
    command += ["--threads", str(setting.threads), "--device", setting.device]
    threads = {"OMP_NUM_THREADS": str(setting.threads), "RESHIFT_CACHE": str(place / f"cache-{number}")}
    environment = {**os.environ, **threads, **setting.environment}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise RuntimeError(f"setting {name!r} did not finish: {said[-1] if said else 'it said nothing'}")
    return RunStore(run)


if __name__ == "__main__":
    sys.exit(main())
