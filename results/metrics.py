"""The metrics of one cell from its stored scores, per level and group; what is undefined is absent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from reshift.results.clustered_auroc import auroc
from reshift.results.scored_units import Floats, Labels, Level, Mask, ScoredUnits, Units
from reshift.results.statistics import clopper_pearson_upper
from reshift.results.thresholds import GOOD_QUANTILE, thresholds

ALL = "all"

# The order of boards, and which end is the bad one; metrics without one have no mean over splits or worst split.
WORSE: dict[str, Literal["low", "high"] | None] = {
    "auroc": "low",
    "average_precision": "low",
    "macro_f1": "low",
    "balanced_accuracy": "low",
    "escapes": None,
    "escape_rate": "high",
    "escape_upper": None,
    "false_rejects": None,
    "false_reject_rate": "high",
    "false_reject_upper": None,
    "defective": None,
    "good": None,
    "prevalence": None,
    "all_defective_f1": None,
    "gap": "high",
    "auroc_sd_splits": None,
    "auroc_sd_seeds": None,
    "tier": None,
}


class MetricKey(NamedTuple):
    """Names one number of a cell; `threshold` is "" for metrics that need none."""

    group: str
    level: Level
    metric: str
    threshold: str


@dataclass(frozen=True)
class Verdicts:
    """What a threshold made of a set of units: counts, exact one-sided 95 % upper bounds, F1 and balanced accuracy."""

    escapes: int
    defective: int
    false_rejects: int
    good: int

    @classmethod
    def count(cls, label: Labels, called: Labels) -> Verdicts:
        bad = label == 1
        return cls(int((called[bad] == 0).sum()), int(bad.sum()), int((called[~bad] == 1).sum()), int((~bad).sum()))

    def metrics(self, bounds: bool) -> dict[str, float]:
        """By name; a rate whose class is missing is absent.

        Args:
            bounds: whether units are independent, so that an exact bound means something: parts are, views of one
                part are not.
        """
        found: dict[str, float] = {}
        for wrong, n, count, name in (
            (self.escapes, self.defective, "escapes", "escape"),
            (self.false_rejects, self.good, "false_rejects", "false_reject"),
        ):
            if n:
                found |= {count: float(wrong), f"{name}_rate": wrong / n}
                if bounds:
                    found[f"{name}_upper"] = clopper_pearson_upper(wrong, n)
        if self.defective and self.good:
            hit, right = self.defective - self.escapes, self.good - self.false_rejects
            f1_defective = 2 * hit / (2 * hit + self.escapes + self.false_rejects)
            f1_good = 2 * right / (2 * right + self.escapes + self.false_rejects)
            found["macro_f1"] = (f1_defective + f1_good) / 2
            found["balanced_accuracy"] = (hit / self.defective + right / self.good) / 2
        return found


def groups(test: Units) -> Iterator[tuple[str, Mask]]:
    """All units; each component's; each defect's units against all good ones. Groups without both classes are left out.

    A part with several defects forms a group of its own, named 'a+b'.
    """
    yield ALL, np.ones(len(test.label), dtype=np.bool_)
    named = [(f"component={c}", test.component == c) for c in np.unique(test.component) if c]
    bad = test.label == 1
    named += [(f"defect={d}", ~bad | (test.defect == d)) for d in np.unique(test.defect[bad]) if d]
    for name, mask in named:
        if test.where(mask).both_classes:
            yield name, mask


def cell_metrics(scored: ScoredUnits, score_name: str) -> dict[MetricKey, float]:
    """Every defined metric of a cell at one level.

    Thresholds are the cell's, from all of its validation; groups are judged at the shared one. Escapes and false
    rejects are counts, rates shares of the class, `prevalence` the share of defective units, and `all_defective_f1`
    the F1 of calling everything defective, the floor every F1 is read against.
    """
    test, level = scored.test, scored.level
    independent = level == "part" or len(np.unique(test.part)) == len(test.part)
    calls = {name: threshold.calls(test) for name, threshold in thresholds(scored, score_name).items()}
    found: dict[MetricKey, float] = {}
    for group, mask in groups(test):
        members = test.where(mask)
        plain: dict[str, float] = {}
        if members.both_classes:
            plain["auroc"] = auroc(members.label, members.score)
        if group == ALL:
            plain |= _of_the_split(members)
        found |= {MetricKey(group, level, metric, ""): value for metric, value in plain.items()}
        for name, called in calls.items():
            if group in (ALL,) or name == GOOD_QUANTILE:
                values = Verdicts.count(members.label, called[mask]).metrics(independent)
                if group.startswith("defect="):
                    # Good units are everybody's here: what they suffer is said once, under "all".
                    values = {k: v for k, v in values.items() if k.startswith("escape")}
                found |= {MetricKey(group, level, metric, name): value for metric, value in values.items()}
    return found


def average_precision(label: Labels, score: Floats) -> float:
    """Mean precision at the defective units, weighted by the recall each distinct score adds; some unit is defective.

    To the last bit scikit-learn's `average_precision_score`, whose checks of what is passed take forty times as long
    as the figure itself on eighty units, and are most of the time of a board.
    """
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    found = np.cumsum(label[order])[last]
    precision, recall = found / (last + 1), found / found[-1]
    # From the lowest score upwards, since the order of a sum shows in its last bits.
    steps = np.diff(np.append(recall[::-1], 0.0))
    return float(-np.sum(steps * precision[::-1]))


def _of_the_split(members: Units) -> dict[str, float]:
    bad = int(members.label.sum())
    n = len(members.label)
    found = {"defective": float(bad), "good": float(n - bad)}
    if n:
        found["prevalence"] = bad / n
    if bad:
        found["all_defective_f1"] = 2 * bad / (n + bad)
    if members.both_classes:
        found["average_precision"] = average_precision(members.label, members.score)
    return found
