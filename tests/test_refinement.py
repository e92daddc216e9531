"""Refinement: thresholds, policies, the loop's budget, and the count of what was removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from reshift.refinement.loop import refine
from reshift.refinement.policies import Iterative, KeepAll, OneShot, Oracle, Policy
from reshift.refinement.quality import removal_quality
from reshift.refinement.threshold import MedianMAD, MedianTimes


class Bench:
    """A model whose score of a sample is its number, whatever it trains on; it remembers every call."""

    def __init__(self, scores: Mapping[str, float]) -> None:
        self.scores = dict(scores)
        self.phases: list[tuple[int, bool, frozenset[str]]] = []

    def fit(self, weights: Mapping[str, float], steps: int, fresh: bool) -> None:
        self.phases.append((steps, fresh, frozenset(n for n, w in weights.items() if w == 0)))

    def score(self, names: Sequence[str]) -> NDArray[np.floating]:
        return np.array([self.scores[name] for name in names])


NINE = {f"s{i}": float(i) for i in range(1, 10)}  # median 5, MAD 2


def test_median_times_is_the_papers_cut() -> None:
    assert MedianTimes(1.5).value(np.arange(1.0, 10.0)) == 7.5


def test_median_times_refuses_scores_that_are_not_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        MedianTimes(1.5).value(np.array([-1.0, 2.0]))


def test_median_mad_moves_and_scales_with_the_scores() -> None:
    scores = np.arange(1.0, 10.0)
    cut = MedianMAD(2.0).value(scores)
    assert cut == 9.0
    assert MedianMAD(2.0).value(10 * scores - 400) == pytest.approx(10 * cut - 400)


def test_algorithm_1_removes_one_maximum_a_round_and_stops_at_the_threshold() -> None:
    bench = Bench({**NINE, "x": 40.0, "y": 50.0})
    policy = Iterative(MedianTimes(2.0), remove="maximum", rounds=5)
    trace = refine(bench.fit, bench.score, sorted(bench.scores), policy, steps=100, first=50)
    assert [r.removed for r in trace.rounds] == [("y",), ("x",), ()]
    assert [steps for steps, _, _ in bench.phases] == [50, 10, 10, 30]


def test_equation_6_removes_all_above_at_once_but_at_most_the_stated_share() -> None:
    scores = np.array([1.0, 1, 1, 1, 1, 8, 9, 10])
    ones = np.ones(8)
    everyone = Iterative(MedianTimes(2.0), remove="above").reweight(scores, ones, None)
    assert everyone.tolist() == [1, 1, 1, 1, 1, 0, 0, 0]
    capped = Iterative(MedianTimes(2.0), remove="above", most=0.25).reweight(scores, ones, None)
    assert capped.tolist() == [1, 1, 1, 1, 1, 1, 0, 0]


def test_a_removed_sample_neither_returns_nor_shapes_the_next_threshold() -> None:
    scores, weights = np.array([1.0, 1, 1, 100, 3]), np.array([1.0, 1, 1, 0, 1])
    after = Iterative(MedianTimes(2.0), remove="above").reweight(scores, weights, None)
    assert after.tolist() == [1, 1, 1, 0, 0]


@pytest.mark.parametrize(
    "policy",
    [
        KeepAll(),
        OneShot(MedianMAD(2.0)),
        Iterative(MedianMAD(0.5), rounds=7, most=0.1),
        Iterative(MedianMAD(99.0), rounds=3),
        Oracle(),
    ],
)
def test_every_arm_trains_the_same_number_of_steps(policy: Policy) -> None:
    bench = Bench(NINE)
    truth = dict.fromkeys(NINE, 0)
    refine(bench.fit, bench.score, sorted(NINE), policy, steps=103, first=40, truth=truth)
    assert sum(steps for steps, _, _ in bench.phases) == 103
    assert bench.phases[0][:2] == (40, True)


def test_from_scratch_asks_for_a_fresh_model_every_phase_within_the_same_budget() -> None:
    bench = Bench(NINE)
    policy = Iterative(MedianMAD(1.0), rounds=2, most=0.2)
    refine(bench.fit, bench.score, sorted(NINE), policy, steps=90, first=30, start="scratch")
    assert [(s, fresh) for s, fresh, _ in bench.phases] == [(30, True), (30, True), (30, True)]


def test_the_oracle_acts_before_training_on_true_labels_only() -> None:
    bench = Bench(NINE)
    truth = {name: int(name in ("s2", "s5")) for name in NINE}
    trace = refine(bench.fit, bench.score, sorted(NINE), Oracle(), steps=10, first=5, truth=truth)
    assert bench.phases[0][2] == {"s2", "s5"}
    assert trace.rounds[0].step == 0
    negative = refine(bench.fit, bench.score, sorted(NINE), Oracle("negative"), steps=10, first=5, truth=truth)
    assert negative.weights == {"s2": -1.0, "s5": -1.0}


def test_an_oracle_without_truth_is_an_error() -> None:
    bench = Bench(NINE)
    with pytest.raises(ValueError, match="true labels"):
        refine(bench.fit, bench.score, sorted(NINE), Oracle(), steps=10, first=5)


def test_a_budget_that_cannot_hold_its_rounds_is_refused() -> None:
    bench = Bench(NINE)
    with pytest.raises(ValueError, match="raise the budget"):
        refine(bench.fit, bench.score, sorted(NINE), Iterative(MedianMAD(1.0), rounds=8), steps=10, first=5)


def test_removal_quality_is_table_2() -> None:
    truth = {"a": 0, "b": 1, "c": 1, "d": 0, "e": 1}
    component = {"a": "ring", "b": "ring", "c": "hub", "d": "hub", "e": "hub"}
    quality = removal_quality(["a", "b", "c"], truth, component)
    assert quality == {
        "good_removed": 1,
        "bad_removed": 2,
        "bad_injected": 3,
        "good_removed_by_component": {"ring": 1},
        "precision": 2 / 3,
        "recall": 2 / 3,
    }


def test_undefined_precision_and_recall_are_absent() -> None:
    quality = removal_quality([], {"a": 0}, {"a": ""})
    assert "precision" not in quality and "recall" not in quality
