"""What refinement removed, good and bad, as Table 2 of Aqeel et al. (Iterative Refinement Process) counts it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from operator import add

from reshift.results.csv_bytes import csv_bytes
from reshift.results.record import Record

COLUMNS = ("dataset", "model", "protocol", "cells", "bad_injected", "bad_removed", "good_removed")

Counts = tuple[int, ...]
"""The last four of `COLUMNS`."""


def removals(records: Mapping[str, Record]) -> dict[tuple[str, str, str], Counts]:
    """Counts by data set, model and protocol, over the finished cells of models that removed anything."""
    found: dict[tuple[str, str, str], Counts] = defaultdict(lambda: (0, 0, 0, 0))
    for record in records.values():
        quality = (record.refinement or {}).get("quality")
        if quality:
            key = (record.dataset, record.model, record.protocol)
            counts = (1, quality["bad_injected"], quality["bad_removed"], quality["good_removed"])
            found[key] = tuple(map(add, found[key], counts))
    return {key: counts for key, counts in sorted(found.items()) if any(counts[2:])}


def removal_bytes(records: Mapping[str, Record]) -> bytes | None:
    """`removals.csv`, or None where nothing was removed."""
    found = removals(records)
    return csv_bytes(COLUMNS, ((*key, *counts) for key, counts in found.items())) if found else None
