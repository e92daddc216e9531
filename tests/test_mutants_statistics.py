"""Intervals at their edges: the fewest parts, the draws themselves, AUROCs near 0 and 1, and blocks of draws."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy import special, stats
from simulated_intervals import parts, units
from sklearn.metrics import roc_auc_score

from reshift.results.clustered_auroc import Estimate
from reshift.results.scored_units import Units
from reshift.results.statistics import (
    MIN_PARTS,
    RESAMPLES,
    _resample,
    _resampled_auroc,
    _weighted_auroc,
    auroc_part_interval,
    clopper_pearson_upper,
    normal_interval,
    t_interval,
)


def uneven(defective: int, good: int, shift: float, seed: int = 0, views: int = 2) -> Units:
    rng = np.random.default_rng(seed)
    part = np.repeat(np.arange(defective + good), views)
    label = (part < defective).astype(np.int64)
    return units(part, label, np.round(rng.normal(size=len(part)) + shift * label, 1))


def by_pairs(label: np.ndarray, score: np.ndarray) -> float:
    good, bad = score[label == 0], score[label == 1][:, None]
    return float(((bad > good) + 0.5 * (bad == good)).mean())


def from_the_draws(tests: list[Units]) -> tuple[float, float]:
    """The interval from the suite's draws of parts; all else anew, parts drawn twice standing there twice."""
    names = sorted({name for test in tests for name in test.part.tolist()})
    worst = [max(int(test.label[test.part == name].max(initial=0)) for test in tests) for name in names]
    weights = _resample(np.array(names), np.array(worst), RESAMPLES)
    means = []
    rows = [np.searchsorted(names, test.part) for test in tests]
    for row in weights.astype(int):
        drawn = [(test.label.repeat(row[of]), test.score.repeat(row[of])) for test, of in zip(tests, rows, strict=True)]
        means.append(np.mean([by_pairs(*pair) for pair in drawn]))
    half_a_pair = 0.5 / max((test.label == 1).sum() * (test.label == 0).sum() for test in tests)
    logits = special.logit(np.clip(means, half_a_pair, 1 - half_a_pair))
    centre = special.logit(np.mean([roc_auc_score(test.label, test.score) for test in tests]))
    low, high = special.expit(centre + np.array([-1, 1]) * stats.norm.ppf(0.975) * np.std(logits, ddof=1))
    return float(low), float(high)


@pytest.mark.parametrize(
    "tests",
    [
        [uneven(12, 20, 1.0)],
        # So few inversions that draws without any occur, which are taken to be half a pair away from 1, or from 0.
        [uneven(12, 20, 3.6, seed=3, views=1)],
        [replace(test, score=-test.score) for test in [uneven(12, 20, 3.6, seed=3, views=1)]],
        # Parts that one test shows to be good and the other, the earlier or the later one, to be defective.
        [uneven(10, 24, 1.0, 1), uneven(17, 17, 1.0, 2)],
        [uneven(17, 17, 1.0, 2), uneven(10, 24, 1.0, 1)],
    ],
    ids=["plain", "near one", "near zero", "defective in the later test", "defective in the earlier test"],
)
def test_the_interval_is_what_its_draws_say(tests: list[Units]) -> None:
    assert auroc_part_interval(tests) == pytest.approx(from_the_draws(tests), abs=1e-12)


def test_draws_near_one_reach_one() -> None:
    test = uneven(12, 20, 3.6, seed=3, views=1)
    weights = _resample(np.array([f"p{i:04d}" for i in range(32)]), (np.arange(32) < 12).astype(int), RESAMPLES)
    assert (_weighted_auroc(test, weights) == 1).any() and roc_auc_score(test.label, test.score) < 1


def test_committed_boards_rest_on_these_very_draws() -> None:
    assert auroc_part_interval([uneven(12, 20, 1.0)]) == pytest.approx((0.530518304668546, 0.84659868640768), abs=1e-12)


def test_every_part_is_drawn_as_often_as_any_other() -> None:
    label = (np.arange(31) < 10).astype(np.int64)
    weights = _resample(np.array([f"p{i}" for i in range(31)]), label, 4000)
    assert (weights[:, label == 1].sum(axis=1) == 10).all() and (weights[:, label == 0].sum(axis=1) == 21).all()
    # A part's count has a variance of about 1, so its mean over 4,000 draws lies within four standard errors of 1.
    assert weights.mean(axis=0) == pytest.approx(1.0, abs=4 / 4000**0.5)
    assert weights.var(axis=0) == pytest.approx(1 - 1 / np.where(label == 1, 10, 21), abs=0.15)


def test_blocks_of_draws_are_the_draws() -> None:
    """Ten draws fit into a block here, the eleventh stands alone."""
    test = uneven(30_000, 70_000, 1.0, views=1)
    weights = np.random.default_rng(0).integers(0, 3, (11, 100_000)).astype(np.float64)
    where = np.random.default_rng(1).permutation(100_000)
    assert _resampled_auroc(test, weights, where).tolist() == _weighted_auroc(test, weights[:, where]).tolist()


def test_a_draw_without_a_class_is_no_number_and_no_noise() -> None:
    test = uneven(2, 2, 1.0, views=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = _weighted_auroc(test, np.array([[0.0, 0, 1, 1], [1, 1, 1, 1]]))
    assert np.isnan(found[0]) and np.isfinite(found[1])


@pytest.mark.parametrize(("defective", "good"), [(MIN_PARTS - 1, 30), (30, MIN_PARTS - 1)])
def test_either_class_has_a_minimum(defective: int, good: int) -> None:
    assert auroc_part_interval([uneven(defective, good, 1.0)]) is None
    assert auroc_part_interval([uneven(30, 30, 1.0), uneven(defective, good, 1.0)]) is None
    assert normal_interval(Estimate(0.8, 0.01, defective, good)) is None


def test_the_minimum_is_enough() -> None:
    assert auroc_part_interval([uneven(MIN_PARTS, MIN_PARTS, 1.0)]) is not None
    found = normal_interval(Estimate(0.8, 0.01, MIN_PARTS, MIN_PARTS))
    assert found == pytest.approx(stats.norm.interval(0.95, 0.8, 0.1))


def test_an_auroc_of_zero_has_no_interval_either() -> None:
    part, label = parts(20, 1)
    assert auroc_part_interval([units(part, label, -label.astype(np.float64))]) is None


def test_two_seeds_have_an_interval() -> None:
    assert t_interval([0.7, 0.8]) == pytest.approx(stats.t.interval(0.95, 1, 0.75, 0.05))


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_counts_that_cannot_be_are_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"^{k} of {n} is no count of a share; give 0 <= k <= n, n > 0$"):
        clopper_pearson_upper(k, n)


def test_one_of_one_is_a_count() -> None:
    assert clopper_pearson_upper(1, 1) == 1.0
    assert clopper_pearson_upper(0, 1) == pytest.approx(0.95)
