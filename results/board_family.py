"""All series of one data set and protocol: which there are, at which level they are compared, and their rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reshift.results.board_comparisons import gap_rows, tier_rows
from reshift.results.board_file import position, rows_bytes
from reshift.results.board_pooled import pooled_rows
from reshift.results.board_rows import MEAN, POOLED, WORST, Row, Series, protocol_rows, split_rows
from reshift.results.evaluation import model_label
from reshift.results.judged_cells import JudgedCells
from reshift.results.marks import marked
from reshift.results.metrics import ALL
from reshift.results.plan import Plan, PlannedCell
from reshift.results.record import Record
from reshift.results.scored_units import Level

HEAD = rows_bytes(())
"""The first line of every board."""


@dataclass(frozen=True)
class FamilyRows:
    """What boards show of one data set and protocol.

    Attributes:
        levels: the level at which each series is headed, by model.
        rows: those on all units, in the order of boards; tables and pages are made of these.
        lines: every row, those of components and defects too, as lines of the CSV without its head.
    """

    levels: Mapping[str, Level]
    rows: tuple[Row, ...]
    lines: bytes

    @property
    def headlines(self) -> Iterator[Row]:
        """The rows that stand on the board over all protocols."""
        return (row for row in self.rows if _is_headline(row, self.levels[row.model]))


def families(
    plan: Plan, judged: JudgedCells, records: Mapping[str, Record]
) -> dict[tuple[str, str], tuple[Series, ...]]:
    """The series of each data set and protocol, sorted by name; no score is read yet."""
    labels: dict[tuple[str, str], set[str]] = defaultdict(set)
    cells: dict[tuple[str, str], dict[str, list[PlannedCell]]] = defaultdict(lambda: defaultdict(list))
    for cell in plan.cells:
        if cell.not_applicable or cell.forecasts:
            continue
        cells[cell.dataset, cell.protocol][cell.model].append(cell)
        labels[cell.dataset, cell.model].add(cell.model)
        if (record := records.get(cell.id)) is not None and record.scores is not None:
            names = record.scores.names
            labels[cell.dataset, cell.model] |= {model_label(cell.model, names, name) for name in names}
    found: dict[tuple[str, str], tuple[Series, ...]] = {}
    for (dataset, protocol), by_model in sorted(cells.items()):
        title = marked(protocol, (cell for planned in by_model.values() for cell in planned))
        series = []
        for model, planned in sorted(by_model.items()):
            own = tuple(sorted(planned, key=lambda c: (c.split, c.seed)))
            for label in sorted(labels[dataset, model]):
                series.append(Series(dataset, label, title, own, judged.of_series(label, own)))
        found[dataset, protocol] = tuple(series)
    return found


def family_rows(family: Sequence[Series]) -> FamilyRows:
    """Judge the cells of a data set and protocol and lay out all rows."""
    headline = _headline_level(family)
    levels = {series.model: series.level(headline) for series in family}
    rows = [row for series in family for row in _series_rows(series, levels[series.model])]
    rows = sorted((*rows, *tier_rows(family, headline)), key=position)
    return FamilyRows(levels, tuple(row for row in rows if row.group == ALL), rows_bytes(rows).removeprefix(HEAD))


def _headline_level(family: Sequence[Series]) -> Level:
    """Part level where every model has it on every finished split, else image level."""
    every = [e for series in family for e in series.everything]
    return "part" if all("part" in e.levels for e in every) else "image"


def _series_rows(series: Series, level: Level) -> Iterator[Row]:
    by_split = list(split_rows(series, level))
    yield from by_split
    yield from protocol_rows(series, by_split)
    yield from pooled_rows(series)
    yield from gap_rows(series, level)


def _is_headline(row: Row, level: Level) -> bool:
    if row.split == POOLED:
        return row.level == level
    return row.level == level and row.split in (MEAN, WORST) and row.metric in ("auroc", "gap", "tier")
