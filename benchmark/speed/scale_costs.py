"""Sums of the study: unit costs times how often each is paid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from reshift.benchmark.speed.scale_study import ProtocolCount
from reshift.benchmark.speed.scale_work import ModelUnits, Work


@dataclass(frozen=True)
class Scale:
    """What was counted and measured, as results/speed/scale.json holds it.

    Attributes:
        hardware: see `hardware.hardware`.
        study: budget, splits and cells, see `scale_study`.
        pieces: pictures, records and boards, see `scale_pieces`.
    """

    hardware: dict[str, Any]
    study: dict[str, Any]
    models: tuple[ModelUnits, ...]
    pieces: dict[str, float]

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Scale:
        """From the values that `dataclasses.asdict` made of one."""
        return cls(plain["hardware"], plain["study"], tuple(map(_units, plain["models"])), plain["pieces"])

    @property
    def protocols(self) -> list[ProtocolCount]:
        """Images by role, summed over the splits of each protocol."""
        return [ProtocolCount(**count) for count in self.study["protocols"]]

    @property
    def splits(self) -> int:
        """Splits of all protocols together."""
        return sum(count.splits for count in self.protocols)

    @property
    def cells(self) -> int:
        """Cells of all models together."""
        return sum(self.study["cells"].values())

    def seeds(self, model: str) -> int:
        """Cells of a model on each split."""
        return int(self.study["cells"][model]) // self.splits

    def over_splits(self, role: str) -> int:
        """Images of a role, e.g. "val_good", summed over all splits."""
        return sum(getattr(count, role) for count in self.protocols)


def _units(plain: dict[str, Any]) -> ModelUnits:
    works = {name: Work(**value) for name, value in plain.items() if isinstance(value, dict)}
    return ModelUnits(**{**plain, **works, "copies": tuple(plain["copies"])})


@dataclass(frozen=True)
class ModelTotal:
    """What all cells of a model cost.

    Attributes:
        features: of every image and copy, once for the study; nothing where an earlier model has left them.
        steps: training by gradient. watch: looks at validation. fit: closed forms. score: validation and test images.
        squared: the part of fit and score that grows with the square of the number of pictures: a memory bank's.
    """

    model: str
    cells: int
    step: Work
    features: Work
    steps: Work
    watch: Work
    fit: Work
    score: Work
    squared: Work

    @property
    def whole(self) -> Work:
        """All of it."""
        return self.features + self.steps + self.watch + self.fit + self.score


@dataclass(frozen=True)
class FeatureEntry:
    """An entry of the feature cache: which model asks first, copies of each image, bytes, and the work to build it."""

    model: str
    copies: int
    bytes: float
    work: Work


def feature_entries(scale: Scale) -> Iterator[FeatureEntry]:
    """Every entry once: models of the same frozen network and the same copies share it."""
    images = scale.study["images"]
    seen: set[tuple[str, int]] = set()
    for units in scale.models:
        for copies in units.copies:
            if (units.features, copies) in seen:
                continue
            seen.add((units.features, copies))
            # Copies other than the image itself are drawn on a CPU.
            drawn = Work(0.0, scale.pieces["copy_seconds"] * (copies > 1))
            work = (units.extract + drawn) * (images * copies)
            yield FeatureEntry(units.model, copies, 4.0 * units.width * images * copies, work)


def looks(units: ModelUnits, steps: int, checks: int) -> int:
    """How often validation is looked at in a training."""
    every = max(1, steps // checks)
    return sum(done > int(units.select_after * steps) for done in range(every, steps + 1, every))


def bank_patches(units: ModelUnits, training_images: float) -> int:
    """Patches that a memory bank of so many images keeps."""
    return ceil(units.share * units.patches * training_images)


def model_total(units: ModelUnits, scale: Scale) -> ModelTotal:
    """Of all cells of one model."""
    study, seeds = scale.study, scale.seeds(units.model)
    cells = study["cells"][units.model]
    prepared = Work(0.0, scale.pieces.get(f"prepare_{units.model}", 0.0))
    step = (units.step + prepared) * units.step_images + units.update
    watched = looks(units, study["steps"], study["checks"]) if units.step_images else 0
    fitted = scale.over_splits("train_good" if units.good else "train")
    scored = scale.over_splits("val") + scale.over_splits("test")
    fit, score, squared = units.fit * (seeds * fitted), units.score * (seeds * scored), Work()
    if units.bank:
        squares = scale.over_splits("train_good_squares")
        # Each of the bank's patches takes a pass over all patches.
        fit = units.fit * (seeds * units.share * units.patches**2 * squares)
        score = score * (bank_patches(units, fitted / scale.splits) / units.bank)
        squared = fit + score
    entries = [entry.work for entry in feature_entries(scale) if entry.model == units.model]
    return ModelTotal(
        model=units.model,
        cells=cells,
        step=step if units.step_images else Work(),
        features=sum(entries, Work()),
        steps=step * (cells * study["steps"]) if units.step_images else Work(),
        watch=units.watch * (seeds * watched * scale.over_splits("val_good" if units.good else "val")),
        fit=fit,
        score=score,
        squared=squared,
    )


def totals(scale: Scale) -> Sequence[ModelTotal]:
    """Of every model, in the study's order."""
    return [model_total(units, scale) for units in scale.models]


def scored_rows(scale: Scale) -> float:
    """Rows of all scores files: images, or parts where a model sees all views."""
    scored = scale.over_splits("val") + scale.over_splits("test")
    return sum(scale.seeds(m.model) / m.row_images for m in scale.models) * scored


def sustained(units: ModelUnits) -> float:
    """FLOP/s of this machine's core on the part of the model that takes most operations."""
    heavy = max((units.extract, units.step, units.score), key=lambda work: work.flops)
    return heavy.flops / heavy.seconds if heavy.seconds else 0.0
