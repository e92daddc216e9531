"""Suspicion of labels: what is merged, by which rule, and confident learning against a loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from cleanlab.filter import find_label_issues
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from reshift.refinement.label_suspicion import label_suspicion, scores_out_of_fold


def run(values: Mapping[str, float], name: str = "score") -> pd.DataFrame:
    return pd.DataFrame({name: values})


# Good ones score 0 .. 4 with median 2 and MAD 1; of the defective one looks good.
LABEL = {"a": 0, "b": 0, "c": 0, "d": 0, "e": 0, "x": 1, "y": 1}
SCORE = {"a": 0.0, "b": 1.0, "c": 2.0, "d": 3.0, "e": 4.0, "x": 12.0, "y": 2.5}


def test_anomaly_scores_by_hand() -> None:
    found = label_suspicion([run(SCORE)], LABEL)
    assert found["suspicion"].to_dict() == {"a": -2, "b": -1, "c": 0, "d": 1, "e": 2, "x": -10, "y": -0.5}
    # Shares: e .1, d .3, c .5, b .7, a .9; y .25, x .75.
    assert found["rank"].to_dict() == {"e": 1, "y": 2, "d": 3, "c": 4, "b": 5, "x": 6, "a": 7}
    assert found["flagged"].isna().all() and found["spread"].isna().all() and found.index.name == "sample"


def test_folds_are_put_on_the_scale_of_their_good_labels_and_repeats_are_averaged() -> None:
    halves: list[Sequence[str]] = [["a", "b", "c", "x"], ["d", "e", "y"]]
    values = {"a": 1.0, "b": 2.0, "c": 4.0, "x": 30.0, "d": 100.0, "e": 104.0, "y": 106.0}
    folds = [run({name: values[name] for name in half}) for half in halves]
    found = label_suspicion([*folds, run(SCORE)], LABEL)
    # First repeat: median 2, MAD 1 of a, b, c; median 102, MAD 2 of d, e. Second: median 2, MAD 1.
    first = {"a": -1, "b": 0, "c": 2, "x": -28, "d": -1, "e": 1, "y": -2}
    second = {"a": -2, "b": -1, "c": 0, "x": -10, "d": 1, "e": 2, "y": -0.5}
    for name in LABEL:
        assert found.loc[name, "suspicion"] == pytest.approx((first[name] + second[name]) / 2)
        assert found.loc[name, "spread"] == pytest.approx(abs(first[name] - second[name]) / 2**0.5)


def test_equal_scores_share_a_rank() -> None:
    found = label_suspicion([run({"a": 1.0, "b": 1.0, "c": 0.0})], {"a": 0, "b": 0, "c": 0})
    assert found["rank"].to_dict() == {"a": 1.5, "b": 1.5, "c": 3}


def noisy(seed: int = 0) -> tuple[dict[str, float], dict[str, int], set[str]]:
    """A feature of 180 samples, 40 of them defective, their labels, and whose label is wrong."""
    draw = np.random.default_rng(seed)
    truth = {f"s{i:03d}": int(i % 9 < 2) for i in range(180)}
    value = {name: float(draw.normal(4 * bad)) for name, bad in truth.items()}
    wrong = set(draw.choice(sorted(truth), 18, replace=False).tolist())
    return value, {name: bad ^ (name in wrong) for name, bad in truth.items()}, wrong


def logistic(value: Mapping[str, float], label: Mapping[str, int]) -> list[pd.DataFrame]:
    def fit_and_score(weights: Mapping[str, float], names: Sequence[str]) -> pd.DataFrame:
        kept = [name for name, weight in weights.items() if weight]
        fitted = LogisticRegression().fit([[value[n]] for n in kept], [label[n] for n in kept])
        columns = [[value[n]] for n in names]
        return pd.DataFrame(
            {"logit": fitted.decision_function(columns), "probability": fitted.predict_proba(columns)[:, 1]}
        )

    parts = {name: name[:-1] for name in value}
    return scores_out_of_fold(parts, fit_and_score, folds=5, repeats=2, over="parts", seed=0)


def test_confident_learning_against_a_loop_and_cleanlab() -> None:
    value, label, _ = noisy()
    runs = logistic(value, label)
    found = label_suspicion(runs, label)
    probability = {n: np.mean([r.loc[n, "probability"] for r in runs if n in r.index]) for n in label}
    of = {name: [1 - p, p] for name, p in probability.items()}
    typical = [np.mean([of[n][k] for n in label if label[n] == k]) for k in (0, 1)]
    for name, row in found.iterrows():
        shifted = [of[str(name)][k] - typical[k] + max(typical) for k in (0, 1)]
        assert row["suspicion"] == pytest.approx(1 - shifted[label[str(name)]] / sum(shifted))
    names = sorted(label)
    flagged = find_label_issues(np.array([label[n] for n in names]), np.array([of[n] for n in names]), n_jobs=1)
    assert found["flagged"].tolist() == flagged.tolist() and 5 < flagged.sum() < 40
    assert (found.sort_values("rank")["suspicion"].diff().dropna() <= 1e-12).all()


@pytest.mark.parametrize("kind", ["probability", "anomaly"])
def test_injected_wrong_labels_of_both_kinds_come_out_on_top(kind: str) -> None:
    value, label, wrong = noisy()
    runs = logistic(value, label)
    if kind == "anomaly":
        runs = [r[["logit"]] for r in runs]
    found = label_suspicion(runs, label)
    assert roc_auc_score([name in wrong for name in found.index], -found["rank"]) > 0.9
    top = found.nsmallest(12, "rank").index
    # One in ten is wrong, so that chance puts one there.
    assert len(set(top) & wrong) >= 6 and {label[name] for name in top} == {0, 1}


def test_out_of_fold_scores_cover_every_sample_once_a_repeat() -> None:
    value, label, _ = noisy()
    runs = logistic(value, label)
    assert len(runs) == 10
    for repeat in (runs[:5], runs[5:]):
        assert sorted(pd.concat(repeat).index) == sorted(label)


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(ValueError, match="'probability' of 'b' is outside"):
        label_suspicion([run({"a": 0.5, "b": 1.5}, "probability")], {"a": 0, "b": 1})
    with pytest.raises(ValueError, match="all 2 labels are 0; confident learning needs good and defective"):
        label_suspicion([run({"a": 0.5, "b": 0.5}, "probability")], {"a": 0, "b": 0})
    with pytest.raises(ValueError, match="fold of 'a' holds no sample labelled good"):
        label_suspicion([run({"a": 0.5})], {"a": 1})
