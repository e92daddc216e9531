"""Boards from 10,000 records, when what an earlier build computed is kept and when it is not."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from reshift.benchmark.speed.measurement import Measurement
from reshift.results.leaderboard import CACHE_FOLDER, FOLDER, write_boards
from reshift.results.plan import Plan, PlannedCell, identity_hash
from reshift.results.record import Record
from reshift.results.store import RunStore

MODELS, SEEDS, DATASETS = 10, 5, 2
PARTS, VIEWS = 40, 2
TARGET_S = 5.0


def measure(scratch: Path) -> Measurement:
    """Wall time of `reshift board` after imports; 80 test images a cell, half of them for a control."""
    run = scratch / "boards"
    cells = list(planned_cells())
    write_run(run, Plan("boards", "", tuple(cells)))
    cold, made = _timed(run)
    warm, again = _timed(run)
    store = RunStore(run)
    changed = next(cell for cell in cells if cell.protocol == "in_distribution")
    store.write(record_of(changed), scores_of(replace(changed, seed=-1)))
    one_new, with_new = _timed(run)
    for path in (run / CACHE_FOLDER).iterdir():
        path.unlink()
    if again != made or _timed(run)[1] != with_new:
        raise RuntimeError("boards from what was kept differ from boards from the records")
    return Measurement(
        what=f"boards from {len(cells):,} records, rows of the last build kept",
        against="",
        value=warm,
        unit="s",
        bound="at most",
        target=TARGET_S,
        detail={
            "kept_s": warm,
            "one_record_new_s": one_new,
            "nothing_kept_s": cold,
            "board_rows": sum(content.count(b"\n") for content in made.values()),
            "kept_mib": sum(path.stat().st_size for path in (run / CACHE_FOLDER).iterdir()) / 2**20,
        },
        note="What is kept are the rows of a data set and protocol; a new record has those of its own computed again.",
    )


def planned_cells() -> Iterator[PlannedCell]:
    """10,000 cells: two data sets, eleven protocols of 100 splits, ten models, five seeds."""
    for dataset in range(DATASETS):
        for model in range(MODELS):
            for seed in range(SEEDS):
                for protocol, split, control_of in _splits():
                    yield _cell(f"data-{dataset}", f"model-{model}", protocol, split, control_of, seed)


def _splits() -> Iterator[tuple[str, str, str]]:
    """Protocol, split and what it is a control of."""
    for protocol in ("in_distribution", "random_image"):
        yield from ((protocol, f"fold={fold}", "") for fold in range(5))
    for protocol, values, halves in (
        ("unseen_component", 6, "ab"),
        ("unseen_defect", 4, "ab"),
        ("acquisition", 5, "a"),
    ):
        for value in range(values):
            shifted = f"{protocol}={value}"
            yield protocol, shifted, ""
            yield from ((protocol, f"{shifted}/control={half}", shifted) for half in halves)
    for rate in (0, 10, 20, 30, 40, 50):
        yield from (
            (f"contamination-{rate:02d}", f"rate={rate / 100:g}/repeat={k}", "") for k in range(10 - 2 * (rate > 0))
        )


def _cell(dataset: str, model: str, protocol: str, split: str, control_of: str, seed: int) -> PlannedCell:
    # As long as an identity is, so that reading it takes as long.
    identity = {
        "dataset": {"name": dataset, "version": 1, "fingerprint": _hex(dataset)},
        "model": {"class": model, "version": "1", "args": {"backbone": "resnet18", "lr": 1e-4, "weights": _hex(model)}},
        "protocol": {"class": protocol, "version": "1", "seed": 0, "args": {"folds": 5, "val": 0.2, "values": None}},
        "split": {"name": split, "digest": _hex(split)},
        "budget": {"steps": 1000, "batch_size": 32, "checks": 10},
        "selection": "best_validation",
        "size": 224,
        "seed": seed,
    }
    return PlannedCell(
        identity_hash(identity), identity, dataset, model, protocol, split, seed, control_of=control_of,
        breaks=("parts", "content") if protocol == "random_image" else (),
    )  # fmt: skip


def write_run(folder: Path, plan: Plan) -> None:
    """A finished run: a valid record with scores for every cell of the plan."""
    store = RunStore(folder)
    store.write_plan(plan)
    for cell in plan.cells:
        store.write(record_of(cell), scores_of(cell))


def record_of(cell: PlannedCell) -> Record:
    """What such a cell leaves behind, its training curve included."""
    run = {"device": "cpu: x86_64", "seconds": 41.5, "versions": {"numpy": "2.4.6", "torch": "2.15.0"}}
    training = {"steps": 1000, "best_step": 800, "validation_losses": [[100 * k, 1 / k] for k in range(1, 11)]}
    return Record.of(cell, "image", {"train_images": 843, "test_images": PARTS * VIEWS}, run, training)


def scores_of(cell: PlannedCell) -> pd.DataFrame:
    """Scores with some skill: forty parts of two views that validate, and forty that are tested."""
    tested = cell.control_of or cell.split
    parts = _generator(cell.dataset, cell.protocol, tested).permutation(400)[: 2 * PARTS]
    part = np.repeat(parts, VIEWS)
    view = np.tile(np.arange(VIEWS), 2 * PARTS)
    bad = (part % 5 < 2) & ((view == 0) | (part % 3 > 0))
    frame = pd.DataFrame(
        {
            "sample": [f"component-{p % 4}/S{p:04d}/C{v}.png" for p, v in zip(part, view, strict=True)],
            "part": [f"component-{p % 4}/S{p:04d}" for p in part],
            "view": [f"C{v}" for v in view],
            "role": np.repeat(["test", "val"], PARTS * VIEWS),
            "label": bad.astype(np.int64),
            "observed_label": bad.astype(np.int64),
            "component": [f"component-{p % 4}" for p in part],
            "defect": [f"defect-{p % 3}" if b else "" for p, b in zip(part, bad, strict=True)],
            "transmission": "",
            "acquisition": "",
            "score:nll": _generator(cell.id, str(cell.seed)).normal(size=len(part)) + 1.5 * bad,
        }
    )
    if not cell.control_of:
        return frame
    half = cell.split.endswith("b")
    kept: pd.DataFrame = frame.loc[(frame["role"] == "val") | (np.arange(len(frame)) // VIEWS % 2 == half)]
    return kept


def _timed(run: Path) -> tuple[float, dict[str, bytes]]:
    started = time.perf_counter()
    write_boards(run)
    return time.perf_counter() - started, {path.name: path.read_bytes() for path in (run / FOLDER).iterdir()}


def _generator(*keys: str) -> np.random.Generator:
    return np.random.default_rng(int(_hex("/".join(keys))[:16], 16))


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
