"""What pictures, caches, records and boards of the study cost, a piece of each made and measured."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch

from reshift.benchmark.catalog import build, find_class, full_arguments
from reshift.benchmark.cell_data import cell_data
from reshift.benchmark.planning import make_plan
from reshift.benchmark.preset import ModelSpec, Preset, ProtocolSpec
from reshift.benchmark.world import MODELS, World
from reshift.datamodules.augment import kept_copy
from reshift.datamodules.dataset import Dataset
from reshift.datamodules.image_cache import cached_images, content_hash
from reshift.models.base import InspectionModule
from reshift.models.differnet import DifferNet
from reshift.results.board_family import families, family_rows
from reshift.results.boards import build_boards
from reshift.results.judged_cells import JudgedCells, checked_record
from reshift.results.plan import Plan
from reshift.results.record import RECORD_FILE, SCORES_FILE, Record, read_columns, read_header
from reshift.results.store import RunStore
from reshift.splits.protocol import Split
from reshift.splits.samples import validate_table

FILE_SIDE, PICTURES, VIEWS = 1024, 40, 5


def measure_pictures(preset: Preset, scratch: Path) -> dict[str, float]:
    """Hash, decode and keep JPEGs of 1024 px; draw a kept copy; prepare images of a training batch. Seconds each."""
    data = _pictures(scratch)
    files = [data.root / sample for sample in data.table["sample"]]
    hashing = _seconds(lambda: [content_hash(path) for path in files]) / PICTURES
    began = time.perf_counter()
    images = cached_images(data, preset.size)
    decoding = (time.perf_counter() - began) / PICTURES
    rotation = DifferNet(weights="none", blocks=1, hidden=8).augmentation(preset.size)
    copies = [(row, copy) for row in range(PICTURES // 4) for copy in range(1, 5)]

    def draw() -> None:
        for row, copy in copies:
            kept_copy(images.pixels[row], rotation, images.contents[row], copy)

    return {
        "file_bytes": sum(path.stat().st_size for path in files) / PICTURES,
        "hash_seconds": hashing,
        "decode_seconds": decoding,
        "decoded_bytes": images.pixels.nbytes / PICTURES,
        "copy_seconds": _seconds(draw) / len(copies),
        **{f"prepare_{spec.use}": _prepare(spec, preset, data) for spec in preset.models if _sees_images(spec)},
    }


def measure_records(published: Path) -> dict[str, float]:
    """Bytes of a record and of a scored row in the committed records of a run."""
    folders = sorted(path.parent for path in (published / "cells").glob(f"*/{RECORD_FILE}"))
    records = sum((folder / RECORD_FILE).stat().st_size for folder in folders)
    scores = sum((folder / SCORES_FILE).stat().st_size for folder in folders)
    rows = sum(len(read_columns(folder, read_header(folder))["sample"]) for folder in folders)
    return {
        "records": len(folders),
        "record_bytes": records / len(folders),
        "row_bytes": scores / rows,
        "rows": rows,
        "files_per_cell": sum(len(list(folder.iterdir())) for folder in folders) / len(folders),
    }


def measure_boards(preset: Preset, scratch: Path) -> dict[str, float]:
    """Boards of two folds of the study from made-up scores: seconds of a record, and memory that it keeps."""
    small = replace(
        preset,
        protocols=[ProtocolSpec("in_distribution", splits=["fold=0", "fold=1"])],
        models=[ModelSpec("gaussian", {"weights": "none"}, seeds=[0])],
    )
    place = next(World(small).places())
    plan, store = make_plan(small, "boards"), RunStore(scratch)
    store.write_plan(plan)
    rows = 0
    for cell in plan.cells:
        scores = _made_up(place.dataset.table, place.split(cell.protocol, cell.split))
        store.write(Record.of(cell, "image", {}, {"seconds": 1.0, "device": ""}), scores)
        rows += len(scores)
    stored = sum((store.folder(cell.id) / SCORES_FILE).stat().st_size for cell in plan.cells)
    began = time.perf_counter()
    boards = build_boards(store, plan)
    seconds = time.perf_counter() - began
    if boards.problems:
        raise RuntimeError(f"boards of the study: {boards.problems[0]}")
    return {
        "board_rows": rows / len(plan.cells),
        "board_seconds": seconds / len(plan.cells),
        "board_memory_bytes": _kept(store, plan) / len(plan.cells),
        "study_row_bytes": stored / rows,
    }


def _made_up(table: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Scores that tell good from defective a little."""
    frames = [table[table["sample"].isin(getattr(split, role))].assign(role=role) for role in ("val", "test")]
    rows = pd.concat(frames, ignore_index=True).drop(columns=["mask", "content"])
    scores = np.random.default_rng(0).normal(rows["label"].to_numpy(dtype=np.float64))
    return rows.assign(observed_label=rows["label"], **{"score:score": scores})


def _kept(store: RunStore, plan: Plan) -> int:
    """Bytes that judged cells hold once their rows are made; apart from any timing, since watching slows."""
    records = {cell.id: checked_record(store, cell.id) for cell in plan.cells}
    tracemalloc.start()
    judged = JudgedCells(store, records)
    for family in families(plan, judged, records).values():
        family_rows(family)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return held


def _sees_images(spec: ModelSpec) -> bool:
    cls = find_class(spec.use, MODELS, InspectionModule)
    return cls.extractor is InspectionModule.extractor


def _prepare(spec: ModelSpec, preset: Preset, data: Dataset) -> float:
    """Seconds to take one image of a training batch from the warm cache and augment it."""
    cls = find_class(spec.use, MODELS, InspectionModule)
    model = build(cls, full_arguments(cls, spec.args, f"model {spec.use}"))
    everything = Split("all", train=tuple(data.table["sample"]), val=(), test=())
    suite = cell_data(model, data, everything, preset.size, 2, 0, torch.device("cpu"))
    found = [0]

    def batches() -> None:
        found[0] = sum(int(batch["image"].flatten(end_dim=-4).shape[0]) for batch in suite.train_loader(steps=4))

    return _seconds(batches) / found[0]


def _pictures(folder: Path) -> Dataset:
    """JPEGs of 1024 px as a camera leaves them, large shapes and some grain: parts of five views."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(PICTURES):
        draw = np.random.default_rng(number)
        shapes = cv2.resize(draw.uniform(40, 200, (12, 12, 3)), (FILE_SIDE, FILE_SIDE), interpolation=cv2.INTER_CUBIC)
        picture = (shapes + draw.normal(0, 4, shapes.shape)).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number:03d}.jpg"), picture)
        part, view = divmod(number, VIEWS)
        rows.append({"sample": f"{number:03d}.jpg", "label": part % 2, "part": str(part), "view": f"C{view + 1}"})
    return Dataset("pictures", 1, folder, validate_table(pd.DataFrame(rows), str(folder)))


def _seconds(call: Callable[[], object]) -> float:
    """Of a second call, when what a first one leaves behind is there."""
    call()
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
