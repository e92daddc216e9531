"""What a preset means on this machine: the data set, its splits and the model classes, built from their specs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from typing import Any

from reshift.benchmark.catalog import build, find_class, full_arguments
from reshift.benchmark.preset import ModelSpec, Preset, ProtocolSpec
from reshift.datamodules.dataset import Dataset, Reader
from reshift.models.base import InspectionModule
from reshift.splits.protocol import Protocol, Skip, Split, collect_splits
from reshift.splits.verify import verify

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


class World:
    """A preset with its names looked up. Reading data and drawing splits happens on first use, once."""

    def __init__(self, preset: Preset) -> None:
        self.preset = preset

    @cached_property
    def dataset(self) -> Dataset:
        """The data set, read from disk; raises DataError or TableError."""
        spec = self.preset.dataset
        cls = find_class(spec.use, READERS, Reader)  # type: ignore[type-abstract]
        return build(cls, full_arguments(cls, spec.args, f"dataset {spec.use}")).read()

    @cached_property
    def drawn(self) -> tuple[tuple[Board, ...], tuple[tuple[str, str], ...]]:
        """The boards with their splits, each verified, and (board, reason) of the protocols that skip."""
        boards: list[Board] = []
        skipped: list[tuple[str, str]] = []
        seen: set[str] = set()
        for spec in self.preset.protocols:
            cls = find_class(spec.use, PROTOCOLS, Protocol)  # type: ignore[type-abstract]
            name = spec.name or cls.name
            if name in seen:
                raise ValueError(f"two protocols write the board {name!r}; give one of them another name")
            seen.add(name)
            args = full_arguments(cls, spec.args, f"protocol {spec.use}")
            try:
                splits, reason = self._splits(build(cls, args), spec)
            except Skip as skip:
                splits, reason = (), str(skip)
            if splits:
                boards.append(Board(name, spec, cls, args, splits))
            if reason:
                skipped.append((name, reason))
        return tuple(boards), tuple(skipped)

    def split(self, board: str, name: str) -> Split:
        """A split by the names a plan uses."""
        for candidate in self.drawn[0]:
            if candidate.name == board:
                return next(split for split in candidate.splits if split.name == name)
        raise KeyError(f"no board {board!r}")

    def model_class(self, spec: ModelSpec) -> type[InspectionModule]:
        """The class of a model; raises LookupFailure."""
        return find_class(spec.use, MODELS, InspectionModule)

    def models(self) -> Iterator[tuple[str, ModelSpec, type[InspectionModule]]]:
        """Board name, spec and class of every model; raises ValueError where two share a name."""
        seen: set[str] = set()
        for spec in self.preset.models:
            cls = self.model_class(spec)
            name = spec.name or cls.name or cls.__name__
            if name in seen:
                raise ValueError(f"two models are called {name!r}; give one of them another name")
            seen.add(name)
            yield name, spec, cls

    def _splits(self, protocol: Protocol, spec: ProtocolSpec) -> tuple[tuple[Split, ...], str]:
        """The wanted splits, verified, and why others of this protocol cannot be had, or ""."""
        protocol.check_columns(self.dataset.table)
        found, reason = collect_splits(protocol, self.dataset.table, self.preset.split_seed)
        kept = tuple(s for s in found if any(fnmatch(s.name, pattern) for pattern in spec.splits))
        if found and not kept:
            names = ", ".join(s.name for s in found)
            raise ValueError(f"protocol {spec.use}: splits {spec.splits} match none of: {names}")
        for split in kept:
            verify(split, self.dataset.table)
        return kept, reason
