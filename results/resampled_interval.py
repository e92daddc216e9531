"""Intervals of means and ratios over random splits that share test pictures: Nadeau and Bengio's corrected t."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

from reshift.results.scored_units import Floats
from reshift.results.statistics import CONFIDENCE, Interval


def corrected_t_interval(
    values: Sequence[float], tested_share: float, confidence: float = CONFIDENCE
) -> Interval | None:
    """Interval of the mean over repeated random splits of one data set; None for a single split.

    Splits of one data set overlap in pictures, so Student's interval over them is optimistic. The corrected resampled t
    (Nadeau and Bengio, Machine Learning 52, 2003) takes two splits to be as correlated as their test sets overlap, and
    multiplies the sample variance by `1 / J + n_test / n_train` instead of `1 / J`; J - 1 degrees of freedom. There
    n_train is all that is not tested. Here part of that validates or is left out, so the ratio is taken from
    `tested_share`: two test sets are expected to share that much, whatever is done with the rest.

    Args:
        values: one a split, J in all.
        tested_share: share of the data set's images that a split tests, in [0, 1); 0 gives Student's interval.

    Raises:
        ValueError: a share outside [0, 1).
    """
    if len(values) < 2:
        return None
    half = _quantile(len(values), confidence) * (_inflation(len(values), tested_share) * np.var(values, ddof=1)) ** 0.5
    return float(np.mean(values) - half), float(np.mean(values) + half)


def corrected_ratio_interval(
    numerators: Sequence[float], denominators: Sequence[float], tested_share: float, confidence: float = CONFIDENCE
) -> Interval | None:
    """Fieller's interval of mean(numerators) / mean(denominators), paired by split, under the same corrected variance.

    Fieller (J. R. Stat. Soc. B 16, 1954): all ratios r at which mean(numerators - r * denominators) does not differ
    from zero. A bootstrap of five values could not correct for their overlap and would divide by draws near zero; this
    set is an interval exactly where the denominator's own interval excludes zero.

    Returns:
        None for a single split, and where the interval of the denominators' mean is not above zero.

    Raises:
        ValueError: a share outside [0, 1), or sequences of different length.
    """
    pairs: Floats = np.array([*zip(numerators, denominators, strict=True)], dtype=np.float64)
    below = corrected_t_interval(denominators, tested_share, confidence)
    if below is None or below[0] <= 0:
        return None
    top, bottom = pairs.mean(axis=0)
    scale = _quantile(len(pairs), confidence) ** 2 * _inflation(len(pairs), tested_share)
    covariance = scale * np.cov(pairs, rowvar=False)
    a, b, c = bottom**2 - covariance[1, 1], top * bottom - covariance[0, 1], top**2 - covariance[0, 0]
    # The discriminant is never negative where a > 0, but for rounding.
    root = max(b**2 - a * c, 0.0) ** 0.5
    return float((b - root) / a), float((b + root) / a)


def _quantile(n: int, confidence: float) -> float:
    return float(special.stdtrit(n - 1, (1 + confidence) / 2))


def _inflation(n: int, tested_share: float) -> float:
    if not 0 <= tested_share < 1:
        raise ValueError(f"tested_share={tested_share!r} is no share of a data set that is split; give 0 <= share < 1")
    return 1 / n + tested_share / (1 - tested_share)
