"""What has no defined figure gives none, what cannot be is refused in one line: splits, refinement and results."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from simulated_intervals import parts, units

from reshift.refinement.policies import OneShot, Oracle
from reshift.refinement.suspicion import most_suspicious
from reshift.refinement.threshold import MedianMAD
from reshift.results.clustered_auroc import components
from reshift.results.metrics import ALL, MetricKey, cell_metrics
from reshift.results.part_bootstrap import Draw, part_bootstrap
from reshift.results.scored_units import NO_UNITS, ScoredUnits
from reshift.results.statistics import MIN_PARTS
from reshift.splits.label_flips import LabelFlips
from reshift.splits.official import Official
from reshift.splits.protocol import Skip
from reshift.splits.samples import TableError, validate_table
from reshift.splits.test_time_shift import TestTimeShift as Disturbed

TABLE = pd.DataFrame({"sample": ["a.png", "b.png"], "label": [0, 1], "part": ["p", "q"], "component": ["gear", "ring"]})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop(columns="label"), "photos: no column 'label'; found ['component', 'part', 'sample']; add it"),
        (lambda t: t.iloc[:0], "photos: the table has no rows"),
        (lambda t: t.assign(label=[0, 2]), "photos, row 2, column label: 2 is neither 0 (good) nor 1 (defective)"),
        (lambda t: t.assign(label=[0, True]), "photos, row 2, column label: True is neither"),
        (lambda t: t.assign(label=[0, np.nan]), "photos, row 2, column label: nan is neither"),
        (lambda t: t.assign(sample=["a.png", "a.png"]), "photos, row 2, column sample: 'a.png' is listed twice"),
        (lambda t: t.assign(part="p"), "photos, column component: part 'p' has ['gear', 'ring']; a part is one object"),
        (lambda t: t.assign(sample=["a.png", "../b.png"]), "row 2, column sample: '../b.png' is not a path below"),
        (lambda t: t.assign(sample=["/a.png", "b.png"]), "row 1, column sample: '/a.png' is not a path below"),
        (lambda t: t.assign(sample=["a.png", ""]), "row 2, column sample: '' is not a path below"),
        (lambda t: t.assign(mask=["", "m\\b.png"]), "row 2, column mask: 'm\\\\b.png' is not a path below"),
        (lambda t: t.assign(level=["", "deep"]), "row 2, column level: 'deep' is no finite number"),
        (lambda t: t.assign(level=["1.5", "inf"]), "row 2, column level: 'inf' is no finite number"),
    ],
)
def test_a_table_that_cannot_be_split_is_refused(change: Callable[[pd.DataFrame], pd.DataFrame], said: str) -> None:
    with pytest.raises(TableError) as caught:
        validate_table(change(TABLE), "photos")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_dots_that_climb_nowhere_are_a_name() -> None:
    assert validate_table(TABLE.assign(sample=["a..png", "b.png"]), "photos")["sample"].tolist() == ["a..png", "b.png"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: LabelFlips(rates=(0.5,)), "rate 0.5 is outside [0, 0.4]"),
        (lambda: LabelFlips(rates=(-0.1,)), "rate -0.1 is outside"),
        (lambda: LabelFlips(unit="pixel"), "unit='pixel' is not known; give 'part' or 'image'"),
        (lambda: Disturbed(kinds=("rain",)), "kinds=['rain']: choose some of"),
        (lambda: Disturbed(severities=(6,)), "severities=[6]: choose some of 1, 2, 3, 4, 5"),
        (lambda: Disturbed(severities=()), "severities=[]: choose some of"),
        (lambda: most_suspicious({"a": 1.0}, 1.0), "budget 1.0 is not a share"),
        (lambda: most_suspicious({"a": 1.0}, -0.1), "budget -0.1 is not a share"),
        (lambda: Oracle().reweight(np.ones(2), np.ones(2), None), "needs the true labels"),
    ],
)
def test_arguments_that_cannot_be_are_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        make()
    assert said in str(caught.value)


def test_an_official_role_that_is_none_skips() -> None:
    table = validate_table(TABLE.assign(official_split=["train", "holdout"]), "photos")
    with pytest.raises(Skip, match="column 'official_split' has 'holdout'; official knows train, val and test"):
        list(Official().splits(table, 0))


def test_where_all_candidates_have_left_a_policy_leaves_weights_alone() -> None:
    weights = np.array([0.0, -1.0])
    assert OneShot(MedianMAD(1.0)).reweight(np.array([1.0, 9.0]), weights, None).tolist() == weights.tolist()


def test_an_auroc_of_one_class_has_no_components() -> None:
    part, _ = parts(5, 1)
    with pytest.raises(ValueError, match="AUROC needs good and defective units; got 10 of one class"):
        components(units(part, np.zeros(10, dtype=np.int64), np.arange(10.0)))


def test_a_bootstrap_is_withheld_below_the_minimum_of_either_class() -> None:
    def mean_of(draw: Draw) -> float:
        return float(draw("split", test).score.mean())

    for bad, given in ((MIN_PARTS - 1, False), (MIN_PARTS, True), (30 - MIN_PARTS, True), (31 - MIN_PARTS, False)):
        label = (np.arange(30) < bad).astype(np.int64)
        test = units(np.arange(30), label, np.arange(30.0))
        assert (part_bootstrap({"split": [test]}, mean_of, 20) is not None) == given


def test_a_cell_that_tests_nothing_or_no_defect_has_counts_and_no_rates() -> None:
    nothing = cell_metrics(ScoredUnits(NO_UNITS, NO_UNITS, "part"), "nll")
    assert nothing == {MetricKey(ALL, "part", name, ""): 0.0 for name in ("defective", "good")}
    good = units(np.arange(3), np.zeros(3, dtype=np.int64), np.arange(3.0))
    found = cell_metrics(ScoredUnits(NO_UNITS, good, "part"), "nll")
    assert {key.metric: value for key, value in found.items()} == {"defective": 0, "good": 3, "prevalence": 0}
