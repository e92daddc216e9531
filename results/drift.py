"""Whether new pictures are of the kind that a model was judged on: two-sample tests of scores and of features."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import fisher_exact, ks_2samp

from reshift.results.mmd import mmd_test
from reshift.results.scored_units import Floats

LEVEL = 0.05
"""How often all tests together may call a drift where there is none."""
MIN_PARTS = 20
"""Fewest parts a side; below, even a large shift is mostly missed, and nothing is said."""
POWER = 0.8
_STUDIES = 400

Study = Callable[[np.random.Generator, int], float]
"""Draws a study with a known change and so many new parts; gives its p-value."""


@dataclass(frozen=True)
class DriftTest:
    """One comparison.

    Attributes:
        what: that was compared.
        said: the effect in words.
        p: how likely at least such an effect is without a drift.
        adjusted: the same after Holm (1979) for all tests that were made; below `LEVEL` is a drift.
    """

    what: str
    said: str
    p: float
    adjusted: float = 1.0

    @property
    def drifted(self) -> bool:
        """Whether the difference is more than chance."""
        return self.adjusted < LEVEL


def score_test(reference: Floats, new: Floats) -> DriftTest:
    """Two-sided Kolmogorov-Smirnov test of scores (N,) and (M,) by one model, one a part."""
    _check(reference[:, None], new[:, None])
    found = ks_2samp(reference, new)
    return DriftTest("scores", f"largest distance of their distributions {found.statistic:.2f}", float(found.pvalue))


def reject_test(reference: Floats, new: Floats, cut: float) -> DriftTest:
    """Fisher's exact test, two-sided, of how many scores (N,) and (M,) lie above `cut`, one a part."""
    _check(reference[:, None], new[:, None])
    above = [[int((scores > cut).sum()), int((scores <= cut).sum())] for scores in (reference, new)]
    before, now = (f"{yes} of {yes + no}" for yes, no in above)
    return DriftTest("rejects", f"{now}, against {before} before", float(fisher_exact(above).pvalue))


def feature_test(reference: Floats, new: Floats, seed: int) -> DriftTest:
    """Maximum mean discrepancy of features (N, D) and (M, D) of one network, one row a part; see `mmd_test`."""
    _check(reference, new)
    value, p = mmd_test(reference, new, seed)
    return DriftTest("features", f"squared maximum mean discrepancy {value:.4f}", p)


def holm(tests: Sequence[DriftTest]) -> list[DriftTest]:
    """The tests with their p-values adjusted for their number (Holm 1979)."""
    # Four lines of one's own: statsmodels collects garbage at every call, for a tenth of a second beside torch.
    p = np.array([test.p for test in tests])
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return [replace(test, adjusted=value) for test, value in zip(tests, adjusted.tolist(), strict=True)]


def moved_scores(reference: Floats, shift: float) -> Study:
    """Kolmogorov-Smirnov on scores drawn from the reference's, the new ones moved by `shift` standard deviations."""
    moved = shift * float(reference.std(ddof=1))

    def p_value(generator: np.random.Generator, parts: int) -> float:
        before = generator.choice(reference, len(reference))
        return float(ks_2samp(before, generator.choice(reference, parts) + moved, method="asymp").pvalue)

    return p_value


def more_rejects(reference_parts: int, before: float, after: float) -> Study:
    """Fisher's test where the share of rejects rises from `before` to `after`."""

    def p_value(generator: np.random.Generator, parts: int) -> float:
        counts = [(generator.binomial(n, share), n) for n, share in ((reference_parts, before), (parts, after))]
        return float(fisher_exact([[yes, n - yes] for yes, n in counts]).pvalue)

    return p_value


def power(study: Study, parts: int, level: float, seed: int = 0) -> float:
    """In which share of simulated studies with so many new parts p is below `level`."""
    generator = np.random.default_rng(seed)
    return sum(study(generator, parts) < level for _ in range(_STUDIES)) / _STUDIES


def parts_needed(study: Study, level: float, most: int) -> int | None:
    """About how many new parts give a power of `POWER`: the first of `MIN_PARTS` and numbers each a quarter larger.

    None where no number up to `most` does: then it is the reference that is too small.
    """
    ladder = [MIN_PARTS]
    while (larger := ladder[-1] * 5 // 4) <= most:
        ladder.append(larger)
    # Power grows with the parts, so few rungs have to be simulated.
    rung = bisect_left(ladder, True, key=lambda parts: power(study, parts, level) >= POWER)
    return ladder[rung] if rung < len(ladder) else None


def _check(reference: Floats, new: Floats) -> None:
    for side, rows in (("reference", reference), ("new", new)):
        if len(rows) < MIN_PARTS:
            raise ValueError(f"{len(rows)} {side} parts are too few to tell a drift; give at least {MIN_PARTS}")
        if not np.isfinite(rows).all():
            raise ValueError(f"a {side} part has a score or feature that is not finite; check the model and its data")
    if reference.shape[1] != new.shape[1]:
        raise ValueError(
            f"features of {reference.shape[1]} and {new.shape[1]} numbers are of two networks; compare those of one"
        )
