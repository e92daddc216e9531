"""What the report reads from scores rather than from boards: AUROC by cell, risk by coverage, the most wrong parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reshift.results.clustered_auroc import auroc
from reshift.results.evaluation import Evaluation
from reshift.results.judged_cells import JudgedCells
from reshift.results.plan import PlannedCell
from reshift.results.report.views import BoardView
from reshift.results.risk_coverage import curve
from reshift.results.scored_units import Floats, Level, ScoredUnits, Units


@dataclass(frozen=True)
class WrongPart:
    """A part that a board's best model puts on the wrong side.

    Attributes:
        label: the truth, 1 = defective.
        wrongness: the share of the parts of the other class, tested with it, that it is on the wrong side of, in
            [0, 1] (ties count half): of the good ones that score above it if it is defective, of the defective ones
            that score below it if it is good. Mean over the seeds and splits that test it.
    """

    dataset: str
    board: int
    model: str
    part: str
    label: int
    component: str
    defect: str
    wrongness: float


@dataclass(frozen=True)
class Examined:
    """Findings on one board.

    Attributes:
        aurocs: by id of the finished cells, at the board's level; a cell whose test lacks a class is absent.
        risk: by model, best first, the share of wrong calls at `risk_coverage.COVERAGES`, mean over splits and seeds;
            a model whose validation supports no threshold on some cell is absent.
        wrong: of the best model, the most wrong parts, half of them defective; parts on the right side are left out.
    """

    aurocs: Mapping[str, float]
    risk: Mapping[str, Floats]
    wrong: tuple[WrongPart, ...]


def examine(view: BoardView, cells: Iterable[PlannedCell], judged: JudgedCells, wrong: int) -> Examined:
    """Read the headline scores of a board's finished cells.

    Args:
        cells: the board's, controls included.
        wrong: how many parts to name at most.
    """
    levels = {summary.model: summary.auroc.level for summary in view.table}
    aurocs: dict[str, float] = {}
    found: dict[str, list[tuple[Evaluation, ScoredUnits]]] = defaultdict(list)
    for cell in cells:
        if cell.id not in judged:
            continue
        evaluation = judged[cell.id][0]
        scored = _at(evaluation, levels[cell.model])
        if scored.test.both_classes:
            aurocs[cell.id] = auroc(scored.test.label, scored.test.score)
        if cell.model in view.best and not cell.control_of:
            found[cell.model].append((evaluation, scored))
    curves = {model: [curve(scored, e) for e, scored in found[model]] for model in view.best}
    risk = {
        model: np.mean([c for c in own if c is not None], axis=0)[1:]  # the first is the area
        for model, own in curves.items()
        if own and all(c is not None for c in own)
    }
    parts = most_wrong(view, [scored.test for _, scored in found[view.best[0]]], wrong) if view.best else ()
    return Examined(aurocs, risk, parts)


def most_wrong(view: BoardView, tests: Sequence[Units], count: int) -> tuple[WrongPart, ...]:
    """The parts that tests of one model put furthest on the wrong side, defective ones first.

    Of images each stands for itself; a part is as wrong as its most wrong image.
    """
    shares: dict[str, list[float]] = defaultdict(list)
    about: dict[str, tuple[int, str, str]] = {}
    for test in tests:
        own: dict[str, float] = {}
        for place, share in enumerate(wrong_shares(test)):
            part = str(test.part[place])
            if share >= own.get(part, 0.0):
                own[part] = float(share)
                about[part] = int(test.label[place]), str(test.component[place]), str(test.defect[place])
        for part, value in own.items():
            shares[part].append(value)
    found = [
        WrongPart(view.dataset, view.number, view.best[0], part, *about[part], float(np.mean(values)))
        for part, values in shares.items()
    ]
    found.sort(key=lambda p: (-p.wrongness, p.part))
    wrong = [p for p in found if p.wrongness > 0]
    half = (count + 1) // 2
    defective = [p for p in wrong if p.label == 1][:half]
    return tuple(defective + [p for p in wrong if p.label == 0][: count - half])


def wrong_shares(test: Units) -> Floats:
    """For every unit the share of the other class that it is on the wrong side of; zeros where a class is missing."""
    shares = np.zeros(len(test.label))
    if not test.both_classes:
        return shares
    for value in (0, 1):
        sign = 1.0 if value else -1.0
        others = np.sort(sign * test.score[test.label != value])
        own = sign * test.score[test.label == value]
        below = (np.searchsorted(others, own, "left") + np.searchsorted(others, own, "right")) / 2
        shares[test.label == value] = 1 - below / len(others)
    return shares


def _at(evaluation: Evaluation, level: Level) -> ScoredUnits:
    """The level a series is headed at, or the only one this cell has."""
    return evaluation.levels.get(level) or next(iter(evaluation.levels.values()))
