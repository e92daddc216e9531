"""AUROC of every finished cell of a run's contamination boards, by how noise came in, rate, repeat and seed."""

from __future__ import annotations

import re
from collections import defaultdict

import pandas as pd

from reshift.results.clustered_auroc import auroc
from reshift.results.evaluation import evaluate
from reshift.results.record import RecordError
from reshift.results.scored_units import Level
from reshift.results.store import RunStore

UNITS = {"contamination": "whole parts", "views": "single views"}
"""What was injected, by what a protocol is called before its rate: `contamination-10`, `views-10`."""

BOARD = ["dataset", "unit", "rate"]
"""What names a board on the page."""

COLUMNS = [*BOARD, "repeat", "model", "seed", "auroc", "tested_share"]

_SPLIT = re.compile(r"rate=(?P<rate>[\d.]+)/(?P<repeat>repeat=\d+)")


def unit_of(protocol: str) -> str | None:
    """What a protocol of this name injects; None for one that is no contamination."""
    return UNITS.get(protocol.rpartition("-")[0])


def boards_in_order(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Data set and unit of each board in a frame: data sets as they come, whole parts before single views."""
    order = list(UNITS.values())
    datasets = list(dict.fromkeys(frame["dataset"]))
    found = {*frame[["dataset", "unit"]].itertuples(index=False, name=None)}
    return sorted(found, key=lambda board: (datasets.index(board[0]), order.index(board[1])))


def rate_and_repeat(split: str) -> tuple[float, str]:
    """(0.1, "repeat=0") of the split `rate=0.1/repeat=0`.

    Raises:
        ValueError: the name is not of this form.
    """
    if (found := _SPLIT.fullmatch(split)) is None:
        raise ValueError(f"split {split!r} names no rate and repeat; the page shows splits such as rate=0.1/repeat=0")
    return float(found["rate"]), found["repeat"]


def contamination_aurocs(store: RunStore) -> pd.DataFrame:
    """One row a finished cell, by its headline score, at the level that boards headline.

    Part level where every model of the protocol has it, else image level. A model of which any planned cell of a
    protocol is missing is left out there, as boards leave it blank.

    Returns:
        `COLUMNS`: dataset, unit (see `UNITS`), rate in [0, .5], repeat, model, seed, auroc in [0, 1], and tested_share,
        the share of the data set's images that the split tests.

    Raises:
        FileNotFoundError, ValueError: no plan, or one of another schema.
    """
    cells = [c for c in store.read_plan().cells if unit_of(c.protocol) and not c.not_applicable]
    found: dict[str, tuple[dict[Level, float], float]] = {}
    for cell in cells:
        try:
            record, scores = store.read(cell.id)
        except RecordError:
            continue
        levels = evaluate(record, scores)[0].levels
        images = sum(record.counts[f"{role}_images"] for role in ("train", "val", "test", "calibration"))
        share = record.counts["test_images"] / (images + record.counts["dropped"])
        found[cell.id] = ({name: auroc(s.test.label, s.test.score) for name, s in levels.items()}, share)
    families = defaultdict(list)
    for cell in cells:
        families[cell.dataset, cell.protocol].append(cell)
    rows = []
    for family in families.values():
        headline: Level = "part" if all("part" in found[c.id][0] for c in family if c.id in found) else "image"
        missing = {c.model for c in family if c.id not in found}
        for cell in family:
            if cell.model not in missing:
                aurocs, share = found[cell.id]
                # A model that sees all views of a part at once has no other level.
                value = aurocs.get(headline, aurocs.get("part"))
                where = (cell.dataset, unit_of(cell.protocol), *rate_and_repeat(cell.split))
                rows.append((*where, cell.model, cell.seed, value, share))
    return pd.DataFrame(rows, columns=COLUMNS)
