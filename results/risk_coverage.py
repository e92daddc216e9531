"""`risk_coverage.csv`: how wrong each model is on the parts it is surest of, from few of them to all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from reshift.results.csv_bytes import csv_bytes
from reshift.results.evaluation import Evaluation
from reshift.results.partial_cells import places
from reshift.results.partial_classification import PartialClassification
from reshift.results.plan import PlannedCell
from reshift.results.scored_units import Floats, ScoredUnits
from reshift.results.thresholds import GOOD_QUANTILE, thresholds

COVERAGES = tuple(tenth / 10 for tenth in range(1, 11))
COLUMNS = (
    "dataset", "protocol", "model", "split", "threshold", "cells", "aurc", *(f"risk@{c:g}" for c in COVERAGES)
)  # fmt: skip


def confidence(scored: ScoredUnits, threshold: float) -> Floats:
    """How sure a model is of each test part, in [0, 1], by validation scores alone.

    The share of the validation parts called alike that lie nearer to the threshold. Taken on each side by itself,
    because part scores are positions without a unit and the sides hold very different numbers of parts.
    """
    score, sure = scored.test.score, np.zeros(len(scored.test.score))
    for sign in (1, -1):
        reference = np.sort(sign * scored.val.score[(scored.val.score > threshold) == (sign > 0)])
        own = (score > threshold) == (sign > 0)
        if len(reference):
            sure[own] = np.searchsorted(reference, sign * score[own], side="left") / len(reference)
    return sure


def risks(wrong: Floats, sure: Floats) -> Floats:
    """Selective risk: entry k - 1 is the share of wrong calls among the k parts the model is surest of.

    Geifman and El-Yaniv, NeurIPS 2017. Parts of equal confidence come in random order; this is the expectation over it.
    """
    _, group = np.unique(-sure, return_inverse=True)
    by_group = np.bincount(group, wrong) / np.bincount(group)
    return np.asarray(np.cumsum(by_group[np.sort(group)]) / np.arange(1, len(wrong) + 1), dtype=np.float64)


def risk_coverage_bytes(
    wanted: PartialClassification, cells: Iterable[PlannedCell], evaluations: Mapping[str, Sequence[Evaluation]]
) -> bytes | None:
    """The curves of the models of a partial classification where calibration is reserved; None where there are none.

    One line a model and split, the mean over seeds; blank until all of them are finished. Parts are called at the 5 %
    threshold of validation that all models share; `aurc` is the area under the curve, the mean of `risks` over all k;
    `risk@c` the risk at the share c of the parts, rounded up to a part.

    Args:
        cells, evaluations: as in `partial_board.partial_bytes`.
    """
    lines: list[list[object]] = []
    for family in places(wanted, cells, evaluations):
        by_split: dict[tuple[str, str], list[Floats | None]] = defaultdict(list)
        for place in family:
            for name in place.planned:
                scored = place.models.get(name)
                by_split[name, place.split].append(None if scored is None else curve(scored, place.evaluations[name]))
        for (name, split), curves in sorted(by_split.items()):
            found = [curve for curve in curves if curve is not None]
            full = len(found) == len(curves)
            means = np.mean(found, axis=0).tolist() if full else [None] * (1 + len(COVERAGES))
            head = [family[0].dataset, family[0].protocol, name, split, GOOD_QUANTILE, f"{len(found)}/{len(curves)}"]
            lines.append([*head, *means])
    return csv_bytes(COLUMNS, lines) if lines else None


def curve(scored: ScoredUnits, evaluation: Evaluation) -> Floats | None:
    """AURC, then the risk at every coverage; None where validation supports no threshold."""
    threshold = thresholds(scored, evaluation.score_name).get(GOOD_QUANTILE)
    if threshold is None:
        return None
    wrong = (threshold.calls(scored.test) != scored.test.label).astype(np.float64)
    risk = risks(wrong, confidence(scored, threshold.value))
    n = len(risk)
    at = [risk[-(-tenth * n // 10) - 1] for tenth in range(1, 11)]
    return np.array([risk.mean(), *at])
