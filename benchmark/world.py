"""What a preset means on this machine: data sets, their splits and the model classes, built from their specs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pandas as pd

from reshift.benchmark.catalog import build, find_class, full_arguments
from reshift.benchmark.preset import ORACLE, DatasetSpec, ModelSpec, Preset, PrognosisSpec, ProtocolSpec
from reshift.datamodules.corrections import apply_corrections
from reshift.datamodules.dataset import Dataset, Reader
from reshift.datamodules.progress import tracked
from reshift.models.base import InspectionModule
from reshift.models.prognosis import Prognosis
from reshift.results.label_error import LabelError
from reshift.splits.calibration import reserve_calibration
from reshift.splits.protocol import Protocol, Skip, Split, collect_splits
from reshift.splits.verify import Verifier

READERS = "reshift.datamodules"
PROTOCOLS = "reshift.splits"
MODELS = "reshift.models"


@dataclass(frozen=True)
class Board:
    """One protocol of a preset: what its board is called, how it was built, and its verified splits."""

    name: str
    spec: ProtocolSpec
    cls: type[Protocol]
    args: dict[str, Any]
    splits: tuple[Split, ...]


@dataclass(frozen=True)
class Place:
    """A data set of a preset: how wrong its test labels are, its boards, and (board, reason) of protocols that skip."""

    dataset: Dataset
    label_error: LabelError | None
    boards: tuple[Board, ...]
    skipped: tuple[tuple[str, str], ...]

    def split(self, board: str, name: str) -> Split:
        """A split by the names a plan uses."""
        splits = next(candidate.splits for candidate in self.boards if candidate.name == board)
        return next(split for split in splits if split.name == name)


class World:
    """A preset with its names looked up. Data are read and splits drawn on first use, once, data set by data set."""

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        self._read: list[Place] = []

    def places(self) -> Iterator[Place]:
        """The data sets in the preset's order, each read when it is reached.

        Raises:
            DataError, TableError, SplitError, LookupFailure: see where they are raised.
            ValueError: two data sets or two boards of one name.
        """
        for number, spec in enumerate(self.preset.datasets):
            if number == len(self._read):
                place = self._place(spec)
                if any(place.dataset.name == other.dataset.name for other in self._read):
                    raise ValueError(f"two data sets are called {place.dataset.name!r}; give one of them another name")
                self._read.append(place)
            yield self._read[number]

    def place(self, dataset: str) -> Place:
        """A data set by its name."""
        return next(place for place in self.places() if place.dataset.name == dataset)

    def _place(self, spec: DatasetSpec) -> Place:
        reader = find_class(spec.use, READERS, Reader)  # type: ignore[type-abstract]
        dataset = build(reader, full_arguments(reader, spec.args, f"dataset {spec.use}")).read()
        if spec.name:
            dataset = replace(dataset, name=spec.name)
        if spec.corrections:
            dataset = apply_corrections(dataset, Path(spec.corrections))
        boards: list[Board] = []
        skipped: list[tuple[str, str]] = []
        seen: set[str] = set()
        for wanted in self.preset.protocols:
            cls = find_class(wanted.use, PROTOCOLS, Protocol)  # type: ignore[type-abstract]
            name = wanted.name or cls.name
            if name in seen:
                raise ValueError(f"two protocols write the board {name!r}; give one of them another name")
            seen.add(name)
            if not any(fnmatch(name, pattern) for pattern in spec.protocols):
                continue
            args = full_arguments(cls, wanted.args, f"protocol {wanted.use}")
            try:
                splits, reason = self._splits(build(cls, args), wanted, dataset.table)
            except Skip as skip:
                splits, reason = (), str(skip)
            if splits:
                boards.append(Board(name, wanted, cls, args, splits))
            if reason:
                skipped.append((name, reason))
        return Place(dataset, spec.label_error, tuple(boards), tuple(skipped))

    def model_class(self, spec: ModelSpec) -> type[InspectionModule]:
        """The class of a model; raises LookupFailure."""
        return find_class(spec.use, MODELS, InspectionModule)

    def models(self) -> Iterator[tuple[str, ModelSpec, type[InspectionModule]]]:
        """Board name, spec and class of every model; raises ValueError where two share a name."""
        seen: set[str] = set()
        for spec in self.preset.models:
            cls = self.model_class(spec)
            name = (spec.name or cls.name or cls.__name__) + (ORACLE if spec.selection == "best_test" else "")
            if name in seen:
                raise ValueError(f"two models are called {name!r}; give one of them another name")
            seen.add(name)
            yield name, spec, cls

    def prognoses(self) -> Iterator[tuple[str, PrognosisSpec, type[Prognosis]]]:
        """Board name, spec and class of every prognosis method; raises ValueError where two share a name."""
        seen: set[str] = set()
        for spec in self.preset.prognoses:
            cls = find_class(spec.use, MODELS, Prognosis)  # type: ignore[type-abstract]
            name = spec.name or cls.name or cls.__name__
            if name in seen:
                raise ValueError(f"two prognosis methods are called {name!r}; give one of them another name")
            seen.add(name)
            yield name, spec, cls

    def _reserved(self, splits: Sequence[Split], share: float, table: pd.DataFrame) -> tuple[list[Split], list[str]]:
        """The splits with calibration parts, and why others can have none; a control stays with its shifted split."""
        found: list[Split] = []
        refused: list[str] = []
        for split in splits:
            try:
                found.append(reserve_calibration(split, table, share, self.preset.split_seed))
            except Skip as skip:
                refused.append(str(skip))
        names = {split.name for split in found}
        return [split for split in found if not split.control_of or split.control_of in names], refused

    def _splits(self, protocol: Protocol, spec: ProtocolSpec, table: pd.DataFrame) -> tuple[tuple[Split, ...], str]:
        """The wanted splits, verified, and why others of this protocol cannot be had, or ""."""
        protocol.check_columns(table)
        found, reason = collect_splits(protocol, table, self.preset.split_seed)
        if spec.calibration:
            found, refused = self._reserved(found, spec.calibration, table)
            reason = "; ".join(filter(None, (reason, *refused)))
        kept = tuple(s for s in found if any(fnmatch(s.name, pattern) for pattern in spec.splits))
        if found and not kept and not reason:
            names = ", ".join(s.name for s in found)
            raise ValueError(f"protocol {spec.use}: splits {spec.splits} match none of: {names}")
        verifier = Verifier(table)
        for split in tracked(kept, f"{spec.name or spec.use}: splits verified"):
            verifier.check(split)
        # A preset that asks for some splits by name is not told of others that cannot be had.
        named = "*" not in spec.splits and all(any(fnmatch(s.name, p) for s in kept) for p in spec.splits)
        return kept, "" if named else reason
