"""Intervals, clustered variances, gaps and tiers, against loops, scipy and simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from reshift.results.clustered_auroc import auroc, combine, components
from reshift.results.gap import gap
from reshift.results.scored_units import Units
from reshift.results.statistics import (
    MIN_PARTS,
    _resample,
    _weighted_auroc,
    auroc_part_interval,
    clopper_pearson_upper,
    normal_interval,
    t_interval,
    variance_components,
)
from reshift.results.tiers import tiers


def clustered(rng: np.random.Generator, parts: int, views: int = 3, shift: float = 1.0, mixed: bool = True) -> Units:
    part = np.repeat(np.arange(parts), rng.integers(1, views + 1, parts) if views > 1 else 1)
    bad = np.arange(parts) % 2
    label = bad[part] * ((rng.random(len(part)) < 0.7) if mixed and views > 1 else 1)
    score = np.round(rng.normal(size=parts)[part] + rng.normal(size=len(part)) + shift * label, 1)
    names = np.array([f"p{p:03d}" for p in part])
    unit = np.array([f"{n}/{i}" for i, n in enumerate(names)])
    empty = np.full(len(part), "")
    return Units(unit, names, empty, empty, label, label, score, score)


def obuchowski_by_loops(a: Units, b: Units) -> tuple[float, float]:
    """AUROC of a and covariance of both, sum by sum as in Obuchowski (1997)."""
    bad, good = np.flatnonzero(a.label == 1), np.flatnonzero(a.label == 0)
    big_m, big_n = len(bad), len(good)

    def psi(u: Units, i: int, j: int) -> float:
        return 1.0 if u.score[i] > u.score[j] else 0.5 if u.score[i] == u.score[j] else 0.0

    def area(u: Units) -> float:
        return sum(psi(u, i, j) for i in bad for j in good) / (big_m * big_n)

    def sums(u: Units) -> tuple[dict[str, float], dict[str, float]]:
        theta = area(u)
        v10 = {str(p): 0.0 for p in a.part}
        v01 = dict(v10)
        for i in bad:
            v10[str(a.part[i])] += sum(psi(u, i, j) for j in good) / big_n - theta
        for j in good:
            v01[str(a.part[j])] += sum(psi(u, i, j) for i in bad) / big_m - theta
        return v10, v01

    i10, i01, i_all = len(set(a.part[bad])), len(set(a.part[good])), len(set(a.part))
    (a10, a01), (b10, b01) = sums(a), sums(b)
    s10 = i10 / ((i10 - 1) * big_m) * sum(a10[p] * b10[p] for p in a10)
    s01 = i01 / ((i01 - 1) * big_n) * sum(a01[p] * b01[p] for p in a01)
    s11 = i_all / (i_all - 1) * sum(a10[p] * b01[p] for p in a10)
    s11_back = i_all / (i_all - 1) * sum(b10[p] * a01[p] for p in a10)
    return area(a), s10 / big_m + s01 / big_n + (s11 + s11_back) / (big_m * big_n)


def delong_by_loops(u: Units) -> float:
    bad, good = u.score[u.label == 1], u.score[u.label == 0]
    psi = (bad[:, None] > good) + 0.5 * (bad[:, None] == good)
    return float(psi.mean(axis=1).var(ddof=1) / len(bad) + psi.mean(axis=0).var(ddof=1) / len(good))


@pytest.mark.parametrize("seed", range(5))
def test_auroc_is_scikit_learn_s(seed: int) -> None:
    units = clustered(np.random.default_rng(seed), 40)
    assert auroc(units.label, units.score) == pytest.approx(roc_auc_score(units.label, units.score))


@pytest.mark.parametrize("seed", range(4))
def test_clustered_variance_is_obuchowski_s(seed: int) -> None:
    units = clustered(np.random.default_rng(seed), 24)
    value, variance = obuchowski_by_loops(units, units)
    found = combine([(1.0, components(units))])
    assert (found.value, found.variance) == pytest.approx((value, variance))


@pytest.mark.parametrize("seed", range(4))
def test_paired_difference_is_obuchowski_s(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = clustered(rng, 24)
    b = replace(a, score=np.round(a.score + rng.normal(size=len(a.score)), 1))
    expected = obuchowski_by_loops(a, a)[1] + obuchowski_by_loops(b, b)[1] - 2 * obuchowski_by_loops(a, b)[1]
    found = combine([(1.0, components(a)), (-1.0, components(b))])
    assert found.variance == pytest.approx(expected)
    assert found.value == pytest.approx(auroc(a.label, a.score) - auroc(b.label, b.score))


def test_one_unit_a_part_gives_delong_s_variance() -> None:
    units = clustered(np.random.default_rng(3), 50, views=1)
    assert combine([(1.0, components(units))]).variance == pytest.approx(delong_by_loops(units))


def test_mean_over_disjoint_splits_adds_their_variances() -> None:
    rng = np.random.default_rng(0)
    a, b = clustered(rng, 400, views=1), clustered(rng, 400, views=1)
    b = replace(b, part=np.char.add("other-", b.part))
    one, two = (combine([(1.0, components(u))]).variance for u in (a, b))
    assert combine([(0.5, components(a)), (0.5, components(b))]).variance == pytest.approx((one + two) / 4, rel=0.01)


def test_the_same_model_twice_differs_by_nothing() -> None:
    units = clustered(np.random.default_rng(0), 30)
    found = combine([(1.0, components(units)), (-1.0, components(units))])
    assert (found.value, found.variance) == pytest.approx((0.0, 0.0))


def test_t_interval_is_scipy_s() -> None:
    values = [0.7, 0.75, 0.9]
    expected = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert t_interval(values) == pytest.approx(expected)
    assert t_interval([0.7]) is None


def test_variance_components_recover_what_was_simulated() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 0.06, (4000, 1)) + rng.normal(0, 0.02, (4000, 3))
    assert variance_components(values.tolist()) == pytest.approx((0.06, 0.02), rel=0.05)
    assert variance_components([[0.5, 0.7], [0.7, 0.5]]) == pytest.approx((0.0, 0.02**0.5))
    assert variance_components([[0.5], [0.7]]) is None


@pytest.mark.parametrize(("k", "n"), [(0, 5), (2, 57), (5, 5), (0, 59)])
def test_upper_bound_is_the_exact_binomial_one(k: int, n: int) -> None:
    expected = stats.binomtest(k, n, alternative="less").proportion_ci(0.95, method="exact").high
    assert clopper_pearson_upper(k, n) == pytest.approx(expected)


def test_part_interval_is_withheld_below_the_minimum_and_at_one() -> None:
    rng = np.random.default_rng(0)
    few = clustered(rng, 2 * MIN_PARTS - 1, views=1)
    assert auroc_part_interval([few]) is None
    assert auroc_part_interval([clustered(rng, 2 * MIN_PARTS, views=1)]) is not None
    assert auroc_part_interval([clustered(rng, 40, views=1, shift=50)]) is None


def test_part_interval_depends_on_content_alone() -> None:
    units = clustered(np.random.default_rng(0), 40)
    order = np.random.default_rng(1).permutation(len(units.label))
    shuffled = Units(**{name: array[order] for name, array in vars(units).items()})
    first = auroc_part_interval([units])
    assert first == auroc_part_interval([units])
    assert first == pytest.approx(auroc_part_interval([shuffled]), abs=1e-12)
    assert first is not None and 0 < first[0] < auroc(units.label, units.score) < first[1] < 1


def test_weighted_auroc_is_that_of_repeated_parts() -> None:
    units = clustered(np.random.default_rng(2), 30)
    parts, code = np.unique(units.part, return_inverse=True)
    bad = np.array([units.label[units.part == p].max() for p in parts])
    weights = _resample(parts, bad, 20)
    assert (weights[:, bad == 1].sum(axis=1) == bad.sum()).all()
    found = _weighted_auroc(units, weights[:, code])
    for row, value in zip(weights, found, strict=True):
        times = row[code].astype(int)
        assert value == pytest.approx(roc_auc_score(units.label.repeat(times), units.score.repeat(times)))


def test_part_interval_covers_on_clustered_data() -> None:
    """About 95 % of intervals hold the truth; one that resampled images would be far too narrow."""
    rng = np.random.default_rng(5)
    # Difference of two sums of unit normals: part and view variance 1 each, shift 1.
    truth = stats.norm.cdf(1 / 2)
    hits = []
    for _ in range(250):
        part = np.repeat(np.arange(60), 4)
        label = part % 2
        score = rng.normal(size=60)[part] + rng.normal(size=240) + label
        names = np.array([f"p{p}" for p in part])
        interval = auroc_part_interval([Units(names, names, names, names, label, label, score, score)], resamples=200)
        assert interval is not None
        hits.append(interval[0] <= truth <= interval[1])
    assert 0.91 <= np.mean(hits) <= 0.99


def test_paired_interval_covers_on_clustered_data() -> None:
    rng = np.random.default_rng(6)
    hits = []
    for _ in range(300):
        part = np.repeat(np.arange(60), 3)
        label = part % 2
        shared = rng.normal(size=60)[part] + label
        names = np.array([f"p{p}" for p in part])
        a, b = (shared + rng.normal(size=60)[part] + rng.normal(size=180) for _ in range(2))
        terms = [(w, components(Units(names, names, names, names, label, label, s, s))) for w, s in ((1, a), (-1, b))]
        interval = normal_interval(combine(terms))
        assert interval is not None
        hits.append(interval[0] <= 0 <= interval[1])
    assert 0.92 <= np.mean(hits) <= 0.98


def test_gap_is_the_mean_over_halves_on_the_same_parts() -> None:
    rng = np.random.default_rng(1)
    shifted = {s: clustered(rng, 80, shift=0.5) for s in (0,)}
    base = shifted[0]
    halves = []
    for side in (0, 1):
        own = base.where(np.array([int(p[1:]) // 2 % 2 == side for p in base.part.tolist()]))
        halves.append(replace(own, score=own.score + own.label))
    found = gap(shifted, [{0: h} for h in halves])
    expected = np.mean(
        [auroc(h.label, h.score) - roc_auc_score(h.label, base.score[np.isin(base.unit, h.unit)]) for h in halves]
    )
    assert found is not None and found.by_seed[0] == pytest.approx(expected)
    estimate = combine(found.terms)
    assert estimate.value == pytest.approx(expected) and estimate.variance > 0
    assert found.parts == set(base.part.tolist())


def test_no_gap_without_controls_or_with_a_half_of_one_class() -> None:
    units = clustered(np.random.default_rng(1), 40)
    assert gap({0: units}, []) is None
    assert gap({0: units}, [{0: units.where(units.label == 0)}]) is None
    assert gap({0: units}, [{1: units}]) is None


def test_models_that_cannot_be_told_apart_share_a_tier() -> None:
    rng = np.random.default_rng(0)
    base = clustered(rng, 200, views=1, shift=2.0)

    def noisy(sd: float) -> list[tuple[float, object]]:
        return [(1.0, components(replace(base, score=base.score + sd * rng.normal(size=len(base.score)))))]

    models = {"b": noisy(0.0), "a": noisy(0.05), "bad": noisy(4.0), "worse": noisy(1000.0)}
    found = tiers(models)  # type: ignore[arg-type]
    assert found["a"] == found["b"] == 1 < found["bad"] < found["worse"]


def test_models_with_the_same_scores_share_a_tier() -> None:
    rng = np.random.default_rng(0)
    pieces = [components(clustered(rng, 60, views=2, shift=1.0)) for _ in range(3)]
    twins = {name: [(1 / 3, pieces[k]) for k in order] for name, order in (("a", (0, 1, 2)), ("b", (2, 0, 1)))}
    assert tiers({**twins, "c": twins["a"]}) == {"a": 1, "b": 1, "c": 1}


def test_tiers_need_enough_parts() -> None:
    rng = np.random.default_rng(0)
    few = clustered(rng, 10, views=1, shift=5.0)
    models = {"good": [(1.0, components(few))], "bad": [(1.0, components(replace(few, score=-few.score)))]}
    assert tiers(models) == {"good": 1, "bad": 1}
