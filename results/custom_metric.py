"""A metric of one's own, judged from the stored scores of a run: by split, their mean, and an interval over parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from math import isfinite, nan

import numpy as np

from reshift.results.board_family import families
from reshift.results.board_rows import MEAN, Series
from reshift.results.boards import Progress
from reshift.results.csv_bytes import csv_bytes
from reshift.results.evaluation import LEVELS
from reshift.results.judged_cells import JudgedCells, checked_record
from reshift.results.part_bootstrap import part_bootstrap
from reshift.results.plan import Plan
from reshift.results.record import RECORD_FILE
from reshift.results.scored_units import Floats, Labels, Level, Units
from reshift.results.statistics import Interval
from reshift.results.store import RunStore

Metric = Callable[[Labels, Floats], float]
RESAMPLES = 1000


class MetricError(ValueError):
    """A metric that fails or gives no number; one line with the cell it was asked for."""


@dataclass(frozen=True)
class MetricRow:
    """One line of `custom-<name>.csv`; None prints as nothing."""

    dataset: str
    model: str
    protocol: str
    split: str
    level: Level
    metric: str
    n_seeds: int
    n_parts: int
    mean: float | None
    part_low: float | None
    part_high: float | None
    coverage: str


def metric_rows(
    store: RunStore,
    plan: Plan,
    name: str,
    metric: Metric,
    resamples: int = RESAMPLES,
    progress: Progress | None = None,
) -> Iterator[MetricRow]:
    """Judge every model of a run by a metric, data set by data set, protocol by protocol.

    Args:
        metric: labels (n,) int64, 1 = defective, and scores (n,) float64, higher = more defective and only their order
            meant, of the test images or parts of one cell, to a number. NaN says that it is undefined there.
        resamples: draws of parts for the interval of each mean over splits.
        progress: told how many rows of boards are judged, of how many.

    Raises:
        MetricError: the metric raises, or returns something else than a number.
        RecordError: a record is damaged.
    """
    finished = [
        cell.id
        for cell in plan.cells
        if not cell.not_applicable and not cell.forecasts and (store.folder(cell.id) / RECORD_FILE).exists()
    ]
    records = {cell: checked_record(store, cell) for cell in finished}
    rows = [series for family in families(plan, JudgedCells(store, records), records).values() for series in family]
    for done, series in enumerate(rows, start=1):
        for level in LEVELS:
            if series.everything and all(level in found.levels for found in series.everything):
                yield from _series_rows(series, level, name, metric, resamples)
        if progress is not None:
            progress(done, len(rows))


def metric_bytes(rows: Sequence[MetricRow]) -> bytes:
    """The CSV of these rows."""
    columns = tuple(field.name for field in fields(MetricRow))
    return csv_bytes(columns, ([getattr(row, column) for column in columns] for row in rows))


def _series_rows(series: Series, level: Level, name: str, metric: Metric, resamples: int) -> Iterator[MetricRow]:
    """The mean over splits, blank unless every cell is finished and defined, then each split's mean over its seeds."""

    def judged(units: Units, split: str) -> float:
        try:
            value = float(metric(units.label.copy(), units.score.copy()))
        except Exception as error:
            said = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise MetricError(f"{name} on {series.protocol}/{split}, {series.model}: {said}") from error
        return value if isfinite(value) else nan

    tests = {split: [found.levels[level].test for found in series.at(split)] for split in series.splits}
    values = {split: [judged(units, split) for units in units_of] for split, units_of in tests.items()}

    def mean_of(draw: Callable[[str, Units], Units]) -> float:
        return float(np.mean([np.mean([judged(draw(s, u), s) for u in units]) for s, units in tests.items()]))

    def row(split: str, mean: float, among: Sequence[str], interval: Interval | None = None) -> MetricRow:
        planned = sum(len(series.splits[s]) for s in among)
        present = sum(len(tests[s]) for s in among)
        low, high = interval or (None, None)
        return MetricRow(
            dataset=series.dataset,
            model=series.model,
            protocol=series.protocol,
            split=split,
            level=level,
            metric=name,
            n_seeds=max(len(tests[s]) for s in among),
            n_parts=len({part for s in among for units in tests[s] for part in units.part.tolist()}),
            mean=mean if present == planned and isfinite(mean) else None,
            part_low=low,
            part_high=high,
            coverage=f"{present}/{planned}",
        )

    by_split = {split: float(np.mean(found)) if found else nan for split, found in values.items()}
    mean = float(np.mean(list(by_split.values())))
    interval = part_bootstrap(tests, mean_of, resamples) if series.complete and isfinite(mean) else None
    yield row(MEAN, mean, list(tests), interval)
    yield from (row(split, value, [split]) for split, value in by_split.items())
