"""What several workers at once are worth on one GPU, whose cells are too small to fill it alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reshift.benchmark.speed import two_workers
from reshift.benchmark.speed.measurement import Measurement

WORKERS, STEPS, CELLS = 4, 200, 8


def measure(scratch: Path) -> Measurement:
    """As `two_workers`, with four on one GPU."""
    found = two_workers.measure(scratch, steps=STEPS, cells=CELLS, workers=WORKERS, device="cuda")
    return replace(found, what=f"{WORKERS} workers on one GPU, ResNet-18 cells", target=1)
