"""Boards of a run, rebuilt from its plan and records: one per protocol, one over all, one of costs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reshift.results.board_comparisons import gap_rows, tier_rows
from reshift.results.board_file import cost_bytes, position, rows_bytes
from reshift.results.board_pooled import pooled_rows
from reshift.results.board_rows import MEAN, POOLED, WORST, Row, Series, protocol_rows, split_rows
from reshift.results.evaluation import Evaluation, evaluate, model_label
from reshift.results.metrics import ALL
from reshift.results.plan import Plan, PlannedCell
from reshift.results.published import published_bytes
from reshift.results.rank_test import rank_bytes
from reshift.results.record import Record, RecordError
from reshift.results.removals import removal_bytes
from reshift.results.scored_units import Level
from reshift.results.store import RunStore
from reshift.results.tuning_file import tuning_bytes

OVERALL = "overall"


@dataclass(frozen=True)
class Boards:
    """Everything a run's boards show.

    Attributes:
        protocols: rows by protocol name (unmarked), every split, group and metric.
        overall: headline rows of every data set, model and protocol.
        records: headers of the finished cells by cell id, for `cost.csv`.
        problems: one line a record that could not be read; its cell counts as missing.
    """

    plan: Plan
    protocols: Mapping[str, tuple[Row, ...]]
    overall: tuple[Row, ...]
    records: Mapping[str, Record]
    problems: tuple[str, ...]

    def files(self) -> dict[str, bytes]:
        """The CSVs by file name; all but `cost.csv` depend on plan and scores alone, to the byte."""
        named = {f"{file_name(p)}.csv": rows_bytes(rows) for p, rows in self.protocols.items()}
        files = {**named, f"{OVERALL}.csv": rows_bytes(self.overall), "cost.csv": cost_bytes(self.plan, self.records)}
        for name, content in (
            ("tuning.csv", tuning_bytes(self.records)),
            ("removals.csv", removal_bytes(self.records)),
            ("ranks.csv", rank_bytes(self.overall, {cell.model for cell in self.plan.cells})),
        ):
            if content is not None:
                files[name] = content
        if self.plan.published:
            files["published.csv"] = published_bytes(self.plan.published, self.overall)
        return files


def file_name(protocol: str) -> str:
    """A protocol's name with everything but letters, digits and ._=+- replaced."""
    return re.sub(r"[^\w.=+-]+", "_", protocol)


def marked(protocol: str, cells: Iterable[PlannedCell]) -> str:
    """The protocol as boards print it: what it breaks stands in its name, so no row can be read without it."""
    broken = sorted({invariant for c in cells if not c.control_of for invariant in c.breaks})
    return f"{protocol} [breaks: {', '.join(broken)}]" if broken else protocol


def build_boards(store: RunStore, plan: Plan) -> Boards:
    """Judge every finished cell of the plan and lay out the boards.

    Cells are read one by one and in the order of their ids; who wrote them, when, and in which order plays no part.
    A missing cell leaves its rows blank and its protocol without mean, worst split, gap and tier.
    """
    evaluations: dict[str, list[Evaluation]] = {}
    records: dict[str, Record] = {}
    problems: list[str] = []
    for cell in sorted(plan.cells, key=lambda c: c.id):
        if cell.not_applicable or not (store.folder(cell.id) / "record.json").exists():
            continue
        try:
            records[cell.id], scores = store.read(cell.id)
        except RecordError as error:
            problems.append(str(error))
            continue
        evaluations[cell.id] = evaluate(records[cell.id], scores)
    protocols: dict[str, list[Row]] = defaultdict(list)
    overall: list[Row] = []
    for (_, protocol), family in _families(plan, evaluations, records).items():
        headline = _headline_level(family)
        levels = {series.model: series.level(headline) for series in family}
        rows = [row for series in family for row in _series_rows(series, levels[series.model])]
        rows += tier_rows(family, headline)
        protocols[protocol] += rows
        overall += [row for row in rows if _is_headline(row, levels[row.model])]
    by_name = {name: tuple(sorted(rows, key=position)) for name, rows in sorted(protocols.items())}
    return Boards(plan, by_name, tuple(sorted(overall, key=position)), records, tuple(problems))


def _families(
    plan: Plan, evaluations: Mapping[str, list[Evaluation]], records: Mapping[str, Record]
) -> dict[tuple[str, str], list[Series]]:
    """The series of each data set and protocol, sorted by name."""
    labels: dict[tuple[str, str], set[str]] = defaultdict(set)
    cells: dict[tuple[str, str], list[PlannedCell]] = defaultdict(list)
    for cell in plan.cells:
        if cell.not_applicable:
            continue
        cells[cell.dataset, cell.protocol].append(cell)
        labels[cell.dataset, cell.model].add(cell.model)
        if (record := records.get(cell.id)) is not None and record.scores is not None:
            names = record.scores.names
            labels[cell.dataset, cell.model] |= {model_label(cell.model, names, name) for name in names}
    families: dict[tuple[str, str], list[Series]] = {}
    for (dataset, protocol), planned in sorted(cells.items()):
        title = marked(protocol, planned)
        families[dataset, protocol] = []
        for model in sorted({c.model for c in planned}):
            own = tuple(sorted((c for c in planned if c.model == model), key=lambda c: (c.split, c.seed)))
            for label in sorted(labels[dataset, model]):
                found = {(c.split, c.seed): e for c in own for e in evaluations.get(c.id, ()) if e.model == label}
                families[dataset, protocol].append(Series(dataset, label, title, own, found))
    return families


def _headline_level(family: list[Series]) -> Level:
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
    if row.group != ALL or row.level != level:
        return False
    if row.split == POOLED:
        return True
    return row.split in (MEAN, WORST) and row.metric in ("auroc", "gap", "tier")
