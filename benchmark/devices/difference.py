"""How far the scores of two runs of the same cells lie apart, model by model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reshift.results.clustered_auroc import auroc
from reshift.results.store import RunStore


@dataclass(frozen=True)
class Difference:
    """The largest difference over all cells of a model.

    Attributes:
        score: of a test image's headline score, as a share of the range of the cell's test scores.
        auroc: of a cell's AUROC over test images.
    """

    score: float
    auroc: float


def differences(one: RunStore, other: RunStore) -> dict[str, Difference]:
    """By model, in order of name.

    Raises:
        ValueError: the runs hold different cells.
        RecordError: a cell is not finished.
    """
    cells = one.read_plan().cells
    if {cell.id for cell in cells} != {cell.id for cell in other.read_plan().cells}:
        raise ValueError(f"{one.path} and {other.path}: not the same cells; compare two runs of one preset")
    found: dict[str, list[Difference]] = {}
    for cell in cells:
        found.setdefault(cell.model, []).append(_of_cell(one, other, cell.id))
    return {model: _largest(found[model]) for model in sorted(found)}


def headline_scores(run: RunStore, cell: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels and headline scores of a cell's test rows, (N,) each, in order of sample.

    Raises:
        RecordError: the cell is not finished.
    """
    record, frame = run.read(cell)
    assert record.scores is not None
    rows = frame[frame["role"] == "test"].sort_values("sample")
    return rows["label"].to_numpy(), rows[f"score:{record.scores.names[0]}"].to_numpy()


def _of_cell(one: RunStore, other: RunStore, cell: str) -> Difference:
    (label, a), (_, b) = headline_scores(one, cell), headline_scores(other, cell)
    span = float(np.ptp(a))
    score = float(np.abs(a - b).max())
    return Difference(score / span if span else score, abs(auroc(label, a) - auroc(label, b)))


def _largest(found: Iterable[Difference]) -> Difference:
    each = list(found)
    return Difference(max(d.score for d in each), max(d.auroc for d in each))
