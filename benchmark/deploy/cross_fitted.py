"""The threshold of a model that is trained on all data, from scores of parts that fold models never saw."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reshift.results.metrics import Verdicts
from reshift.results.scored_units import Floats, Labels, Mask
from reshift.results.scores_file import PREFIX
from reshift.results.statistics import clopper_pearson_upper
from reshift.results.thresholds import ALPHA, good_quantile, smallest_good_count


@dataclass(frozen=True)
class CrossFitted:
    """Where to cut, and what that did to parts out of fold.

    Attributes:
        score: name of the headline score.
        threshold: parts above it are rejected; of good ones a share of `ALPHA`.
        good, defective: parts it was made from, and parts whose escapes were counted.
        folds: whose test parts they are.
        outcome: escapes and false rejects with upper bounds.
        judged: by which threshold they were counted.
        verdicts: a row a part with `part`, `fold`, `label`, `score` and what it was `called`, 1 defective.
    """

    score: str
    threshold: float
    good: int
    defective: int
    folds: tuple[str, ...]
    outcome: dict[str, Any]
    judged: str
    verdicts: pd.DataFrame


def cross_fitted(name: str, folds: Mapping[str, pd.DataFrame], basis: Collection[str] | None = None) -> CrossFitted:
    """The threshold that rejects `ALPHA` of the good parts, each scored by the fold model that did not see it.

    A part's score is the largest of its pictures, so a picture above the threshold rejects its part. The threshold is
    the ceil((n+1)(1-alpha))-th smallest of the n good parts' (docs/definitions.md, 'Thresholds'). Fold models differ,
    and so may the scale of their scores: where there are several folds, escapes and false rejects are those of each
    fold's parts at the threshold from the other folds, which pays for such differences. With one fold, or too few good
    parts outside a fold, they are counted at the threshold itself, whose false rejects its own good parts have set.

    Args:
        name: of the headline score.
        folds: scores of every in-distribution fold by its name, all of one model and one seed.
        basis: parts that thresholds may be made from; all where None.

    Raises:
        ValueError: fewer good parts than a threshold needs.
    """
    parts = pd.concat([_test_parts(fold, folds[fold], PREFIX + name) for fold in sorted(folds)], ignore_index=True)
    score = parts["score"].to_numpy(dtype=np.float64)
    label = parts["label"].to_numpy(dtype=np.int64)
    fold = parts["fold"].to_numpy(dtype=np.str_)
    makes = label == 0
    if basis is not None:
        makes &= parts["part"].isin(set(basis)).to_numpy()
    good = score[makes]
    threshold = good_quantile(good)
    if threshold is None:
        raise ValueError(
            f"{len(good)} good parts were scored out of fold, and a threshold that rejects {ALPHA:.0%} of them takes "
            f"{smallest_good_count()}; run in_distribution with more folds (folds_used) or more parts"
        )
    from_others = _thresholds_of_others(score, makes, fold)
    cuts = np.full(len(score), threshold) if from_others is None else from_others
    judged = "the threshold itself" if from_others is None else "each fold at the threshold from the other folds"
    called = score > cuts
    outcome, verdicts = outcome_of(label, called), parts.assign(called=called.astype(np.int64))
    defective = int((label == 1).sum())
    return CrossFitted(name, threshold, len(good), defective, tuple(sorted(folds)), outcome, judged, verdicts)


def outcome_of(label: Labels, called: NDArray[Any]) -> dict[str, Any]:
    """Escapes and false rejects as counts, with how many could have been, and exact one-sided 95 % upper bounds."""
    verdicts = Verdicts.count(label, called.astype(np.int64))
    found: dict[str, Any] = {}
    for name, wrong, n in (
        ("escapes", verdicts.escapes, verdicts.defective),
        ("false_rejects", verdicts.false_rejects, verdicts.good),
    ):
        found[name] = {"count": wrong, "of": n, "upper": clopper_pearson_upper(wrong, n) if n else None}
    return found


def _test_parts(fold: str, scores: pd.DataFrame, column: str) -> pd.DataFrame:
    tested = scores[scores["role"] == "test"]
    parts = tested.groupby("part", sort=True).agg(score=(column, "max"), label=("label", "max"))
    return parts.assign(fold=fold).reset_index()


def _thresholds_of_others(score: Floats, makes: Mask, fold: NDArray[np.str_]) -> Floats | None:
    """For every part the threshold that the other folds' good parts give, or None where some fold has none."""
    cuts = np.empty(len(score))
    for own in np.unique(fold):
        others = good_quantile(score[(fold != own) & makes])
        if others is None:
            return None
        cuts[fold == own] = others
    return cuts
