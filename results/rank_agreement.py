"""Whether two boards put models in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import kendalltau

from reshift.results.board_rows import MEAN, Row

MIN_MODELS = 6
"""Fewer have too few orders for a rank correlation to mean anything."""

Board = tuple[str, str]
"""Data set and protocol."""


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau-b between the mean AUROCs of two boards.

    Attributes:
        tau: 1 for the same order, -1 for the reverse.
        models: how many models stand on both.
        moved: models whose place differs, with both places (1 = best).
    """

    tau: float
    models: int
    moved: dict[str, tuple[int, int]]


def board_means(overall: Sequence[Row], board: Board) -> dict[str, float]:
    """Mean AUROC of every complete model of a board, further scores of a model left out."""
    return {
        row.model: row.mean
        for row in overall
        if (row.dataset, row.protocol.partition(" [")[0]) == board
        and row.split == MEAN
        and row.metric == "auroc"
        and row.mean is not None
        and "[" not in row.model
    }


def rank_agreement(
    overall: Sequence[Row], first: Board, second: Board, without: Sequence[str] = ()
) -> Agreement | None:
    """How far two boards agree; None where fewer than `MIN_MODELS` models stand on both, too few for an order.

    Args:
        without: models that are not ranked, such as floors, which any two boards put last.
    """
    a, b = board_means(overall, first), board_means(overall, second)
    shared = sorted((a.keys() & b.keys()) - set(without))
    if len(shared) < MIN_MODELS:
        return None
    places = [{m: k for k, m in enumerate(sorted(shared, key=lambda m: -means[m]), start=1)} for means in (a, b)]
    moved = {m: (places[0][m], places[1][m]) for m in shared if places[0][m] != places[1][m]}
    return Agreement(float(kendalltau([a[m] for m in shared], [b[m] for m in shared]).statistic), len(shared), moved)
