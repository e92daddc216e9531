"""Boards as CSV bytes: fixed columns, fixed order of rows, fixed number format."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from statistics import fmean, median
from typing import Any

from reshift.results.board_rows import MEAN, POOLED, WORST, Row
from reshift.results.csv_bytes import csv_bytes
from reshift.results.evaluation import LEVELS
from reshift.results.metrics import ALL, WORSE
from reshift.results.plan import Plan
from reshift.results.record import Record
from reshift.results.thresholds import GOOD_QUANTILE, HALF, MAX_F1

COLUMNS = tuple(f.name for f in fields(Row))
COST_COLUMNS = (
    *("dataset", "model", "protocol", "device", "cells"),
    *("seconds_mean", "seconds_max", "training_seconds_mean", "training_seconds_max"),
    *("images_per_second_1", "images_per_second_32", "parameters", "trained_parameters", "flops", "peak_bytes_max"),
)

_SUMMARIES = (MEAN, WORST, POOLED)
_METRICS = tuple(WORSE)
_THRESHOLDS = ("", GOOD_QUANTILE, HALF, MAX_F1)


def position(row: Row) -> tuple[object, ...]:
    """Sort key of a row: data set, protocol, model, summaries before splits, all units before groups, part first."""
    summary = _SUMMARIES.index(row.split) if row.split in _SUMMARIES else len(_SUMMARIES)
    return (
        row.dataset,
        row.protocol,
        row.model,
        summary,
        row.split,
        row.group != ALL,
        row.group,
        LEVELS.index(row.level),
        _METRICS.index(row.metric),
        _THRESHOLDS.index(row.threshold),
    )


def rows_bytes(rows: Iterable[Row]) -> bytes:
    """The CSV of a board: utf-8, `\\n`, six decimals; a missing number is an empty field."""
    return csv_bytes(COLUMNS, ([getattr(row, column) for column in COLUMNS] for row in rows))


def cost_bytes(plan: Plan, records: Mapping[str, Record]) -> bytes:
    """The CSV of measured costs, per data set, model, protocol and device.

    Figures are read from each record's `run`; one that no record has is an empty field, not 0. Times have their mean
    and maximum over the cells that measured them: `seconds` over all, `training_seconds` over those that trained and
    did not take over a model or a first phase of training whole. Throughput is the median, sizes and memory the
    maximum.
    """
    runs: dict[tuple[str, str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for cell in plan.cells:
        if (record := records.get(cell.id)) is not None:
            runs[cell.dataset, cell.model, cell.protocol, str(record.run.get("device", ""))].append(record.run)
    return csv_bytes(COST_COLUMNS, ([*key, len(found), *_costs(found)] for key, found in sorted(runs.items())))


def _costs(runs: Sequence[Mapping[str, Any]]) -> list[float | int | None]:
    def over(summary: Callable[[list[Any]], Any], name: str) -> Any:
        found = [run[name] for run in runs if name in run]
        return summary(found) if found else None

    return [
        over(fmean, "seconds"),
        over(max, "seconds"),
        over(fmean, "training_seconds"),
        over(max, "training_seconds"),
        over(median, "images_per_second_1"),
        over(median, "images_per_second_32"),
        over(max, "parameters"),
        over(max, "trained_parameters"),
        over(max, "flops"),
        over(max, "peak_bytes"),
    ]
