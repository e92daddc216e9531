"""Boards as CSV bytes: fixed columns, fixed order of rows, fixed number format."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import fields

from reshift.results.board_rows import MEAN, POOLED, WORST, Row
from reshift.results.csv_bytes import csv_bytes
from reshift.results.evaluation import LEVELS
from reshift.results.metrics import ALL, WORSE
from reshift.results.plan import Plan
from reshift.results.record import Record
from reshift.results.thresholds import GOOD_QUANTILE, HALF, MAX_F1

COLUMNS = tuple(f.name for f in fields(Row))
COST_COLUMNS = ("dataset", "model", "protocol", "device", "cells", "seconds_mean", "seconds_max", "peak_bytes_max")

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

    `seconds` and `peak_bytes` are read from the record's `run`; what was not measured is an empty field, not 0.
    """
    runs: dict[tuple[str, str, str, str], list[Record]] = defaultdict(list)
    for cell in plan.cells:
        if (record := records.get(cell.id)) is not None:
            runs[cell.dataset, cell.model, cell.protocol, str(record.run.get("device", ""))].append(record)
    lines: list[list[object]] = []
    for key, found in sorted(runs.items()):
        seconds = [float(r.run["seconds"]) for r in found if "seconds" in r.run]
        memory = [int(r.run["peak_bytes"]) for r in found if "peak_bytes" in r.run]
        mean = sum(seconds) / len(seconds) if seconds else None
        lines.append([*key, len(found), mean, max(seconds, default=None), max(memory, default=None)])
    return csv_bytes(COST_COLUMNS, lines)
