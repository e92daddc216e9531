"""The study of docs/scale.md: a table of Real-IAD's shape, ten models on five protocols, and its cells counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from reshift.benchmark.planning import make_plan
from reshift.benchmark.preset import DatasetSpec, ModelSpec, Preset, ProtocolSpec, load_preset
from reshift.benchmark.soak.usage import resident_mib
from reshift.benchmark.world import World
from reshift.datamodules.dataset import Dataset, Reader
from reshift.datamodules.real_iad import DEFECTS
from reshift.results.store import PLAN_FILE, RunStore
from reshift.splits.protocol import Split
from reshift.splits.samples import DEFECTIVE, GOOD, validate_table

PARTS, VIEWS = 30_210, 5
DEFECTIVE_PARTS, DEFECTIVE_IMAGES = 15_642, 51_329
SIZE, SEEDS = 512, 5
MODEL = "realiad-multiview"
PROTOCOLS = ("in_distribution", "random_image", "unseen_component", "unseen_defect", "contamination")
FROZEN = ("gaussian", "logistic_probe", "padim", "patchcore")
FLOWS = ("differnet", "patch_flow", "fastflow")
TRAINED = ("classifier", "contrastive_classifier", "multiview_simclr")


class StudyTable(Reader):
    """A table as a reader of all of Real-IAD would build it, without pictures: components, defects and views dealt out.

    Args:
        components: names of the kinds of part.
        parts: how many there are in all, shared evenly by the components.
    """

    name: ClassVar[str] = "study_table"

    def __init__(self, components: list[str], parts: int = PARTS) -> None:
        self.components = components
        self.parts = parts

    def read(self) -> Dataset:
        """The table; its content hashes are of names, so no file is read."""
        table = validate_table(pd.DataFrame(self._rows()), "study table")
        return Dataset("real_iad_shape", self.version, Path(), table)

    def _rows(self) -> Iterator[dict[str, object]]:
        defects = sorted(set(DEFECTS.values()))
        seen = 0
        for number in range(self.parts):
            component = self.components[number * len(self.components) // self.parts]
            bad = _dealt(number, DEFECTIVE_PARTS, PARTS)
            part = f"{component}/{'NG' if bad else 'OK'}/S{number:05d}"
            defect = defects[seen // VIEWS % len(defects)]
            for view in range(1, VIEWS + 1):
                shows = bad and _dealt(seen, DEFECTIVE_IMAGES, VIEWS * DEFECTIVE_PARTS)
                seen += bad
                sample = f"{part}/{component}_{number:05d}_C{view}.jpg"
                yield {
                    "sample": sample,
                    "label": DEFECTIVE if shows else GOOD,
                    "component": component,
                    "defect": defect if shows else "",
                    "part": part,
                    "view": f"C{view}",
                    "mask": sample.replace(".jpg", "_mask.png") if shows else "",
                    "content": sha256(sample.encode()).hexdigest(),
                }


def _dealt(number: int, chosen: int, total: int) -> bool:
    """Whether `number` is one of `chosen` spread evenly over `total`."""
    return (number + 1) * chosen // total > number * chosen // total


def study(parts: int = PARTS) -> Preset:
    """Ten models at 512 px, five seeds where training draws on one, steps and batches of preset realiad-multiview."""
    base = load_preset(MODEL)
    by_part = next(spec.batch_size for spec in base.models if spec.use == "multiview_simclr")
    components = [str(spec.args["category"]) for spec in base.datasets]
    resnet50: dict[str, Any] = {"backbone": "resnet50", "weights": "none"}
    models = [ModelSpec(use, {"weights": "none"}, seeds=[0]) for use in FROZEN]
    models += [ModelSpec(use, {"weights": "none"}) for use in FLOWS]
    models += [ModelSpec(use, resnet50, batch_size=by_part if use == "multiview_simclr" else None) for use in TRAINED]
    table = DatasetSpec(f"{__name__}:StudyTable", {"components": components, "parts": parts})
    return replace(
        base,
        datasets=[table],
        protocols=[ProtocolSpec(use) for use in PROTOCOLS],
        models=models,
        size=SIZE,
        seeds=list(range(SEEDS)),
    )


@dataclass(frozen=True)
class ProtocolCount:
    """Images of a protocol's splits, summed over them; "good" is what is observed as such.

    Attributes:
        train_good_squares: sum of the squares of each split's good training images.
        largest_train, largest_train_good: of any one split.
    """

    protocol: str
    splits: int
    train: int
    train_good: int
    train_good_squares: int
    largest_train: int
    largest_train_good: int
    val: int
    val_good: int
    test: int


def count_protocol(protocol: str, splits: tuple[Split, ...], table: pd.DataFrame) -> ProtocolCount:
    """Count the images of a protocol's splits of this table."""
    observed = [split.observed_labels(table) for split in splits]
    good = [int((labels.loc[list(s.train)] == GOOD).sum()) for s, labels in zip(splits, observed, strict=True)]
    train = [len(split.train) for split in splits]
    return ProtocolCount(
        protocol=protocol,
        splits=len(splits),
        train=sum(train),
        train_good=sum(good),
        train_good_squares=sum(n * n for n in good),
        largest_train=max(train),
        largest_train_good=max(good),
        val=sum(len(split.val) for split in splits),
        val_good=sum(int((o.loc[list(s.val)] == GOOD).sum()) for s, o in zip(splits, observed, strict=True)),
        test=sum(len(split.test) for split in splits),
    )


def count_splits(preset: Preset) -> dict[str, Any]:
    """Read, draw and verify as a worker does when it starts: what it costs, and how many images each role holds.

    To be called in a fresh process, so that what it grows by is what table and splits take.

    Raises:
        RuntimeError: a protocol skips: the study would not be as stated.
    """
    before, began = resident_mib(), time.perf_counter()
    place = next(World(preset).places())
    seconds, grown = time.perf_counter() - began, resident_mib() - before
    if place.skipped:
        raise RuntimeError(f"the study is not as stated: {place.skipped[0]}; see its protocols and table")
    table = place.dataset.table
    return {
        "images": len(table),
        "parts": int(table["part"].nunique()),
        "components": int(table["component"].nunique()),
        "defective_images": int(table["label"].sum()),
        "protocols": [asdict(count_protocol(board.name, board.splits, table)) for board in place.boards],
        "splits_seconds": seconds,
        "splits_bytes": round(grown * 2**20),
    }


def count_cells(preset: Preset, scratch: Path) -> dict[str, Any]:
    """Plan into `scratch`: cells of each model and bytes of the plan.

    Raises:
        RuntimeError: a model cannot learn from some split.
    """
    plan = make_plan(preset, "study")
    lacking = [f"{cell.model} on {cell.split}: {cell.not_applicable}" for cell in plan.cells if cell.not_applicable]
    if lacking:
        raise RuntimeError(f"the study is not as stated: {lacking[0]}; see its models and table")
    store = RunStore(scratch)
    store.write_plan(plan)
    return {
        "cells": dict(Counter(cell.model for cell in plan.cells)),
        "plan_bytes": (scratch / PLAN_FILE).stat().st_size,
    }
