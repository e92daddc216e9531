"""Maximum mean discrepancy: a distance of two samples of vectors, and a permutation test of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from reshift.results.scored_units import Floats

MOST_ROWS = 1000
"""Rows a side that are compared: memory grows with their square."""
PERMUTATIONS = 999


def mmd_test(first: Floats, second: Floats, seed: int, permutations: int = PERMUTATIONS) -> tuple[float, float]:
    """Unbiased squared discrepancy of (N, D) and (M, D), and how likely one as large is if rows could be exchanged.

    The kernel is exp(-d^2 / 2 s^2), s^2 the median squared distance of the pooled pairs that differ (the heuristic of
    Gretton et al., JMLR 13, 2012, section 8). As s does not depend on which side a row is on, the test keeps its level
    at every sample size. Of more than `MOST_ROWS` rows a side as many are drawn by `seed`, and so are permutations.
    """
    generator = np.random.default_rng(seed)
    first, second = _some(first, generator), _some(second, generator)
    pooled = np.concatenate([first, second])
    square = cdist(pooled, pooled, "sqeuclidean")
    apart = square[square > 0]
    gram = np.exp(-square / (2 * np.median(apart))) if len(apart) else np.ones_like(square)
    sides = np.tile(np.arange(len(pooled)) < len(first), (permutations + 1, 1))
    sides[1:] = generator.permuted(sides[1:], axis=1)
    values = squared_mmd(gram, sides)
    # The observed one counts itself; those that differ from it in rounding only are as large.
    return float(values[0]), float((values >= values[0] - 1e-12).mean())


def squared_mmd(gram: Floats, sides: NDArray[np.bool_]) -> Floats:
    """Unbiased squared discrepancy of each way to part the rows (Gretton et al., JMLR 13, 2012, Lemma 6).

    Args:
        gram: kernel of every pair of rows, (N, N).
        sides: (P, N), True on the first side; two rows or more on either.

    Returns:
        (P,); may be negative, with expectation 0 where both sides are of one distribution.
    """
    pairs = gram - np.diag(np.diag(gram))
    first = sides.astype(np.float64)
    n = first.sum(axis=1)
    m = first.shape[1] - n
    within_first = ((first @ pairs) * first).sum(axis=1)
    between = first @ pairs.sum(axis=1) - within_first
    within_second = pairs.sum() - 2 * between - within_first
    mean: Floats = within_first / (n * (n - 1)) + within_second / (m * (m - 1)) - 2 * between / (n * m)
    return mean


def _some(rows: Floats, generator: np.random.Generator) -> Floats:
    if len(rows) <= MOST_ROWS:
        return rows
    drawn: Floats = rows[np.sort(generator.choice(len(rows), MOST_ROWS, replace=False))]
    return drawn
