"""Statistics that boards rest on, derived a second time: by jackknife, loops, statsmodels and printed tables."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from simulated_intervals import PARTS, parts, scores, units
from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.proportion import proportion_confint

from reshift.results.board_rows import Row
from reshift.results.clustered_auroc import combine, components
from reshift.results.gap import gap
from reshift.results.metrics import Verdicts, average_precision
from reshift.results.rank_agreement import rank_agreement
from reshift.results.rank_test import rank_test
from reshift.results.scored_units import Units
from reshift.results.statistics import auroc_part_interval, clopper_pearson_upper, normal_interval, variance_components
from reshift.results.thresholds import good_quantile
from reshift.results.tiers import separable, tiers
from reshift.results.view_hits import exact_interval


def a_test(seed: int, truth: float = 0.8, per_class: int = PARTS, views: int = 3, prefix: str = "p") -> Units:
    rng = np.random.default_rng(seed)
    part, label = parts(per_class, views)
    return units(part, label, np.round(scores(rng, part, label, truth), 1), prefix)


def by_pairs(label: np.ndarray, score: np.ndarray) -> float:
    good, bad = score[label == 0], score[label == 1][:, None]
    return float(((bad > good) + 0.5 * (bad == good)).mean())


def jackknife_variance(tests: list[tuple[float, Units]]) -> float:
    """Of the weighted sum of AUROCs, by leaving out one part at a time, of all tests at once."""
    names = sorted({name for _, test in tests for name in test.part.tolist()})
    without = []
    for name in names:
        left = [(weight, test.where(test.part != name)) for weight, test in tests]
        without.append(sum(weight * by_pairs(test.label, test.score) for weight, test in left))
    return float((len(names) - 1) * np.var(without))


@pytest.mark.parametrize(
    "tests",
    [
        [(1.0, a_test(0))],
        [(1.0, a_test(0)), (-1.0, a_test(1))],
        [(1 / 3, a_test(seed, 0.9)) for seed in range(3)],
        [(0.5, a_test(0, 0.7)), (0.5, a_test(1, 0.9)), (-0.5, a_test(2, 0.7)), (-0.5, a_test(3, 0.9))],
        [(0.25, a_test(seed, per_class=30, prefix=f"fold{seed % 2}-")) for seed in range(4)],
    ],
    ids=["one", "difference", "seeds", "difference of means", "seeds on two folds"],
)
def test_the_variance_of_a_weighted_sum_is_about_the_jackknife_s(tests: list[tuple[float, Units]]) -> None:
    found = combine([(weight, components(test)) for weight, test in tests])
    assert found.value == pytest.approx(sum(w * roc_auc_score(t.label, t.score) for w, t in tests))
    assert found.variance == pytest.approx(jackknife_variance(tests), rel=0.05)


def test_the_variance_of_a_gap_is_about_the_jackknife_s() -> None:
    shifted = {seed: a_test(seed, 0.7) for seed in range(2)}
    sides = [np.array([int(name[1:]) // 2 % 2 == side for name in shifted[0].part.tolist()]) for side in (0, 1)]
    controls = [{seed: a_test(10 + seed, 0.9).where(side) for seed in shifted} for side in sides]
    found = gap(shifted, controls)
    assert found is not None
    pairs = [
        (control[seed], shifted[seed].where(side))
        for control, side in zip(controls, sides, strict=True)
        for seed in shifted
    ]
    tests = [(sign / 4, test) for pair in pairs for sign, test in zip((1, -1), pair, strict=True)]
    # The jackknife is a little above the truth, the more so the smaller the test: here halves of 25 parts a class.
    assert combine(found.terms).variance == pytest.approx(jackknife_variance(tests), rel=0.1)


def test_a_normal_interval_is_scipy_s() -> None:
    estimate = combine([(1.0, components(a_test(0)))])
    assert normal_interval(estimate) == pytest.approx(stats.norm.interval(0.95, estimate.value, estimate.variance**0.5))


@pytest.mark.parametrize("tests", [[a_test(0)], [a_test(0, 0.9), a_test(1, 0.9)], [a_test(0), a_test(1, prefix="q")]])
def test_the_interval_over_parts_is_that_of_a_plain_bootstrap(tests: list[Units]) -> None:
    """Whole parts drawn again within their class; AUROC counted pair by pair; normal on the logit scale."""
    rng = np.random.default_rng(11)
    label = {name: value for test in tests for name, value in zip(test.part.tolist(), test.label.tolist(), strict=True)}
    classes = [sorted(name for name, value in label.items() if value == of) for of in (0, 1)]
    rows = [{name: np.flatnonzero(test.part == name) for name in label} for test in tests]
    logits = []
    for _ in range(400):
        drawn = [name for members in classes for name in rng.choice(members, len(members))]
        taken = [np.concatenate([of[name] for name in drawn]) for of in rows]
        mean = np.mean([by_pairs(t.label[i], t.score[i]) for t, i in zip(tests, taken, strict=True)])
        logits.append(np.log(mean / (1 - mean)))
    value = np.mean([roc_auc_score(test.label, test.score) for test in tests])
    ends = np.log(value / (1 - value)) + np.array([-1, 1]) * stats.norm.ppf(0.975) * np.std(logits, ddof=1)
    found = auroc_part_interval(tests)
    assert found is not None
    assert np.log(np.array(found) / (1 - np.array(found))) == pytest.approx(ends, abs=0.06)


@pytest.mark.parametrize("seed", range(5))
def test_components_of_variance_are_those_of_an_analysis_of_variance(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(5, 3)) + np.arange(5)[:, None] * (seed - 1)
    frame = pd.DataFrame({"value": values.ravel(), "split": np.repeat(np.arange(5), 3)})
    square = anova_lm(ols("value ~ C(split)", frame).fit())["mean_sq"]
    between = max(square["C(split)"] - square["Residual"], 0) / 3
    assert variance_components(values.tolist()) == pytest.approx((between**0.5, square["Residual"] ** 0.5))


@pytest.mark.parametrize(("k", "n"), [(0, 20), (3, 57), (57, 57), (19, 20)])
def test_exact_bounds_are_statsmodels_s(k: int, n: int) -> None:
    # Both ends of a two-sided 90 % interval are one-sided at 95 %.
    assert clopper_pearson_upper(k, n) == pytest.approx(proportion_confint(k, n, 0.10, "beta")[1])
    assert exact_interval(float(k), n) == pytest.approx(proportion_confint(k, n, 0.05, "beta"))


def test_average_precision_is_scikit_learn_s_to_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    for decimals in (0, 1, 8):
        for n in (2, 9, 80):
            label = rng.permutation(np.arange(n) % 3 == 1).astype(np.int64)
            score = np.round(rng.normal(size=n) + label, decimals)
            assert average_precision(label, score) == average_precision_score(label, score)


@pytest.mark.parametrize("seed", range(3))
def test_verdicts_are_scikit_learn_s(seed: int) -> None:
    rng = np.random.default_rng(seed)
    label, called = rng.integers(0, 2, (2, 60))
    _, recall, f1, number = precision_recall_fscore_support(label, called)
    found = Verdicts.count(label, called).metrics(bounds=True)
    assert (found["false_reject_rate"], found["escape_rate"]) == pytest.approx(tuple(1 - recall))
    assert (found["macro_f1"], found["balanced_accuracy"]) == pytest.approx((f1.mean(), recall.mean()))
    counts = [round(r * n) for r, n in zip(1 - recall, number, strict=True)]
    assert (found["false_rejects"], found["escapes"]) == tuple(counts)
    uppers = [proportion_confint(k, n, 0.10, "beta")[1] for k, n in zip(counts, number, strict=True)]
    assert (found["false_reject_upper"], found["escape_upper"]) == pytest.approx(tuple(uppers))


@pytest.mark.parametrize("n", [19, 20, 57, 400])
def test_the_threshold_is_numpy_s_quantile_at_the_conformal_level(n: int) -> None:
    good = np.random.default_rng(n).normal(size=n)
    level = np.ceil(np.round((n + 1) * 0.95, 6)) / n
    assert good_quantile(good) == np.quantile(good, level, method="inverted_cdf")


# Two-tailed critical values q at 5 % for 2 to 10 models: Demsar (JMLR 2006), table 5a.
NEMENYI = {3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}


@pytest.mark.parametrize(("models", "q"), NEMENYI.items())
def test_the_critical_difference_is_that_of_the_printed_table(models: int, q: float) -> None:
    values = np.random.default_rng(models).normal(size=(models, 9))
    found = rank_test({f"m{i:02}": {f"d{j}": v for j, v in enumerate(row)} for i, row in enumerate(values)})
    assert found is not None
    assert found.critical_difference == pytest.approx(q * (models * (models + 1) / 54) ** 0.5, abs=1e-3)


def test_friedman_s_p_with_ties_by_hand() -> None:
    values = np.random.default_rng(0).integers(0, 4, (8, 5))
    found = rank_test({f"m{i}": {f"d{j}": float(v) for j, v in enumerate(row)} for i, row in enumerate(values.T)})
    # Rank by counting who is better, ties half; then Conover's form of the statistic, which corrects for ties.
    ranks = np.array([[1 + (row > v).sum() + ((row == v).sum() - 1) / 2 for v in row] for row in values])
    n, k = ranks.shape
    spread = np.square(ranks).sum() - n * k * (k + 1) ** 2 / 4
    statistic = (k - 1) * np.square(ranks.sum(axis=0) - n * (k + 1) / 2).sum() / spread
    assert found is not None
    assert list(found.mean_ranks.values()) == pytest.approx(ranks.mean(axis=0))
    assert found.p == pytest.approx(stats.chi2.sf(statistic, k - 1))


def kendall_by_loops(x: np.ndarray, y: np.ndarray) -> float:
    pairs = list(combinations(range(len(x)), 2))
    agree = sum(np.sign(x[i] - x[j]) * np.sign(y[i] - y[j]) for i, j in pairs)
    untied = [sum(v[i] != v[j] for i, j in pairs) for v in (x, y)]
    return float(agree / (untied[0] * untied[1]) ** 0.5)


@pytest.mark.parametrize("seed", range(3))
def test_agreement_of_boards_with_ties_is_kendall_s_tau_b_by_loops(seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 6, (2, 9)) / 10
    blank = dict.fromkeys(("seed_low", "seed_high", "part_low", "part_high"))
    rows = [
        Row("d", f"m{i}", protocol, "mean", "all", "part", "auroc", "", 1, 20, float(v), **blank, coverage="1/1")
        for protocol, of in zip(("one", "other"), values, strict=True)
        for i, v in enumerate(of)
    ]
    found = rank_agreement(rows, ("d", "one"), ("d", "other"))
    assert found is not None and found.tau == pytest.approx(kendall_by_loops(*values))


def test_models_are_separable_where_delong_s_test_says_so() -> None:
    verdicts = set()
    for seed in range(20):
        one, other = a_test(seed, 0.9, views=1), a_test(100 + seed, 0.8, views=1)
        bad = one.label == 1
        wins = [
            (t.score[bad][:, None] > t.score[~bad]) + 0.5 * (t.score[bad][:, None] == t.score[~bad])
            for t in (one, other)
        ]
        lead = wins[0] - wins[1]
        variance = lead.mean(axis=1).var(ddof=1) / bad.sum() + lead.mean(axis=0).var(ddof=1) / (~bad).sum()
        expected = stats.norm.sf(lead.mean() / variance**0.5) < 0.025
        terms = [[(1.0, components(test))] for test in (one, other)]
        assert separable(terms[0], terms[1]) == expected
        assert (tiers({"one": terms[0], "other": terms[1]})["other"] == 2) == (expected and lead.mean() > 0)
        verdicts.add(bool(expected))
    assert verdicts == {True, False}


def test_names_of_parts_and_monotone_transforms_move_no_variance() -> None:
    test = a_test(0)
    moved = replace(test, part=np.char.add("z", test.part), score=np.exp(test.score))
    assert combine([(1.0, components(moved))]).variance == pytest.approx(combine([(1.0, components(test))]).variance)
