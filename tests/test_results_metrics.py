"""Thresholds and metrics, against scikit-learn, brute force and worked numbers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, roc_auc_score

from reshift.results.metrics import MetricKey, Verdicts, cell_metrics, groups
from reshift.results.scored_units import Level, ScoredUnits, Units
from reshift.results.thresholds import good_quantile, max_f1, smallest_good_count, thresholds


def make(label: np.ndarray, score: np.ndarray, **changes: np.ndarray) -> Units:
    n = len(label)
    names = np.array([f"u{i:03d}" for i in range(n)])
    values = {
        "unit": names,
        "part": names,
        "component": np.full(n, ""),
        "defect": np.where(label == 1, "pit", ""),
        "label": label,
        "observed": label,
        "score": score,
        "raw": score,
    }
    return Units(**{**values, **changes})


def both(test: Units, level: Level = "part", good: int = 40) -> ScoredUnits:
    rng = np.random.default_rng(9)
    label = np.array([0] * good + [1] * 10)
    return ScoredUnits(make(label, rng.normal(size=good + 10) + label), test, level)


def random_test(seed: int, n: int = 80) -> Units:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    # One decimal, so that ties occur.
    return make(label, np.round(rng.normal(size=n) + label, 1))


@pytest.mark.parametrize(("n", "expected"), [(18, None), (19, 18.0), (20, 19.0), (38, 37.0), (39, 37.0), (99, 94.0)])
def test_threshold_is_the_stated_order_statistic(n: int, expected: float | None) -> None:
    assert good_quantile(np.random.default_rng(0).permutation(n).astype(float)) == expected


def test_nineteen_good_units_are_the_fewest() -> None:
    assert smallest_good_count() == 19


def test_a_new_good_unit_is_rejected_in_five_percent_of_draws() -> None:
    rng = np.random.default_rng(0)
    rejected = [rng.normal() > (good_quantile(rng.normal(size=19)) or 0.0) for _ in range(6000)]
    assert abs(np.mean(rejected) - 0.05) < 0.009


@pytest.mark.parametrize("seed", range(5))
def test_max_f1_is_the_best_of_all_cuts(seed: int) -> None:
    units = random_test(seed, 30)
    cuts = [-np.inf, *np.unique(units.score)]
    values = [f1_score(units.label, units.score > cut, zero_division=0) for cut in cuts]
    found = max_f1(units.score, units.label)
    assert found == cuts[int(np.argmax(values))]


def test_max_f1_needs_both_observed_classes() -> None:
    assert max_f1(np.arange(5.0), np.zeros(5, dtype=np.int64)) is None


def test_one_half_exists_for_probabilities_only_and_cuts_their_own_scale() -> None:
    assert "0.5" not in thresholds(both(random_test(0)), "nll")
    test = make(np.array([0, 1, 1]), np.array([7.0, 8.0, 9.0]), raw=np.array([0.2, 0.5, 0.6]))
    assert thresholds(both(test), "probability")["0.5"].calls(test).tolist() == [0, 0, 1]


@pytest.mark.parametrize("seed", range(5))
def test_metrics_agree_with_scikit_learn(seed: int) -> None:
    test = random_test(seed)
    scored = both(test)
    found = cell_metrics(scored, "nll")

    def value(metric: str, threshold: str = "") -> float:
        return found[MetricKey("all", "part", metric, threshold)]

    assert value("auroc") == pytest.approx(roc_auc_score(test.label, test.score))
    assert value("average_precision") == pytest.approx(average_precision_score(test.label, test.score))
    assert value("prevalence") == test.label.mean()
    assert value("all_defective_f1") == pytest.approx(f1_score(test.label, np.ones_like(test.label)))
    cut = good_quantile(scored.val.score[scored.val.observed == 0])
    assert cut is not None
    for name, at in (("alpha=0.05", cut), ("max_f1", max_f1(scored.val.score, scored.val.observed) or 0.0)):
        called = test.score > at
        assert value("macro_f1", name) == pytest.approx(f1_score(test.label, called, average="macro"))
        assert value("balanced_accuracy", name) == pytest.approx(balanced_accuracy_score(test.label, called))
        assert value("escapes", name) == ((test.label == 1) & ~called).sum()
        assert value("false_reject_rate", name) == called[test.label == 0].mean()


def test_two_of_fifty_seven_is_at_most_eleven_percent() -> None:
    label, called = np.ones(57, dtype=np.int64), np.array([0, 0] + [1] * 55)
    found = Verdicts.count(label, called).metrics(bounds=True)
    assert (found["escapes"], round(100 * found["escape_upper"])) == (2, 11)
    assert not any(name.startswith("false_reject") or name == "macro_f1" for name in found)


def test_calling_everything_defective_scores_876_where_78_percent_are() -> None:
    label = np.array([1] * 78 + [0] * 22)
    found = cell_metrics(both(make(label, np.zeros(100))), "nll")
    assert round(found[MetricKey("all", "part", "all_defective_f1", "")], 3) == 0.876


def test_what_is_undefined_is_absent() -> None:
    found = cell_metrics(both(make(np.ones(5, dtype=np.int64), np.arange(5.0)), good=18), "nll")
    names = {(key.metric, key.threshold) for key in found}
    assert not {m for m, _ in names} & {"auroc", "average_precision", "macro_f1", "false_rejects", "false_reject_rate"}
    assert not any(t == "alpha=0.05" for _, t in names)
    assert ("escapes", "max_f1") in names


def test_bounds_exist_only_for_independent_units() -> None:
    test = random_test(0)
    siblings = make(test.label, test.score, part=np.array([f"p{i // 2}" for i in range(len(test.label))]))
    assert any(key.metric == "escape_upper" for key in cell_metrics(both(test, "image"), "nll"))
    assert not any(key.metric.endswith("_upper") for key in cell_metrics(both(siblings, "image"), "nll"))


def test_groups_are_components_and_each_defect_against_all_good() -> None:
    label = np.array([0, 0, 0, 1, 1, 1])
    component = np.array(["gear", "ring", "ring", "gear", "gear", "body"])
    test = make(label, np.arange(6.0), component=component, defect=np.array(["", "", "", "pit", "crack", "pit"]))
    found = {name: mask.nonzero()[0].tolist() for name, mask in groups(test)}
    assert found == {
        "all": [0, 1, 2, 3, 4, 5],
        # ring has no defective unit and body no good one: both are absent.
        "component=gear": [0, 3, 4],
        "defect=crack": [0, 1, 2, 4],
        "defect=pit": [0, 1, 2, 3, 5],
    }
