"""Which observed labels are most likely wrong, of good and of defective samples, by scores that nobody gave itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray
from scipy.stats import rankdata

from reshift.refinement.cross_fit import Floats, Over, cross_fit, standardised

PROBABILITY = "probability"
"""Name of the score that is a model's probability of defective, in [0, 1]."""

FitAndScoreAll = Callable[[Mapping[str, float], Sequence[str]], pd.DataFrame]
"""Trains with these weights, 0 or 1, and gives every named score of n samples, n rows, the headline first."""


def scores_out_of_fold(
    parts: Mapping[str, str], fit_and_score: FitAndScoreAll, *, folds: int, repeats: int, over: Over, seed: int
) -> list[pd.DataFrame]:
    """All scores of all samples by models that trained without them, dealt to folds as `cross_fit` deals them.

    Args:
        parts: part of every sample, whatever its label.

    Returns:
        A frame a fold and repeat, as its model gave it, indexed by sample; each repeat holds every sample once.

    Raises:
        ValueError: as `cross_fit`.
    """
    found: list[pd.DataFrame] = []

    def kept(weights: Mapping[str, float], names: Sequence[str]) -> Floats:
        scores = fit_and_score(weights, names)
        found.append(scores.set_axis(pd.Index(names, name="sample"), axis=0))
        return scores.iloc[:, 0].to_numpy()

    cross_fit(sorted(parts), parts, kept, folds=folds, repeats=repeats, over=over, seed=seed)
    return found


def label_suspicion(runs: Sequence[pd.DataFrame], label: Mapping[str, int]) -> pd.DataFrame:
    """How suspicious every observed label is, and its rank among all of them, 1 = most likely wrong.

    Models that give a score `probability` are judged by confident learning (Northcutt, Jiang and Chuang, JAIR 2021), by
    the package cleanlab: suspicion is 1 - the quality of the label, in [0, 1], the probability of the observed label
    shifted by its class's mean self-confidence so that a rare class does not crowd the top; labels that "prune by
    noise rate" would drop are flagged. Probabilities are means over the repeats.

    All others are judged by their headline, in MADs of the fold's samples labelled good: a good label is suspicious by
    that score, a defective one by its negative. MADs of the two say different things, so the lists are merged by the
    share (r - 1/2) / n of the n samples of that label that rank r has reached, as if both labels were equally often
    wrong. `flagged` is missing, since an anomaly score does not say how many are.

    Args:
        runs: as `scores_out_of_fold` returns them, or one frame of a model that trained on all.
        label: observed label of every sample, 0 good, 1 defective.

    Returns:
        `suspicion`, `spread` (deviation over the repeats, NaN for one), `flagged` and `rank` (equal ones share their
        mean rank), sorted and indexed by sample.

    Raises:
        ValueError: probabilities outside [0, 1] or of labels of one class; or a fold without a sample labelled good.
    """
    judge = _by_probability if PROBABILITY in runs[0] else _by_anomaly
    return judge(runs, label)


def _by_probability(runs: Sequence[pd.DataFrame], label: Mapping[str, int]) -> pd.DataFrame:
    scores = pd.concat([run[PROBABILITY] for run in runs]).groupby(level=0).agg(["mean", "std"])
    defective = scores["mean"].to_numpy()
    if not ((defective >= 0) & (defective <= 1)).all():
        odd = scores["mean"].index[int(((defective < 0) | (defective > 1)).argmax())]
        raise ValueError(f"the score 'probability' of {odd!r} is outside [0, 1]; give such a score another name")
    observed = np.array([label[name] for name in scores.index])
    if len(set(observed.tolist())) < 2:
        raise ValueError(f"all {len(observed)} labels are {observed[0]}; confident learning needs good and defective")
    probability = np.stack([1 - defective, defective], axis=1)
    quality = get_label_quality_scores(observed, probability, adjust_pred_probs=True)
    # One process: cleanlab starts one per class otherwise.
    flagged = find_label_issues(observed, probability, filter_by="prune_by_noise_rate", n_jobs=1)
    return _frame(scores.index, 1 - quality, scores["std"], flagged, rankdata(quality))


def _by_anomaly(runs: Sequence[pd.DataFrame], label: Mapping[str, int]) -> pd.DataFrame:
    signed = []
    for run in runs:
        headline = run.iloc[:, 0]
        good = np.array([label[name] == 0 for name in headline.index])
        if not good.any():
            raise ValueError(f"the fold of {headline.index[0]!r} holds no sample labelled good; give fewer folds")
        scale = standardised(headline.to_numpy(), headline.to_numpy()[good])
        signed.append(pd.Series(np.where(good, scale, -scale), index=headline.index))
    scores = pd.concat(signed).groupby(level=0).agg(["mean", "std"])
    kind = pd.Series({name: label[name] for name in scores.index})
    order = (-scores["mean"]).groupby(kind)
    share = (order.rank() - 0.5) / order.transform("size")
    return _frame(scores.index, scores["mean"].to_numpy(), scores["std"], None, rankdata(share))


def _frame(
    samples: pd.Index, suspicion: Floats, spread: pd.Series, flagged: NDArray[np.bool_] | None, rank: Floats
) -> pd.DataFrame:
    index = samples.rename("sample")
    flags = pd.Series(pd.NA if flagged is None else flagged, index=index, dtype="boolean")
    columns = {"suspicion": suspicion, "spread": spread.to_numpy(), "flagged": flags, "rank": rank}
    return pd.DataFrame(columns, index=index)
