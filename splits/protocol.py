"""The contract of a protocol: a pure rule that turns a sample table into splits."""

from __future__ import annotations

import gc
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_LOOKS = 1000


class Skip(Exception):
    """A protocol does not apply to this table; the message is the reason shown to the user."""


@dataclass(frozen=True)
class Split:
    """Who trains, who validates, who is tested: sample ids, each tuple sorted and free of duplicates.

    Attributes:
        name: unique within its protocol, fit for a file name, e.g. "component=spline".
        calibration: samples that neither training nor selection touches, for bounds on thresholds or as verified good
            ones; often empty.
        train_labels: observed labels of those train and val samples whose observed label differs from the truth.
        held_out: (column, value) the test side is about, or None.
        control_of: name of the shifted split whose parts this matched control tests, or "".
        breaks: invariants of `verify` this split is allowed to break ("parts", "content", "absence", "classes").
        noise: the stated share of wrong observed labels and its unit, e.g. {"kind": "contamination", "rate": 0.2, ...}.
        dropped: number of samples that are in no role although the table holds them.
        test_shift: (kind, severity) of the disturbance that test pictures go through before they are scored, or None.
    """

    name: str
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    calibration: tuple[str, ...] = ()
    train_labels: Mapping[str, int] = field(default_factory=dict)
    held_out: tuple[str, str] | None = None
    control_of: str = ""
    breaks: tuple[str, ...] = ()
    noise: Mapping[str, object] = field(default_factory=dict)
    dropped: int = 0
    test_shift: tuple[str, int] | None = None

    @property
    def over_sequences(self) -> bool:
        """Whether whole sequences are tested, by forecasts of their remaining life and not by telling classes apart."""
        return "classes" in self.breaks

    @property
    def digest(self) -> str:
        """Sha256 of everything that changes what a cell learns or is tested on."""
        content: dict[str, object] = {
            "train": self.train,
            "val": self.val,
            "test": self.test,
            "calibration": self.calibration,
            "train_labels": dict(sorted(self.train_labels.items())),
        }
        if self.test_shift:
            content["test_shift"] = self.test_shift
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()

    def observed_labels(self, table: pd.DataFrame) -> pd.Series:
        """Labels as training sees them, indexed by sample: the table's, with this split's noise on top."""
        truth = zip(table["sample"].tolist(), table["label"].tolist(), strict=True)
        seen = [self.train_labels.get(sample, label) for sample, label in truth]
        return pd.Series(seen, index=pd.Index(table["sample"], name="sample"), name="label", dtype="int64")


class Protocol(ABC):
    """A rule that yields splits from a table. Subclass it in one file; parameters go to `__init__`.

    Class attributes: `name` (short, unique), `version` (raise it when a split changes), `requires` (columns that
    must be present and not constant, or the protocol skips), `trains_once` (splits of equal training and validation
    differ in their tests alone, so that one trained model is scored on all of them).
    """

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    requires: ClassVar[tuple[str, ...]] = ()
    trains_once: ClassVar[bool] = False

    @abstractmethod
    def splits(self, table: pd.DataFrame, seed: int) -> Iterator[Split]:
        """Yield the splits of a validated table; pure, and independent of row order.

        Raises:
            Skip: the table cannot carry this protocol; the message says why, with the numbers.
        """

    def check_columns(self, table: pd.DataFrame) -> None:
        """Raise `Skip` where a required column is missing, empty or constant."""
        for column in self.requires:
            values = _some_values(table[column]) if column in table.columns else set()
            if len(values) < 2:
                found = f"only {next(iter(values))!r}" if values else "no value"
                raise Skip(f"column '{column}' has {found}; {self.name} needs at least two values")


def _some_values(column: pd.Series) -> set[str]:
    """At least two of the values that stand in a text column, or all there are; "" is none."""
    # A few looks tell for most columns; taking a hundred thousand names apart is worth it for the others only.
    looks = set(column.iloc[:: len(column) // _LOOKS + 1].tolist()) - {""}
    return looks if len(looks) > 1 else set(column.unique().tolist()) - {""}


def collect_splits(protocol: Protocol, table: pd.DataFrame, seed: int) -> tuple[list[Split], str]:
    """All splits that a protocol can make of a table, and why it skips ("" if it does not).

    Some protocols yield what can be reached and then skip with the rest, so both may be there.
    """
    found: list[Split] = []
    try:
        with _no_collection():
            for split in protocol.splits(table, seed):
                found.append(split)
    except Skip as reason:
        return found, str(reason)
    return found, ""


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python's cycle collector paused: millions of new sample ids would set it off hundreds of times, for nothing."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def unit_hash(seed: int, *keys: str) -> float:
    """A number in [0, 1) from a seed and names: the only randomness splits use."""
    digest = hashlib.sha256("\x1f".join((str(seed), *keys)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def utf8(names: Iterable[str]) -> NDArray[np.object_]:
    """The names as `unit_hashes` takes them, (N,): a hundred draws of the same names encode them once."""
    return np.array([name.encode() for name in names], dtype=object)


def unit_hashes(seed: int, purpose: str, names: NDArray[np.object_]) -> NDArray[np.float64]:
    """`unit_hash(seed, purpose, name)` of every name in UTF-8, (N,), to the last bit: sets have 100,000 of them."""
    start = hashlib.sha256(f"{seed}\x1f{purpose}\x1f".encode())
    copy, digests = start.copy, []
    for name in names.tolist():
        state = copy()
        state.update(name)
        digests.append(state.digest())
    # Both this conversion and Python's division round to the nearest double, and a power of two rounds nothing.
    return np.frombuffer(b"".join(digests), dtype=">u8")[::4].astype(np.float64) * 2.0**-64


def hash_order(seed: int, purpose: str, names: Iterable[str]) -> list[str]:
    """The names in an order that depends on (seed, purpose, name) only, never on how they came in."""
    # Names mostly come sorted, and a dict keeps that, so that sorting them takes one look at each.
    unique = sorted(dict.fromkeys(names))
    order = np.argsort(
        unit_hashes(seed, purpose, utf8(unique)), kind="stable"
    )  # equal hashes stay in the order of names
    return [unique[place] for place in order.tolist()]
