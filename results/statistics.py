"""Intervals: over seeds, over parts, and for counts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from reshift.results.clustered_auroc import Estimate, auroc
from reshift.results.scored_units import Floats, Units

MIN_PARTS = 10
"""Fewest parts per class an interval over parts is given for."""

RESAMPLES = 1000
CONFIDENCE = 0.95

Interval = tuple[float, float]


def t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval | None:
    """Student's interval of the mean over seeds; None for a single seed (docs/definitions.md, 'Statistics')."""
    n = len(values)
    if n < 2:
        return None
    mean = float(np.mean(values))
    half = float(special.stdtrit(n - 1, (1 + confidence) / 2)) * float(np.std(values, ddof=1)) / n**0.5
    return mean - half, mean + half


def variance_components(values: Sequence[Sequence[float]]) -> tuple[float, float] | None:
    """Standard deviations between splits and between seeds within a split, by moments of a one-way layout.

    Args:
        values: one sequence a split, equally long, one value a seed.

    Returns:
        None below two splits or two seeds. A negative estimate between splits counts as 0.
    """
    table = np.array(values, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < 2:
        return None
    within = float(table.var(axis=1, ddof=1).mean())
    between = float(table.mean(axis=1).var(ddof=1)) - within / table.shape[1]
    return max(between, 0.0) ** 0.5, within**0.5


def clopper_pearson_upper(k: int, n: int, confidence: float = CONFIDENCE) -> float:
    """Exact one-sided upper bound of a share of which k in n was seen: "2 of 57, at most 11 %"."""
    if not 0 <= k <= n or n == 0:
        raise ValueError(f"{k} of {n} is no count of a share; give 0 <= k <= n, n > 0")
    return 1.0 if k == n else float(special.betaincinv(k + 1, n - k, confidence))


def normal_interval(estimate: Estimate, confidence: float = CONFIDENCE) -> Interval | None:
    """Interval of a sum or difference of AUROCs; None below `MIN_PARTS` parts of a class."""
    if min(estimate.defective_parts, estimate.good_parts) < MIN_PARTS:
        return None
    half = float(special.ndtri((1 + confidence) / 2)) * estimate.variance**0.5
    return estimate.value - half, estimate.value + half


def auroc_part_interval(tests: Sequence[Units], resamples: int = RESAMPLES) -> Interval | None:
    """Interval of the mean AUROC over `tests` (seeds, splits) when parts are resampled within class.

    A part that occurs in several tests is drawn for all of them at once. The interval is normal on the logit scale,
    with the standard deviation of the resampled logits, so it stays inside (0, 1). Resampled means are kept half a
    pair away from 0 and 1, where the logit ends. A mean of exactly 0 or 1 has no interval: resampling perfectly
    separated parts only ever gives perfect separation, which says nothing about the next part.

    The draws depend on the parts and their labels alone, so every model on a split meets the same ones.

    Returns:
        None below `MIN_PARTS` parts of a class in any test, or for a mean of 0 or 1.
    """
    labels: dict[str, int] = {}
    for test in tests:
        own: dict[str, int] = {}
        for part, label in zip(test.part.tolist(), test.label.tolist(), strict=True):
            own[part] = max(own.get(part, 0), label)
        if min(sum(own.values()), len(own) - sum(own.values())) < MIN_PARTS:
            return None
        for part, label in own.items():
            labels[part] = max(labels.get(part, 0), label)
    value = float(np.mean([auroc(test.label, test.score) for test in tests]))
    if value in (0.0, 1.0):
        return None
    parts = np.array(sorted(labels), dtype=np.str_)
    weights = _resample(parts, np.array([labels[p] for p in parts.tolist()]), resamples)
    means = np.mean([_resampled_auroc(test, weights, np.searchsorted(parts, test.part)) for test in tests], axis=0)
    edge = 0.5 / max(int(t.label.sum()) * int((1 - t.label).sum()) for t in tests)
    spread = float(np.std(_logit(np.clip(means[np.isfinite(means)], edge, 1 - edge)), ddof=1))
    half = float(special.ndtri((1 + CONFIDENCE) / 2)) * spread
    centre = float(_logit(np.array(value)))
    return _sigmoid(centre - half), _sigmoid(centre + half)


def _resample(parts: np.ndarray, label: np.ndarray, resamples: int) -> Floats:
    """How often each part is drawn, (resamples, parts): within each class as many draws as it has parts."""
    content = "\x1f".join(f"{part}\x1e{value}" for part, value in zip(parts.tolist(), label.tolist(), strict=True))
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "big"))
    weights = np.zeros((resamples, len(parts)))
    for value in (0, 1):
        members = np.flatnonzero(label == value)
        drawn = generator.integers(0, len(members), (resamples, len(members)))
        flat = (drawn + np.arange(resamples)[:, None] * len(members)).ravel()
        weights[:, members] = np.bincount(flat, minlength=resamples * len(members)).reshape(resamples, -1)
    return weights


def _resampled_auroc(test: Units, weights: Floats, part: NDArray[np.intp]) -> Floats:
    # In blocks of a few megabytes: a hundred thousand images times a thousand resamples need no memory to speak of.
    rows = max(1, 1_000_000 // len(part))
    return np.concatenate([_weighted_auroc(test, weights[i : i + rows, part]) for i in range(0, len(weights), rows)])


def _weighted_auroc(test: Units, weights: Floats) -> Floats:
    """AUROC under each row of weights, (resamples, units)."""
    bad, good = np.flatnonzero(test.label == 1), np.flatnonzero(test.label == 0)
    good = good[np.argsort(test.score[good], kind="stable")]
    below = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(weights[:, good], axis=1)], axis=1)
    sorted_good = test.score[good]
    lower = np.searchsorted(sorted_good, test.score[bad], side="left")
    upper = np.searchsorted(sorted_good, test.score[bad], side="right")
    won = (weights[:, bad] * (below[:, lower] + below[:, upper])).sum(axis=1) / 2
    pairs = weights[:, bad].sum(axis=1) * below[:, -1]
    with np.errstate(invalid="ignore"):
        return np.asarray(won / pairs, dtype=np.float64)


def _logit(p: Floats) -> Floats:
    return np.log(p) - np.log1p(-p)


def _sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))
