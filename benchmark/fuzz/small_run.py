"""A finished run of two cells, made by hand: what records and submissions are damaged copies of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from reshift.results.npz_file import npz_bytes
from reshift.results.plan import Plan, PlannedCell, identity_hash
from reshift.results.record import Record
from reshift.results.store import RunStore


def write_small_run(folder: Path) -> RunStore:
    """A run of one model on two folds of twelve parts each."""
    cells = tuple(_cell(f"fold={fold}") for fold in range(2))
    store, more = RunStore(folder), npz_bytes({"x": np.zeros(3)})
    store.write_plan(Plan("toy", "inputs", cells, notes=("Parts are given.",)))
    for cell in cells:
        run = {"git": "0123456789ab", "seconds": 1.5, "device": "cpu: test"}
        store.write(Record.of(cell, "image", {"test_images": 12}, run), _scores(cell.split), {"more.npz": more})
    return store


def _cell(split: str) -> PlannedCell:
    identity = {"model": "flow", "split": split}
    return PlannedCell(identity_hash(identity), identity, "toy", "flow", "in_distribution", split, 0)


def _scores(split: str) -> pd.DataFrame:
    parts = [f"{split}-p{number}" for number in range(12)]
    labels = [number % 2 for number in range(12)]
    frame = pd.DataFrame({"sample": [f"{part}.png" for part in parts], "part": parts, "view": "v0", "role": "test"})
    known = frame.assign(label=labels, observed_label=labels, component="hub", defect="")
    return known.assign(transmission="", acquisition="", **{"score:score": [(7 * n % 12) / 12 for n in range(12)]})
