"""Simulated studies of one-sided bounds and of the level of every test."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from scipy import stats
from simulated_intervals import PARTS, Generator, parts, scores, units
from simulated_study import Study

from reshift.refinement.contamination_evidence import no_contamination_p
from reshift.results.clustered_auroc import components
from reshift.results.drift import LEVEL, feature_test, holm, reject_test, score_test
from reshift.results.escape_bound import order_statistic
from reshift.results.label_error import Audit, LabelError
from reshift.results.partial_outcome import outcome
from reshift.results.partial_rules import Calls, Promise, joint, two_thresholds
from reshift.results.rank_test import rank_test
from reshift.results.scored_units import Floats, ScoredUnits
from reshift.results.statistics import clopper_pearson_upper
from reshift.results.thresholds import good_quantile
from reshift.results.tiers import separable
from reshift.results.view_hits import exact_interval

PROMISE = Promise(escapes=0.05, false_rejects=0.05, delta=0.05)


def upper_bound(rng: Generator, tested: int, rate: float) -> bool:
    return clopper_pearson_upper(int(rng.binomial(tested, rate)), tested) >= rate


def exact_share(rng: Generator, tested: int, rate: float) -> bool:
    low, high = exact_interval(float(rng.binomial(tested, rate)), tested)
    return low <= rate <= high


def audit_bounds(rng: Generator, inspected: int, share: float) -> bool:
    good, bad = (Audit(int(rng.binomial(inspected, share)), inspected) for _ in range(2))
    return min(LabelError(good, bad, "audit").upper) >= share


def false_rejects_at(rng: Generator, validated: int) -> bool:
    """Whether a new good unit is called defective at the threshold that all models share."""
    cut = good_quantile(rng.normal(size=validated))
    assert cut is not None
    return bool(rng.normal() > cut)


def order_statistic_keeps(rng: Generator, defective: int) -> bool:
    cut = order_statistic(rng.normal(size=defective), PROMISE.escapes, PROMISE.delta)
    assert cut is not None
    return bool(stats.norm.cdf(cut) <= PROMISE.escapes)


def two_models(rng: Generator) -> tuple[ScoredUnits, ScoredUnits]:
    """Two models whose scores on a part have half their variance in common, 100 calibration parts a class."""
    val, calibration, test = (parts(number, 1) for number in (50, 100, 2000))
    shared = [rng.normal(size=len(part)) for part, _ in (val, calibration, test)]

    def model() -> ScoredUnits:
        v, c, t = (
            units(part, label, scores(rng, part, label, 0.9, common))
            for (part, label), common in zip((val, calibration, test), shared, strict=True)
        )
        return ScoredUnits(v, t, "part", c)

    return model(), model()


def rule_keeps(rng: Generator, rule: str) -> bool:
    one, other = two_models(rng)
    calls = joint(one, other, PROMISE) if rule == "joint" else two_thresholds(one, other, PROMISE)
    assert not calls.abstains
    return bool(calls.ok[one.test.label == 1].mean() <= PROMISE.escapes)


def promise_refuted(rng: Generator, tested: int) -> bool:
    """Whether a promise that is just kept is called broken."""
    test = units(np.arange(tested), np.ones(tested, dtype=np.int64), np.zeros(tested))
    escaped = rng.random(tested) < PROMISE.escapes
    return outcome(Calls(escaped, ~escaped), test, PROMISE, None).broken


def friedman(rng: Generator, blocks: int, models: int) -> bool:
    found = rank_test(table(rng.normal(size=(models, blocks))))
    assert found is not None
    return found.p < 0.05


def nemenyi(rng: Generator, blocks: int, models: int) -> bool:
    """Whether any two of equal models are told apart."""
    found = rank_test(table(rng.normal(size=(models, blocks))))
    assert found is not None
    return float(np.ptp(list(found.mean_ranks.values()))) >= found.critical_difference


def table(values: Floats) -> dict[str, dict[str, float]]:
    return {f"m{i}": {f"d{j}": float(v) for j, v in enumerate(row)} for i, row in enumerate(values)}


def tier(rng: Generator, truth: float) -> bool:
    part, label = parts(PARTS, 2)
    shared = rng.normal(size=2 * PARTS)
    one, other = ([(1.0, components(units(part, label, scores(rng, part, label, truth, shared))))] for _ in range(2))
    return separable(one, other)


def contamination(rng: Generator, candidates: int, verified: int) -> bool:
    return no_contamination_p(rng.gamma(2, size=candidates), rng.gamma(2, size=verified), resamples=499) <= 0.05


def drift(rng: Generator, reference: int, new: int) -> bool:
    """Whether any of the three tests says so, adjusted for their number."""
    before, now = rng.normal(size=(reference, 4)), rng.normal(size=(new, 4))
    tests = [
        score_test(before[:, 0], now[:, 0]),
        reject_test(before[:, 0], now[:, 0], cut=1.0),
        feature_test(before, now, seed=0),
    ]
    assert LEVEL == 0.05
    return any(test.drifted for test in holm(tests))


BOUNDS: Sequence[Study] = (
    *(
        Study(
            f"upper bound of a rate of {rate}, {n} parts",
            partial(upper_bound, tested=n, rate=rate),
            "bound",
            short=1000,
        )
        for n, rate in ((57, 0.05), (50, 0.2), (200, 0.02))
    ),
    *(
        Study(f"exact interval of a share of {rate}, 50 parts", partial(exact_share, tested=50, rate=rate), "bound")
        for rate in (0.3, 0.9)
    ),
    Study(
        "both bounds of an audit of 100 and 100", partial(audit_bounds, inspected=100, share=0.1), "bound", short=1000
    ),
    Study(
        "escapes promised, one threshold, 100 NK", partial(order_statistic_keeps, defective=100), "bound", short=1000
    ),
    Study("escapes promised, pair of models, 100 NK", partial(rule_keeps, rule="pair"), "bound"),
    Study("escapes promised, joint, 100 NK", partial(rule_keeps, rule="joint"), "bound"),
)

LEVELS: Sequence[Study] = (
    *(
        Study(
            f"false rejects at alpha=0.05, {n} good",
            partial(false_rejects_at, validated=n),
            "level",
            0.05,
            short=1000,
        )
        for n in (19, 100)
    ),
    Study("promise called broken, 100 NK", partial(promise_refuted, tested=100), "level", 0.05, short=1000),
    *(
        Study(f"{name}, {n} data sets, {k} models", partial(once, blocks=n, models=k), "level", 0.05)
        for name, once in (("Friedman", friedman), ("Nemenyi, any pair", nemenyi))
        for n, k in ((6, 3), (6, 8), (20, 5))
    ),
    Study("equal models in two tiers (one-sided)", partial(tier, truth=0.8), "level", 0.025),
    Study("contamination where none is", partial(contamination, candidates=150, verified=75), "level", 0.05),
    Study("drift where none is, three tests", partial(drift, reference=100, new=60), "level", 0.05),
)
