"""Cross-fitting: nobody judges itself, scales agree over folds, and a budget is only spent where there is evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from reshift.refinement.contamination_evidence import (
    ContaminationEvidence,
    contamination_evidence,
    contamination_share,
    no_contamination_p,
)
from reshift.refinement.cross_fit import cross_fit, disagreement, standardised
from reshift.refinement.suspicion import most_suspicious, suspicion_quality, weights_from_suspicion

Floats = NDArray[np.floating]


class Mean:
    """Scores a sample by its distance to the mean of what trained; remembers every call."""

    def __init__(self, values: Mapping[str, float]) -> None:
        self.values = dict(values)
        self.calls: list[tuple[dict[str, float], list[str]]] = []

    def __call__(self, weights: Mapping[str, float], held_out: Sequence[str]) -> Floats:
        self.calls.append((dict(weights), list(held_out)))
        centre = np.mean([self.values[name] for name, weight in weights.items() if weight])
        return np.array([abs(self.values[name] - centre) for name in held_out])


def tray(parts: int = 12, views: int = 3, seed: int = 0) -> tuple[dict[str, str], dict[str, float]]:
    """Part and value of each of parts x views samples."""
    draw = np.random.default_rng(seed)
    of = {f"p{p:02d}_{v}": f"p{p:02d}" for p in range(parts) for v in range(views)}
    return of, {name: float(draw.normal()) for name in of}


def test_a_fold_trains_without_what_it_scores_nor_any_sibling_whatever_its_label() -> None:
    parts, values = tray()
    candidates = sorted(parts)[1:]  # p00_0 is observed as defective: trains, is no candidate
    bench = Mean(values)
    cross_fit(candidates, parts, bench, folds=4, repeats=3)
    assert len(bench.calls) == 12
    for weights, scored in bench.calls:
        assert weights.keys() == parts.keys()
        out = {parts[name] for name in scored}
        assert {name for name, weight in weights.items() if weight == 0} == {n for n in parts if parts[n] in out}
    assert sorted(name for _, scored in bench.calls for name in scored) == sorted(3 * candidates)


def test_image_folds_hold_out_images_alone() -> None:
    parts, values = tray()
    bench = Mean(values)
    cross_fit(sorted(parts), parts, bench, folds=4, over="images")
    assert all({n for n, w in weights.items() if w == 0} == set(scored) for weights, scored in bench.calls)
    # Some scored image has a sibling that trained the model: that is what part folds rule out.
    assert any(
        {parts[n] for n in scored} & {parts[n] for n, w in weights.items() if w} for weights, scored in bench.calls
    )


def test_a_samples_own_value_never_reaches_the_model_that_scores_it_and_its_siblings() -> None:
    parts, values = tray()

    def raw_scores(values: Mapping[str, float]) -> dict[str, float]:
        bench = Mean(values)
        found: dict[str, float] = {}

        def kept(weights: Mapping[str, float], held_out: Sequence[str]) -> Floats:
            scores = bench(weights, held_out)
            found.update(zip(held_out, scores.tolist(), strict=True))
            return scores

        cross_fit(sorted(parts), parts, kept, folds=4)
        return found

    before, after = raw_scores(values), raw_scores({**values, "p03_1": 99.0})
    # Its fold holds 3 of the 12 parts; only they are scored by a model that did not learn from it.
    same = {name for name in parts if before[name] == after[name]}
    assert {"p03_0", "p03_2"} <= same
    assert len(same) == 8 and len({parts[name] for name in same}) == 3


def test_suspicion_and_spread_are_the_mean_and_deviation_of_scores_standardised_by_fold() -> None:
    parts, values = tray()
    bench = Mean(values)
    frame = cross_fit(sorted(parts), parts, bench, folds=4, repeats=3)
    found: dict[str, list[float]] = {name: [] for name in parts}
    for weights, scored in bench.calls:
        centre = sum(values[n] for n in weights if weights[n]) / sum(weights.values())
        raw = {n: abs(values[n] - centre) for n in scored}
        middle = sorted(raw.values())
        median = (middle[(len(middle) - 1) // 2] + middle[len(middle) // 2]) / 2
        away = sorted(abs(r - median) for r in raw.values())
        mad = (away[(len(away) - 1) // 2] + away[len(away) // 2]) / 2
        for n in scored:
            found[n].append((raw[n] - median) / mad)
    for row in frame.itertuples():
        three = found[str(row.sample)]
        assert row.suspicion == pytest.approx(sum(three) / 3)
        assert row.spread == pytest.approx((sum((x - sum(three) / 3) ** 2 for x in three) / 2) ** 0.5)


def test_scores_of_models_that_differ_in_origin_and_unit_become_comparable() -> None:
    parts, values = tray()
    calls = iter(range(100))

    def stretched(weights: Mapping[str, float], held_out: Sequence[str]) -> Floats:
        return Mean(values)(weights, held_out) * 10.0 ** next(calls) - 7

    plain = cross_fit(sorted(parts), parts, Mean(values), folds=4)
    assert np.allclose(cross_fit(sorted(parts), parts, stretched, folds=4)["suspicion"], plain["suspicion"])


def test_order_of_names_changes_nothing_and_the_seed_deals_anew() -> None:
    parts, values = tray()
    shuffled = dict(sorted(parts.items(), key=lambda item: values[item[0]]))
    frame = cross_fit(sorted(parts), parts, Mean(values), folds=4, repeats=2)
    again = cross_fit(list(shuffled), shuffled, Mean(values), folds=4, repeats=2)
    pd.testing.assert_frame_equal(frame, again)
    other = cross_fit(sorted(parts), parts, Mean(values), folds=4, repeats=2, seed=1)
    assert not np.allclose(frame["suspicion"], other["suspicion"])


def test_verified_samples_never_train_and_do_not_move_the_candidates() -> None:
    parts, values = tray()
    verified = [name for name in parts if parts[name] in ("p10", "p11")]
    candidates = sorted(parts.keys() - set(verified))
    bench = Mean(values)
    frame = cross_fit(candidates, parts, bench, folds=4, verified=verified)
    assert all(not set(verified) & weights.keys() for weights, _ in bench.calls)
    assert frame.loc[frame["verified"], "sample"].tolist() == verified
    alone = cross_fit(candidates, {n: parts[n] for n in candidates}, Mean(values), folds=4)
    assert frame.loc[~frame["verified"], "suspicion"].tolist() == alone["suspicion"].tolist()


def test_a_contaminant_that_its_siblings_hide_shows_in_the_disagreement() -> None:
    # Nearest-neighbour scores: the two views of p05 are far from all but one another.
    parts, values = tray(parts=20, views=2)
    values |= {"p05_0": 50.0, "p05_1": 50.01}

    def nearest(weights: Mapping[str, float], held_out: Sequence[str]) -> Floats:
        trained = np.array([values[n] for n, w in weights.items() if w])
        return np.array([np.abs(trained - values[n]).min() for n in held_out])

    over_parts = cross_fit(sorted(parts), parts, nearest, folds=5)
    over_images = cross_fit(sorted(parts), parts, nearest, folds=8, over="images")
    both = disagreement(over_parts, over_images).set_index("sample")
    assert set(both["disagreement"].nlargest(2).index) == {"p05_0", "p05_1"}
    assert both["disagreement"].tolist() == (both["over_parts"] - both["over_images"]).tolist()
    with pytest.raises(ValueError, match="'p00_0' is in one"):
        disagreement(over_parts, over_images.iloc[1:])


def test_a_mad_of_zero_gives_way_to_the_mean_deviation_and_equal_scores_to_nothing() -> None:
    assert standardised(np.array([1.0, 1, 1, 5]), np.array([1.0, 1, 1, 5])).tolist() == [0, 0, 0, 4]
    assert standardised(np.array([3.0, 3, 4]), np.array([3.0, 3])).tolist() == [0, 0, 1]
    rounded = np.array([3.0, 3.0000001, 3.0000002, 2.9999999])
    assert np.abs(standardised(rounded, rounded)).max() < 1e-6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": 1}, "at least 2 folds"),
        ({"repeats": 0}, "0 repeats"),
        ({"over": "views"}, "'views' is not known"),
        ({"folds": 13}, "12 parts cannot be dealt to 13"),
        ({"candidates": ["p00_0", "p00_0"]}, "listed twice"),
        ({"candidates": ["stranger"]}, "'stranger' has no part"),
        ({"candidates": ["p01_0"], "verified": ["p00_0"]}, "'p00', which trains"),
    ],
)
def test_what_cannot_be_cross_fitted_is_refused(changes: dict[str, object], message: str) -> None:
    parts, values = tray()
    arguments: dict[str, object] = {"candidates": sorted(parts), **changes}
    with pytest.raises(ValueError, match=message):
        cross_fit(parts=parts, fit_and_score=Mean(values), **arguments)  # type: ignore[arg-type]


def test_scores_that_are_not_finite_or_not_one_each_are_refused() -> None:
    parts, _ = tray()

    def broken(weights: Mapping[str, float], held_out: Sequence[str]) -> Floats:
        return np.array([np.nan if name == "p03_1" else 0.0 for name in held_out])

    with pytest.raises(ValueError, match="no finite score for 'p03_1'"):
        cross_fit(sorted(parts), parts, broken, folds=2)
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        cross_fit(sorted(parts), parts, lambda weights, held_out: np.zeros(2), folds=2)


# A normal shift of 1.466 separates at AUROC .85; exp makes good scores skewed, as real ones are.
SHIFT = 1.466


def scores_at(rate: float, seed: int, n: int = 300, m: int = 300) -> tuple[Floats, Floats]:
    draw = np.random.default_rng(seed)
    bad = round(rate * n)
    candidates = np.concatenate([draw.normal(size=n - bad), draw.normal(SHIFT, 1, bad)])
    return np.exp(candidates), np.exp(draw.normal(size=m))


def test_the_test_keeps_its_level_on_clean_skewed_scores() -> None:
    rejected = sum(
        no_contamination_p(*scores_at(0, seed, 80, 40), resamples=199, seed=seed) <= 0.05 for seed in range(400)
    )
    # 20 are due; 33 or more have probability .004.
    assert 7 <= rejected < 33


def test_the_test_finds_ten_per_cent_at_auroc_85() -> None:
    rejected = sum(no_contamination_p(*scores_at(0.1, seed), resamples=199, seed=seed) <= 0.05 for seed in range(60))
    assert rejected > 36


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.2, 0.3, 0.4])
def test_the_estimated_share_follows_the_true_one_from_below(rate: float) -> None:
    found = np.mean([contamination_share(*scores_at(rate, seed)) for seed in range(200)])
    # 2 * P(bad below the median of good) = .143 of the bad stay unseen; cutting at 0 lifts small shares.
    assert found == pytest.approx(rate * (1 - 0.143), abs=0.04 if rate == 0 else 0.025)


def test_storeys_share_by_hand() -> None:
    verified = np.array([1.0, 2.0, 3.0])
    # p of 0, 1.5, 2.5, 9: 1, 3/4, 2/4, 1/4; half of good ones have p above 1/2, as do two of these four.
    assert contamination_share(np.array([0.0, 1.5, 2.5, 9.0]), verified) == 0
    # One of four is above: good explain 2 * 1/4.
    assert contamination_share(np.array([1.5, 2.5, 9.0, 9.0]), verified) == 0.5
    # One that ties with a verified one counts it as at least as high: p of 2 is 3/4.
    assert contamination_share(np.array([2.0, 9.0]), verified) == 0
    # p above .5 has probability 1/2 too with m + 1 = 5, where it is {3/5, 4/5, 1}: 3/5 then.
    assert contamination_share(np.array([0.0, 9.0]), np.arange(4.0) + 1) == pytest.approx(1 - 0.5 / 0.6)


def test_evidence_counts_a_part_once_and_a_policy_without_it_abstains() -> None:
    draw = np.random.default_rng(0)
    rows = [
        {"part": f"{kind}{p}", "verified": kind == "v", "suspicion": float(value + draw.normal(0, 0.01))}
        for kind in "cv"
        for p, value in enumerate(draw.normal(size=40))
        for _ in range(3)
    ]
    frame = pd.DataFrame(rows)
    means = frame.groupby("part")["suspicion"].mean()
    split = [means[means.index.str.startswith(kind)].to_numpy() for kind in "cv"]
    found = contamination_evidence(frame)
    assert (found.candidates, found.verified) == (40, 40)
    assert found.p == no_contamination_p(split[0], split[1])
    assert found.share == contamination_share(split[0], split[1])
    shuffled = contamination_evidence(frame.sample(frac=1, random_state=1))
    assert (shuffled.p, shuffled.share) == pytest.approx((found.p, found.share))
    assert ContaminationEvidence(0.06, 0.2, 40, 40).budget(0.05) == 0
    assert ContaminationEvidence(0.05, 0.2, 40, 40).budget(0.05) == 0.2


def test_evidence_needs_verified_parts() -> None:
    with pytest.raises(ValueError, match="state the budget"):
        contamination_evidence(pd.DataFrame({"part": ["a"], "verified": [False], "suspicion": [1.0]}))


TEN = {f"s{i}": float(i) for i in range(10)}


def test_the_budget_takes_the_top_and_equal_ones_by_name() -> None:
    assert most_suspicious(TEN, 0.25) == ["s9", "s8", "s7"]
    assert most_suspicious({"b": 1.0, "a": 1.0, "c": 0.0}, 1 / 3) == ["a"]
    with pytest.raises(ValueError, match="not a share"):
        most_suspicious(TEN, 1.0)


def test_weights_of_each_use() -> None:
    top = {"remove": [0.0] * 4, "half": [0.5] * 4, "negative": [0.0, 0.0, -1.0, -1.0]}
    for use, expected in top.items():
        weights = weights_from_suspicion(TEN, 0.4, use)  # type: ignore[arg-type]
        assert list(weights.values()) == [1.0] * 6 + expected, use
        assert set(weights_from_suspicion(TEN, 0.0, use).values()) == {1.0}  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'halve' is not known"):
        weights_from_suspicion(TEN, 0.4, "halve")  # type: ignore[arg-type]


def test_posterior_weights_fall_with_suspicion_and_spend_the_budget() -> None:
    for share in (0.01, 0.3, 0.9):
        weights = np.array(list(weights_from_suspicion(TEN, share, "posterior").values()))
        assert ((weights >= 0) & (weights <= 1)).all()
        assert (np.diff(weights) <= 0).all()
        assert (1 - weights).sum() == pytest.approx(10 * share)
    assert set(weights_from_suspicion(TEN, 0.0, "posterior").values()) == {1.0}


def test_posterior_weights_are_those_of_two_normals_that_separate_at_85() -> None:
    draw = np.random.default_rng(0)
    z = np.concatenate([draw.normal(size=80000), draw.normal(SHIFT, 1, 20000)])
    weights = weights_from_suspicion({f"{i}": x / 0.6745 for i, x in enumerate(z)}, 0.2, "posterior")
    bad = 0.2 * np.exp(-0.5 * (z - SHIFT) ** 2)
    good = 0.8 * np.exp(-0.5 * z**2)
    assert np.abs(np.array(list(weights.values())) - good / (good + bad)).max() < 0.02


def test_quality_of_suspicion_against_pairs_counted_by_hand() -> None:
    suspicion = {"a": 3.0, "b": 2.0, "c": 1.0, "d": 5.0, "e": 0.0}
    truth = {"a": 1, "b": 0, "c": 1, "d": 0, "e": 0}
    component = {"a": "ring", "b": "ring", "c": "ring", "d": "hub", "e": "hub"}
    quality = suspicion_quality(suspicion, truth, component)
    assert quality == {
        "candidates": 5,
        "bad_injected": 2,
        "separation": 3 / 6,  # a beats b and e, c beats e
        "precision_at_injected": 1 / 2,  # d and a lead
        "precision_at_half": 0,
        "by_component": {
            "hub": {"candidates": 2, "bad_injected": 0},
            "ring": {
                "candidates": 3,
                "bad_injected": 2,
                "separation": 1 / 2,
                "precision_at_injected": 1 / 2,
                "precision_at_half": 1,
            },
        },
    }
