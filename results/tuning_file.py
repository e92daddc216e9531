"""What tuning tried and chose, as CSV beside the boards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reshift.results.csv_bytes import csv_bytes
from reshift.results.plan import canonical_json
from reshift.results.record import Record

COLUMNS = ("dataset", "model", "protocol", "split", "seed", "trial", "changed", "validation", "chosen")


def tuning_bytes(records: Mapping[str, Record]) -> bytes | None:
    """One line a trial of every tuned cell, None where nothing was tuned.

    `changed` is what differs from the model's own arguments, `validation` what the choice was made by (lower is
    better: minus AUROC for models that learn from labels, else the validation loss).
    """
    lines = sorted(line for record in records.values() for line in _trials(record))
    return csv_bytes(COLUMNS, lines) if lines else None


def _trials(record: Record) -> Iterable[tuple[object, ...]]:
    training = record.training or {}
    cell = (record.dataset, record.model, record.protocol, record.split, record.seed)
    for number, trial in enumerate(training.get("trials", ())):
        yield *cell, number, canonical_json(trial["args"]), float(trial["value"]), int(number == training["chosen"])
