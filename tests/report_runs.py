"""A small finished run whose every name is hostile, for tests of the report: markup stands wherever data may stand."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from reshift.results.log_file import LOG_FILE
from reshift.results.plan import Plan, PlannedCell, identity_hash
from reshift.results.record import Record
from reshift.results.store import RunStore

DATASET = "tiles & <b>co</b>"
DEFECT = "<img src=x onerror=alert(1)>"
COMPONENT = '"><script>alert(2)</script>'
FAILURE = "no memory </script><script>alert(3)</script>\u2028left"
LOG = "=== attempt 1: </script><script>alert(4)</script>\n     0.10 s  printed: <!-- \u2028 &amp;\n"
GOOD_MODEL, POOR_MODEL, MISSING_MODEL = "flow <i>good</i>", "flow 'poor'", "never <u>finished</u>"
SKILL = {GOOD_MODEL: 2.2, POOR_MODEL: 0.4}
REMOVED = ["p001/v0", "p004/v0", "elsewhere", "far away"]
"""A good sample, a defective one, and two that no cell tests, one of each as the record counts them."""
PARTS = 160


def planned(model: str, protocol: str, split: str, seed: int) -> PlannedCell:
    """A cell whose identity holds markup and the separator that ends a line in old scripts."""
    identity = {"model": {"class": model, "note": "</script>\u2028"}, "split": split, "seed": seed, "name": protocol}
    return PlannedCell(identity_hash(identity), identity, DATASET, model, protocol, split, seed)


def scores_of(cell: PlannedCell) -> pd.DataFrame:
    """80 parts tested, 80 validating, two views each; every fourth is defective and scores higher by the skill."""
    key = f"{cell.model}/{cell.protocol}/{cell.split}/{cell.seed}"
    draw = np.random.default_rng(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big"))
    rows = []
    for part in range(PARTS):
        label = int(part % 4 == 0)
        role = "test" if part < PARTS // 2 else "val"
        for view in range(2):
            score = draw.normal() + SKILL[cell.model] * label
            sample, defect = f"p{part:03d}/v{view}", DEFECT * label
            rows.append((sample, f"p{part:03d}", f"v{view}", role, label, label, COMPONENT, defect, score))
    columns = ["sample", "part", "view", "role", "label", "observed_label", "component", "defect", "score:nll"]
    return pd.DataFrame(rows, columns=columns).assign(transmission="", acquisition="")


def record_of(cell: PlannedCell) -> Record:
    """A record with a training curve, and with removals where the poor model met noise."""
    refinement = None
    if cell.model == POOR_MODEL and cell.protocol.startswith("contamination"):
        rounds = [
            {"step": 10, "median": 0.1, "removed": REMOVED[:2]},
            {"step": 20, "median": 0.1, "removed": REMOVED[2:]},
        ]
        quality = {"bad_injected": 7, "bad_removed": 2, "good_removed": 2}
        refinement = {"rounds": rounds, "quality": quality, "steps": 30, "weights": {}}
    training = {"steps": 30, "best_step": 20, "validation_losses": [[10, 0.9], [20, 0.5], [30, 0.6]]}
    run = {"device": "cpu: <x>", "seconds": 2.5, "started": "2026-01-01T00:00:00+00:00", "versions": {"numpy": "2.4"}}
    return Record.of(cell, "image", {"train_images": 90, "dropped": 1}, run, training, refinement)


def hostile_run(path: Path) -> RunStore:
    """Three boards of two models, one of them at two rates of noise; a third model failed throughout."""
    places = [("in_distribution", f"fold={n}", seed) for n in (0, 1) for seed in (0, 1)]
    places += [(f"contamination-{rate}", f"rate={rate / 100:g}/repeat=0", 0) for rate in (10, 20)]
    cells = [planned(model, *place) for model in (GOOD_MODEL, POOR_MODEL, MISSING_MODEL) for place in places]
    apart = replace(planned("n/a", *places[0]), not_applicable="one class only <hr>")
    store = RunStore(path)
    store.write_plan(Plan("run <em>x</em>", "hash", (*cells, apart), notes=("note <s>1</s>",)))
    for cell in cells:
        if cell.model == MISSING_MODEL:
            store.write_failure(cell.id, "OutOfMemory", FAILURE)
        else:
            store.write(record_of(cell), scores_of(cell))
        (store.folder(cell.id) / LOG_FILE).write_text(LOG, encoding="utf-8")
    return store
