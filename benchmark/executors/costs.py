"""Which bundles to begin first so that no long one is left for the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from statistics import mean

from reshift.benchmark.executor import Bundle
from reshift.results.record import Record, RecordError, read_header
from reshift.results.store import RunStore


def recorded_seconds(store: RunStore, models: Iterable[str]) -> dict[str, float]:
    """Mean seconds a cell of these models took: in this run or, for models it has no record of, in those beside it.

    Models nobody has a record of are absent.
    """
    wanted = set(models)
    found = _means(readable_records(store.path), wanted)
    if missing := wanted - set(found):
        others = sorted(path for path in store.path.parent.glob("*/cells") if path.parent != store.path)
        found |= _means(chain.from_iterable(readable_records(path.parent) for path in others), missing)
    return found


def longest_first(groups: Sequence[Bundle], seconds: dict[str, float]) -> list[Bundle]:
    """Bundles by what their cells should cost together, ties in the given order; an unknown model costs the mean."""
    unknown = mean(seconds.values()) if seconds else 1.0
    return sorted(groups, key=lambda bundle: -sum(seconds.get(cell.model, unknown) for cell in bundle))


def readable_records(run: Path) -> Iterable[Record]:
    """The records of a run folder; damaged ones are left out, as an estimate can do without."""
    for path in sorted(run.glob("cells/*/record.json")):
        try:
            yield read_header(path.parent)
        except RecordError:
            continue


def _means(records: Iterable[Record], models: set[str]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for record in records:
        if record.model in models:
            found.setdefault(record.model, []).append(float(record.run["seconds"]))
    return {model: mean(values) for model, values in found.items()}
