"""What refinement removed round by round, good and bad: Table 2 of Aqeel et al. (arXiv 2408.11561), by round."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from reshift.results.boards import Boards
from reshift.results.plan import PlannedCell
from reshift.results.record import Record, read_columns
from reshift.results.report.html import cell, heading, link, row, table, text
from reshift.results.report.views import CellPlaces
from reshift.results.store import RunStore

Truth = Mapping[tuple[str, str], int]
"""True label by data set and sample."""


def removed_by_round(record: Record, truth: Truth) -> list[tuple[int, int, int]]:
    """Good, bad and unknown samples that each round removed.

    No cell of the run tests an unknown one. They have a label after all where the record, which counts the bad ones of
    all rounds together, leaves only one.
    """
    refinement = record.refinement or {}
    removed = [found["removed"] for found in refinement.get("rounds", ())]
    rounds = [[truth.get((record.dataset, name)) for name in names] for names in removed]
    labels = [label for found in rounds for label in found]
    bad_left = refinement["quality"]["bad_removed"] - labels.count(1) if "quality" in refinement else None
    left = {0: 0, labels.count(None): 1}.get(bad_left) if bad_left is not None else None
    rounds = [[left if label is None else label for label in found] for found in rounds]
    return [(found.count(0), found.count(1), found.count(None)) for found in rounds]


def true_labels(store: RunStore, records: Iterable[Record]) -> dict[tuple[str, str], int]:
    """Labels of the removed samples, as the scores files of other cells, which test them, give them.

    Records say how many bad ones went in all, not which: a scores file holds no training rows.
    """
    records = list(records)
    wanted: dict[str, set[str]] = defaultdict(set)
    for record in records:
        for found in (record.refinement or {}).get("rounds", ()):
            wanted[record.dataset] |= set(found["removed"])
    truth: dict[tuple[str, str], int] = {}
    read: set[tuple[str, str, str]] = set()
    for record in records:
        open_samples, place = wanted[record.dataset], (record.dataset, record.protocol, record.split)
        # Parts are rows of a multi-view model: its samples are no images. All models test the same rows of a split.
        if not open_samples or record.unit != "image" or place in read:
            continue
        read.add(place)
        columns = read_columns(store.folder(record.cell), record)
        for number in np.flatnonzero(np.isin(columns["sample"], sorted(open_samples))):
            sample = str(columns["sample"][number])
            truth[record.dataset, sample] = int(columns["label"][number])
            open_samples.discard(sample)
    return truth


def rounds_table(boards: Boards, truth: Truth, places: CellPlaces) -> str:
    """A line a data set, protocol and model that removed anything: good and bad by round, mean over its cells."""
    planned = {c.id: c for c in boards.plan.cells}
    families: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for _, record in sorted(boards.records.items()):
        if any(found["removed"] for found in (record.refinement or {}).get("rounds", ())):
            families[record.dataset, record.protocol, record.model].append(record)
    if not families:
        return ""
    longest = max(len(r.refinement["rounds"]) for own in families.values() for r in own if r.refinement)
    rows = [_line(boards, own, planned[own[0].cell], truth, places, longest) for _, own in sorted(families.items())]
    head = ["model", "data", "protocol", "cells", "injected", "bad", "good"]
    head += [f"round {n + 1}" for n in range(longest)]
    return (
        "<p>Images removed from training, mean over cells: <strong>bad</strong> (wrongly called good, rightly removed) "
        "<strong>+ good</strong> ones lost with them, in all and by round. “?” are images that no cell tests, of which "
        "this run's files do not say what they are.</p>" + table(head, rows)
    )


def _line(boards: Boards, own: list[Record], first: PlannedCell, truth: Truth, places: CellPlaces, longest: int) -> str:
    by_round = np.zeros((longest, 3))
    for record in own:
        for number, counts in enumerate(removed_by_round(record, truth)):
            by_round[number] += counts
    by_round /= len(own)
    totals = [np.mean([(r.refinement or {}).get("quality", {}).get(name, np.nan) for r in own]) for name in _TOTALS]
    target = places.target(places.board(first.dataset, first.protocol), first.model)
    shown = boards.marked_model(first.model, first.dataset, first.protocol)
    cells = [heading(text(shown)), cell(text(first.dataset)), cell(text(first.protocol))]
    cells += [cell(link(target, str(len(own))), len(own))]
    cells += [cell("" if np.isnan(v) else f"{v:.1f}", "" if np.isnan(v) else round(float(v), 6)) for v in totals]
    cells += [cell(_counts(*counts), round(float(counts[1]), 6)) for counts in by_round]
    return row(first.model, cells)


_TOTALS = ("bad_injected", "bad_removed", "good_removed")


def _counts(good: float, bad: float, unknown: float) -> str:
    if not good + bad + unknown:
        return ""
    more = f" + {unknown:.1f} ?" if unknown else ""
    return f"{bad:.1f} + {good:.1f}{more}"
