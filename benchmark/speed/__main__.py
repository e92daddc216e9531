"""`python -m reshift.benchmark.speed`: measure, print, and write `<out>/<hardware>.json`."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from reshift.benchmark.speed.hardware import hardware, slug
from reshift.benchmark.speed.measurement import Measurement, measured
from reshift.results.atomic_write import write_atomically

NAMES = (
    "flow_step",
    "noise_study",
    "classifier_training",
    "warm_images",
    "two_workers",
    "cell_overhead",
    "finished_check",
    "boards",
    "large_table",
    "large_table_memory",
    "worker_memory",
    "data_wait",
)
"""Modules of this package in the order of the table; each has `measure(scratch: Path) -> Measurement`."""

GPU_NAMES = ("gpu_options", "gpu_cells")
"""Those that only a machine with a GPU can measure."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is named, or everything; returns 0 when every target is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *NAMES, *GPU_NAMES], help="default: all this machine can")
    parser.add_argument("--out", type=Path, default=Path("results/speed"), help="folder of the JSON file")
    given = parser.parse_args(arguments)
    found = hardware()
    path = given.out / f"{slug(found)}.json"
    given.out.mkdir(parents=True, exist_ok=True)
    met = True
    for name in given.names or (NAMES + GPU_NAMES if found["accelerator"] else NAMES):
        started = time.monotonic()
        measurement = _apart(name)
        met &= measurement.met
        _keep(path, found, name, measurement)
        verdict = "met" if measurement.met else "MISSED"
        figure = f"{measurement.value:.3g} {measurement.unit} ({measurement.bound} {measurement.target:g})"
        print(f"{name:<20} {figure:<34} {verdict:<7} measured in {time.monotonic() - started:.0f} s", flush=True)
    print(f"speed: {path}")
    return 0 if met else 1


def _apart(name: str) -> Measurement:
    """Measure in a fresh process with one computing thread, as a worker has, and with empty caches."""
    with tempfile.TemporaryDirectory(prefix="reshift-speed-") as scratch:
        os.environ.update(OMP_NUM_THREADS="1", RESHIFT_CACHE=str(Path(scratch, "cache")))
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
            return pool.submit(measured, name, Path(scratch)).result()


def _keep(path: Path, found: dict[str, object], name: str, measurement: Measurement) -> None:
    """Add one figure to the file, so that an interrupted run keeps the others."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"measurements": {}}
    measurements = {**kept["measurements"], name: {**asdict(measurement), "versions": found["versions"]}}
    plain = {
        "hardware": {key: value for key, value in found.items() if key != "versions"},
        "measurements": {known: measurements[known] for known in NAMES + GPU_NAMES if known in measurements},
    }
    write_atomically(path, (json.dumps(plain, indent=1) + "\n").encode())


if __name__ == "__main__":
    sys.exit(main())
