"""Which metrics a cell has, by name, group and threshold, in corners where a changed line once went unnoticed."""

from __future__ import annotations

import numpy as np

from reshift.results.metrics import ALL, MetricKey, Verdicts, cell_metrics
from reshift.results.scored_units import ScoredUnits, Units


def units(label: list[int], score: list[float], component: str = "", defects: tuple[str, ...] = ("pit",)) -> Units:
    truth, of = np.array(label), np.array(score, dtype=np.float64)
    names = np.array([f"u{i:03d}" for i in range(len(label))])
    kinds = [defects[i % len(defects)] if bad else "" for i, bad in enumerate(label)]
    return Units(names, names, np.full(len(label), component), np.array(kinds), truth, truth, of, of)


VAL = units([0] * 20 + [1] * 5, [i / 100 for i in range(20)] + [0.8] * 5)
# Good up to .19 pass at alpha = 5 %, two of six defective ones escape, one of four good ones is rejected.
TEST = units([0] * 4 + [1] * 6, [0.05, 0.1, 0.15, 0.9, 0.02, 0.12, 0.3, 0.6, 0.7, 0.95], "gear", ("pit", "crack"))


def test_a_cell_has_exactly_these_figures() -> None:
    found = cell_metrics(ScoredUnits(VAL, TEST, "part"), "probability")
    verdicts = {"escapes", "escape_rate", "escape_upper", "macro_f1", "balanced_accuracy"}
    verdicts |= {"false_rejects", "false_reject_rate", "false_reject_upper"}
    plain = {"auroc", "average_precision", "defective", "good", "prevalence", "all_defective_f1"}
    expected = {MetricKey(ALL, "part", name, "") for name in plain}
    expected |= {MetricKey(ALL, "part", name, at) for name in verdicts for at in ("alpha=0.05", "0.5", "max_f1")}
    # Groups have an AUROC and, at the shared threshold alone, verdicts; a defect's are those on its own units.
    for group, own in (
        ("component=gear", verdicts),
        ("defect=pit", {name for name in verdicts if name.startswith("escape")}),
        ("defect=crack", {name for name in verdicts if name.startswith("escape")}),
    ):
        expected |= {MetricKey(group, "part", "auroc", "")}
        expected |= {MetricKey(group, "part", name, "alpha=0.05") for name in own}
    assert set(found) == expected


def test_figures_of_a_hand_worked_cell() -> None:
    found = cell_metrics(ScoredUnits(VAL, TEST, "part"), "probability")

    def value(metric: str, threshold: str = "", group: str = ALL) -> float:
        return found[MetricKey(group, "part", metric, threshold)]

    assert (value("defective"), value("good"), value("prevalence"), value("all_defective_f1")) == (6, 4, 0.6, 0.75)
    assert (value("escapes", "alpha=0.05"), value("false_rejects", "alpha=0.05")) == (2, 1)
    assert (value("escapes", "0.5"), value("false_rejects", "0.5")) == (3, 1)
    # u004, u006, u008 are pitted, u005, u007, u009 cracked; one of each escapes.
    assert value("escapes", "alpha=0.05", "defect=pit") == value("escapes", "alpha=0.05", "defect=crack") == 1
    assert value("false_rejects", "alpha=0.05", "component=gear") == 1


def test_verdicts_name_both_sides() -> None:
    found = Verdicts(escapes=1, defective=2, false_rejects=3, good=4).metrics(bounds=False)
    sides = {"escapes": 1, "escape_rate": 0.5, "false_rejects": 3, "false_reject_rate": 0.75}
    assert {name: found[name] for name in sides} == sides
    assert set(found) == {*sides, "macro_f1", "balanced_accuracy"}
