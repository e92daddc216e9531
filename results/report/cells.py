"""Every cell of a run as data for the page's script: what it was, how it ran, and what it left behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reshift.results.boards import Boards
from reshift.results.plan import PlannedCell, canonical_json
from reshift.results.record import Record
from reshift.results.report.views import CellPlaces
from reshift.results.store import Failure, Status

_OWN = {"seconds", "training_seconds", "started", "peak_bytes", "images_per_second_1", "images_per_second_32"}
"""What a record says of its run that differs from cell to cell, and is not worth a pool."""


class _Pool:
    """Values that many cells share, kept once and named by their place."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._places: dict[str, int] = {}

    def place(self, value: Any) -> int:
        text = canonical_json(value)
        if text not in self._places:
            self._places[text] = len(self.values)
            self.values.append(value)
        return self._places[text]


def cell_data(
    boards: Boards,
    places: CellPlaces,
    aurocs: Mapping[str, float],
    status: Mapping[str, Status],
    failures: Mapping[str, Failure],
    logs: Mapping[str, str],
) -> dict[str, Any]:
    """What `report.js` shows of each cell, as plain values for JSON.

    Configurations are taken apart into their top-level entries, of which cells share most, so that a cell takes some
    two hundred bytes. Weights of training rows and the names of removed samples stay in the record.

    Args:
        aurocs, status, failures, logs: by cell id; failures of the cells that failed, logs as `log_tails` gives them.

    Returns:
        `boards` ([data set, protocol]), `models`, `splits`: names by place; `configurations`, `counts`, `runs`: pools;
        `cells`: objects whose `at` is [board, model, split, seed] and whose other numbers name places in the pools.
    """
    configurations, counts, runs = _Pool(), _Pool(), _Pool()
    cells = []
    for planned in boards.plan.cells:
        found: dict[str, Any] = {"id": planned.id, "at": [*places.of(planned), planned.seed]}
        found["configuration"] = [configurations.place([key, value]) for key, value in sorted(planned.identity.items())]
        found["status"] = _state(planned, status)
        if planned.id in aurocs:
            found["auroc"] = round(aurocs[planned.id], 6)
        if (failure := failures.get(planned.id)) is not None:
            found["failure"] = f"{failure.kind}: {failure.message} ({failure.attempts}x)"
        if (record := boards.records.get(planned.id)) is not None:
            found |= _recorded(record, counts, runs)
        if planned.id in logs:
            found["log"] = logs[planned.id]
        cells.append(found)
    return {
        "boards": places.boards,
        "models": places.models,
        "splits": places.splits,
        "configurations": configurations.values,
        "counts": counts.values,
        "runs": runs.values,
        "cells": cells,
    }


def _state(planned: PlannedCell, status: Mapping[str, Status]) -> str:
    return f"not applicable: {planned.not_applicable}" if planned.not_applicable else status[planned.id].value


def _recorded(record: Record, counts: _Pool, runs: _Pool) -> dict[str, Any]:
    assert record.scores is not None
    training = record.training or {}
    found: dict[str, Any] = {
        "counts": counts.place(record.counts),
        "run": runs.place({key: value for key, value in record.run.items() if key not in _OWN}),
        "files": [record.scores.file, *sorted(record.attachments)],
        **{key: record.run[key] for key in sorted(_OWN & record.run.keys())},
    }
    if training.get("validation_losses"):
        found["losses"] = [[step, float(f"{loss:.5g}")] for step, loss in training["validation_losses"]]
    if training.get("best_step") is not None:
        found["best"] = training["best_step"]
    return found
