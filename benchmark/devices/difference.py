"""How far the scores of two runs of the same cells lie apart, model by model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

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


def _of_cell(one: RunStore, other: RunStore, cell: str) -> Difference:
    record, frame = one.read(cell)
    assert record.scores is not None
    column = f"score:{record.scores.names[0]}"
    ours, theirs = (run.query("role == 'test'").sort_values("sample") for run in (frame, other.read(cell)[1]))
    label, a, b = (values.to_numpy() for values in (ours["label"], ours[column], theirs[column]))
    span = float(np.ptp(a))
    score = float(np.abs(a - b).max())
    return Difference(score / span if span else score, abs(auroc(label, a) - auroc(label, b)))


def _largest(found: Iterable[Difference]) -> Difference:
    each = list(found)
    return Difference(max(d.score for d in each), max(d.auroc for d in each))
