"""Where a score becomes a verdict: thresholds taken from validation, never from test."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import Literal

import numpy as np

from reshift.results.scored_units import Floats, Labels, ScoredUnits, Units

ALPHA = 0.05
GOOD_QUANTILE = f"alpha={ALPHA}"
HALF = "0.5"
MAX_F1 = "max_f1"
PROBABILITY = "probability"


@dataclass(frozen=True)
class Threshold:
    """Units whose `column` lies strictly above `value` are called defective."""

    value: float
    column: Literal["score", "raw"] = "score"

    def calls(self, units: Units) -> Labels:
        """1 where a unit is called defective."""
        values: Floats = getattr(units, self.column)
        return (values > self.value).astype(np.int64)


def good_quantile(scores: Floats, alpha: float = ALPHA) -> float | None:
    """The ceil((n+1)(1-alpha))-th smallest of n observed-good validation scores; None where that exceeds n.

    A new good unit then exceeds it with probability at most alpha (docs/definitions.md, 'Thresholds').
    """
    n = len(scores)
    # ceil((n+1)(1-alpha)) written so that 20 x .05 counts as exactly 1.
    index = n + 1 - floor((n + 1) * alpha + 1e-9)
    if index > n or n < 1:
        return None
    return float(np.sort(scores)[index - 1])


def smallest_good_count(alpha: float = ALPHA) -> int:
    """How many observed-good validation units `good_quantile` needs: 19 at 5 %."""
    return ceil(1 / alpha - 1e-9) - 1


def max_f1(scores: Floats, observed: Labels) -> float | None:
    """The validation score above which calling units defective gives the largest F1 of the defective class.

    Among equals the lowest, which lets fewer defects escape; None where validation shows one class. Only scores that
    occur are candidates, and minus infinity (everything is called defective).
    """
    positives = int(observed.sum())
    if positives in (0, len(observed)):
        return None
    cuts = np.concatenate([[-np.inf], np.unique(scores)])
    order = np.sort(scores[observed == 1])
    called = len(scores) - np.searchsorted(np.sort(scores), cuts, side="right")
    hits = positives - np.searchsorted(order, cuts, side="right")
    return float(cuts[int(np.argmax(2 * hits / (called + positives)))])


def thresholds(scored: ScoredUnits, score_name: str) -> dict[str, Threshold]:
    """Every threshold this cell supports, by the name boards give it.

    `alpha=0.05` is the one all models share; `0.5` exists for a score named 'probability' only and cuts it on the
    model's own scale (a part's largest); `max_f1` is tuned on observed validation labels.
    """
    found: dict[str, Threshold] = {}
    quantile = good_quantile(scored.val.score[scored.val.observed == 0])
    if quantile is not None:
        found[GOOD_QUANTILE] = Threshold(quantile)
    if score_name == PROBABILITY:
        found[HALF] = Threshold(0.5, "raw")
    tuned = max_f1(scored.val.score, scored.val.observed)
    if tuned is not None:
        found[MAX_F1] = Threshold(tuned)
    return found
