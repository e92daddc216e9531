"""What the report works out itself: the most wrong parts, risk by coverage, removals by round, noise by rate."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_runs import GOOD_MODEL, POOR_MODEL, hostile_run
from sklearn.metrics import roc_auc_score

from reshift.results.rank_test import board_rank_tests
from reshift.results.record import read_header
from reshift.results.report.examined import most_wrong, wrong_shares
from reshift.results.report.noise import noise_points
from reshift.results.report.prepare import Report, prepare_report
from reshift.results.report.ranks import rank_tables
from reshift.results.report.rounds import removed_by_round, true_labels
from reshift.results.risk_coverage import COVERAGES, curve
from reshift.results.scored_units import Units
from reshift.results.store import RunStore

COMMITTED = Path(__file__).parents[1] / "results" / "leaderboards"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Report]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield prepare_report(hostile_run(tmp_path_factory.mktemp("report") / "r").path, wrong=5)


def units(label: list[int], score: list[float], part: list[str] | None = None) -> Units:
    names = np.array(part or [f"p{n}" for n in range(len(label))])
    empty = np.full(len(label), "")
    labels, scores = np.array(label, dtype=np.int64), np.array(score, dtype=np.float64)
    return Units(names, names, empty, empty, labels, labels, scores, scores)


def test_wrong_shares_are_a_loop_over_pairs() -> None:
    draw = np.random.default_rng(0)
    label, score = draw.integers(0, 2, 40), draw.integers(0, 12, 40).astype(float)
    found = wrong_shares(units(label.tolist(), score.tolist()))
    for i in range(40):
        sides = []
        for j in np.flatnonzero(label != label[i]):
            ahead = score[i] - score[j] if label[i] == 1 else score[j] - score[i]
            sides.append(0.5 if ahead == 0 else float(ahead < 0))
        assert found[i] == pytest.approx(np.mean(sides))
    assert 1 - found[label == 1].mean() == pytest.approx(roc_auc_score(label, score))


def test_nothing_is_wrong_where_a_class_is_missing() -> None:
    assert wrong_shares(units([0, 0], [1.0, 2.0])).tolist() == [0.0, 0.0]


def test_a_part_is_as_wrong_as_its_most_wrong_image_and_means_go_over_tests(report: Report) -> None:
    view = report.views[0]
    first = units([1, 1, 0, 0], [0.0, 9.0, 1.0, 2.0], ["bad", "bad", "low", "high"])
    second = units([1, 0], [3.0, 1.0], ["bad", "low"])
    found = most_wrong(view, [first, second], 4)
    assert [(p.part, p.wrongness) for p in found] == [("bad", 0.5), ("high", 0.5), ("low", 0.25)]


def test_the_most_wrong_parts_are_the_best_models_and_half_of_them_defective(report: Report) -> None:
    wrong = [p for p in report.wrong if p.board == report.views[0].number]
    assert {p.model for p in report.wrong} == {GOOD_MODEL}
    labels = [p.label for p in wrong]
    assert labels == sorted(labels, reverse=True)
    assert 0 < labels.count(1) <= 3 and 0 < labels.count(0) <= 2
    for label in (0, 1):
        shares = [p.wrongness for p in wrong if p.label == label]
        assert shares == sorted(shares, reverse=True) and shares[-1] > 0


def test_at_full_coverage_risk_is_the_share_of_wrong_calls(report: Report) -> None:
    view = next(v for v in report.views if v.protocol == "in_distribution")
    own = next(e for v, e in zip(report.views, report.examined, strict=True) if v is view)
    assert list(own.risk) == [GOOD_MODEL, POOR_MODEL]
    rows = {
        (r.model, r.metric): r.mean
        for r in report.boards.protocols["in_distribution"]
        if r.split == "mean" and r.level == "part" and r.threshold == "alpha=0.05"
    }
    for model, risks in own.risk.items():
        escaped, rejected = rows[model, "escape_rate"], rows[model, "false_reject_rate"]
        assert escaped is not None and rejected is not None
        assert risks[-1] == pytest.approx((20 * escaped + 60 * rejected) / 80)


def test_risk_by_coverage_is_none_without_a_threshold(report: Report) -> None:
    from reshift.results.evaluation import Evaluation
    from reshift.results.scored_units import ScoredUnits

    few = ScoredUnits(units([0] * 18, list(range(18))), units([0, 1], [1.0, 2.0]), "part")
    assert curve(few, Evaluation("m", "nll", {"part": few})) is None


def test_risk_of_the_surest_parts_by_hand() -> None:
    from reshift.results.evaluation import Evaluation
    from reshift.results.scored_units import ScoredUnits

    # The threshold is the largest of 19 good scores, 18; 10 parts, of which the two nearest to it are called wrongly.
    val = units([0] * 19 + [1] * 4, [float(n) for n in range(19)] + [20.0, 22.0, 24.0, 26.0])
    test = units([0, 0, 0, 0, 1, 1, 1, 1, 1, 0], [0.5, 2.5, 4.5, 6.5, 17.5, 25.5, 26.5, 27.5, 28.5, 20.5])
    scored = ScoredUnits(val, test, "part")
    found = curve(scored, Evaluation("m", "nll", {"part": scored}))
    assert found is not None
    assert dict(zip(COVERAGES, found[1:].round(6).tolist(), strict=True))[0.8] == 0.0
    assert found[-2:] == pytest.approx([1 / 9, 2 / 10])


def test_removals_by_round_count_good_bad_and_unknown(report: Report) -> None:
    record = next(r for r in report.boards.records.values() if r.refinement)
    assert removed_by_round(record, report.truth) == [(1, 1, 0), (0, 0, 2)]


@pytest.mark.parametrize(("bad", "second"), [(1, (2, 0, 0)), (3, (0, 2, 0))])
def test_unknown_removals_have_a_label_where_the_count_leaves_one(
    report: Report, bad: int, second: tuple[int, int, int]
) -> None:
    record = next(r for r in report.boards.records.values() if r.refinement)
    quality = {"bad_injected": 7, "bad_removed": bad, "good_removed": 4 - bad}
    counted = replace(record, refinement={**(record.refinement or {}), "quality": quality})
    assert removed_by_round(counted, report.truth) == [(1, 1, 0), second]


def test_removals_by_round_add_up_to_what_records_count() -> None:
    store = RunStore(COMMITTED / "tiles")
    names = [c.id for c in store.read_plan().cells if not c.not_applicable]
    records = [read_header(store.folder(name)) for name in names]
    truth = true_labels(store, records)
    compared = 0
    for record in (r for r in records if r.refinement):
        counts = removed_by_round(record, truth)
        good, bad, unknown = (sum(c[n] for c in counts) for n in range(3))
        quality = (record.refinement or {})["quality"]
        assert good <= quality["good_removed"] and bad <= quality["bad_removed"]
        assert good + bad + unknown == quality["good_removed"] + quality["bad_removed"]
        compared += unknown == 0 and good > 0 and bad > 0
    assert compared


def test_noise_points_are_the_boards_rows(report: Report) -> None:
    points = noise_points(report.views, report.places)
    (own,) = points.values()
    assert {model: sorted(by_rate) for model, by_rate in own.items()} == {
        GOOD_MODEL: [0.1, 0.2],
        POOR_MODEL: [0.1, 0.2],
    }
    for view in report.views:
        if view.protocol == "contamination-20":
            row = next(s.auroc for s in view.table if s.model == POOR_MODEL)
            assert own[POOR_MODEL][0.2].y == row.mean
            assert own[POOR_MODEL][0.2].interval == (row.part_low, row.part_high)


def test_bars_of_ranks_overlap_where_models_cannot_be_told_apart(report: Report) -> None:
    row = next(r for r in report.boards.overall if r.split == "mean" and r.metric == "auroc" and r.mean is not None)
    models = [f"m{n:02d}" for n in range(8)]
    rows = [
        replace(row, dataset=f"d{block}", model=model, mean=1 - 0.05 * place)
        for block in range(6)
        for place, model in enumerate(models)
    ]
    cells = tuple(replace(report.boards.plan.cells[0], model=model) for model in models)
    plan = replace(report.boards.plan, cells=cells)
    drawn = rank_tables(replace(report.boards, overall=tuple(rows), plan=plan))
    assert re.findall(r'data-model="(m\d\d)"', drawn) == models
    bars = [(float(low), float(high)) for low, high in re.findall(r'd="M(-?[\d.]+) 7H([\d.]+)"', drawn)]
    (test,) = board_rank_tests(rows, models).values()
    for first in range(8):
        for second in range(first + 1, 8):
            overlap = bars[first][1] > bars[second][0]
            assert overlap == (second - first < test.critical_difference)
    assert 1 < test.critical_difference < 7, "both kinds of pair were looked at"
