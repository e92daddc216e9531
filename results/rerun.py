"""Self-reported rows against somebody else's run of the same cells; the mark goes where board figures agree."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

import numpy as np
import pandas as pd

from reshift.results.board_file import rows_bytes
from reshift.results.boards import Progress, build_boards
from reshift.results.leaderboard import write_boards
from reshift.results.localisation_board import localisation_bytes
from reshift.results.plan import Plan, PlannedCell
from reshift.results.prognosis_board import prognosis_bytes
from reshift.results.record import RECORD_FILE, Record
from reshift.results.store import RunStore, Status
from reshift.results.submission_archive import SubmissionError
from reshift.results.submitted_cells import Rerun, SubmittedCell, write_submitted

TOLERANCE = 0.0005
"""Half of the last digit that tables print: figures of a board that lie no further apart are the same."""


@dataclass(frozen=True)
class RerunFinding:
    """How a model on a board compares with a run of the same cells.

    Attributes:
        cells, rerun: self-reported cells of it, and how many of them the other run has.
        score: the largest difference of a score; infinite where other samples were scored.
        figure: the largest difference of a figure on the board; infinite where one board lacks it.
        where: which figure that is, "" where none differs.
    """

    dataset: str
    protocol: str
    model: str
    cells: int
    rerun: int
    score: float = 0.0
    figure: float = 0.0
    where: str = ""

    @property
    def agrees(self) -> bool:
        """All cells were run again, and no figure of the board is another one by what tables print."""
        return self.rerun == self.cells and self.figure <= TOLERANCE


def confirm(board: Path, run: Path, progress: Progress | None = None) -> tuple[RerunFinding, ...]:
    """Compare the self-reported cells of a board with another run of them, cell by cell of the same id.

    Where every cell of a model on a protocol was run again and every headline figure made of them (the rows of
    `overall.csv`, `localisation.csv` and `prognosis.csv`: means, intervals, worst split, gap, counts) agrees within
    `TOLERANCE`, the row loses its mark and names code and day of the other run. The submitted scores stay.

    Returns:
        A finding for each model and protocol that the run has a cell of.

    Raises:
        SubmissionError: nothing to compare, or the run holds the submitted records themselves.
        RecordError, FileNotFoundError, ValueError: board or run cannot be read.
    """
    store, other = RunStore(board), RunStore(run)
    plan, submitted = store.read_plan(), store.submitted()
    waiting: dict[tuple[str, str, str], list[PlannedCell]] = defaultdict(list)
    for cell in plan.cells:
        source = submitted.get(cell.id)
        if source is not None and source.rerun is None and store.status(cell.id) is Status.DONE:
            waiting[cell.dataset, cell.protocol, cell.model].append(cell)
    if not waiting:
        raise SubmissionError(f"{board}: no row of it is self-reported; nothing to confirm")
    findings = []
    for group in waiting.values():
        shared = [cell for cell in group if other.status(cell.id) is Status.DONE]
        if not shared:
            continue
        finding = _compared(plan, group, shared, store, other)
        if finding.agrees:
            # Read before the mark goes: a second run cannot be told from the first by its files alone.
            submitted |= {cell.id: _confirmed(submitted[cell.id], other.read(cell.id)[0]) for cell in shared}
        findings.append(finding)
    if not findings:
        wanted = sum(map(len, waiting.values()))
        raise SubmissionError(f"{run}: has none of the {wanted} self-reported cells of {board}; run the same preset")
    if any(finding.agrees for finding in findings):
        write_submitted(board, submitted)
        write_boards(board, progress)
    return tuple(findings)


def _confirmed(cell: SubmittedCell, record: Record) -> SubmittedCell:
    return replace(cell, rerun=Rerun(str(record.run.get("git", "")), str(record.run.get("started", ""))[:10]))


def _compared(
    plan: Plan, group: Sequence[PlannedCell], shared: Sequence[PlannedCell], store: RunStore, other: RunStore
) -> RerunFinding:
    first = group[0]
    for cell in shared:
        ours, theirs = (s.folder(cell.id) / RECORD_FILE for s in (store, other))
        if ours.read_bytes() == theirs.read_bytes():
            raise SubmissionError(f"{theirs}: is the submitted record itself; run the cells, do not copy them")
    score = max(_score_difference(store.read(cell.id)[1], other.read(cell.id)[1]) for cell in shared)
    finding = RerunFinding(first.dataset, first.protocol, first.model, len(group), len(shared), score)
    # Of the shared cells alone, on both sides; a board of all would need scores of other models in the run.
    alone = Plan(plan.name, "", tuple(shared))
    figure, where = _largest(_figures(store, alone), _figures(other, alone))
    return replace(finding, figure=figure, where=where)


def _score_difference(ours: pd.DataFrame, theirs: pd.DataFrame) -> float:
    """The largest difference of two scores of the same row; infinite where the rows are not the same."""
    values = [name for name, kind in ours.dtypes.items() if kind == np.float64]
    if list(ours.columns) != list(theirs.columns) or not ours.drop(columns=values).equals(theirs.drop(columns=values)):
        return inf
    left, right = ours[values].to_numpy(), theirs[values].to_numpy()
    # What a forecast leaves open is NaN on both sides, and an endless one infinite: neither has a difference.
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    with np.errstate(invalid="ignore"):
        away = np.abs(left - right)
    return float(np.max(np.where(same, 0.0, np.nan_to_num(away, nan=inf)), initial=0.0))


def _figures(store: RunStore, plan: Plan) -> dict[str, list[dict[str, str]]]:
    boards = build_boards(store, plan)
    files = {
        "overall.csv": rows_bytes(boards.overall),
        "localisation.csv": localisation_bytes(boards.localisation),
        "prognosis.csv": prognosis_bytes(boards.prognosis),
    }
    return {name: list(csv.DictReader(io.StringIO(content.decode()))) for name, content in files.items()}


def _largest(ours: dict[str, list[dict[str, str]]], theirs: dict[str, list[dict[str, str]]]) -> tuple[float, str]:
    """The largest difference of a figure, and which it is by file, row and column."""
    worst, where = 0.0, ""
    for name, rows in ours.items():
        if len(rows) != len(theirs[name]):
            return inf, f"{name}: {len(rows)} rows submitted, {len(theirs[name])} run again"
        for row, found in zip(rows, theirs[name], strict=True):
            for column, value in row.items():
                difference = _difference(value, found[column])
                if difference > worst:
                    at = ", ".join(row[key] for key in ("split", "metric", "threshold") if row.get(key))
                    worst, where = difference, f"{name}: {at}: {column} {value} submitted, {found[column]} run again"
    return worst, where


def _difference(ours: str, theirs: str) -> float:
    if ours == theirs:
        return 0.0
    try:
        return abs(float(ours) - float(theirs))
    except ValueError:
        return inf
