"""How far another precision of training moves each model, from two runs of one preset but for its `precision`.

`python -m reshift.benchmark.devices.precision EXACT ROUGH` prints a line a model; `make precision` trains both on the
tiles.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from reshift.benchmark.devices.difference import headline_scores
from reshift.results.clustered_auroc import auroc
from reshift.results.plan import PlannedCell
from reshift.results.store import RunStore


def lines(exact: RunStore, rough: RunStore) -> list[str]:
    """For each model how its AUROC over test rows moved in all cells, and Spearman's correlation of the scores.

    Raises:
        ValueError: a cell has no counterpart.
        RecordError: a cell is not finished.
    """
    counterparts = {_place(cell): cell.id for cell in rough.read_plan().cells}
    moved: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for cell in exact.read_plan().cells:
        if _place(cell) not in counterparts:
            raise ValueError(f"{rough.path}: has no {' / '.join(map(str, _place(cell)))}; compare runs of one preset")
        label, ours = headline_scores(exact, cell.id)
        _, theirs = headline_scores(rough, counterparts[_place(cell)])
        moved[cell.model].append((auroc(label, theirs) - auroc(label, ours), float(spearmanr(ours, theirs).statistic)))
    found = []
    for model, values in moved.items():
        away, order = np.array(values).T
        found.append(
            f"{model}: {len(values)} cells, AUROC moved by {away.min():+.4f} to {away.max():+.4f}, "
            f"{away.mean():+.4f} in the mean; rank correlation at least {order.min():.4f}"
        )
    return found


def _place(cell: PlannedCell) -> tuple[str, str, str, str, int]:
    return cell.dataset, cell.model, cell.protocol, cell.split, cell.seed


def main(arguments: Sequence[str]) -> None:
    """Print the lines."""
    print("\n".join(lines(*(RunStore(Path(path)) for path in arguments))))


if __name__ == "__main__":
    main(sys.argv[1:])
