"""Longest bundles first, by what cells of the same model took before."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from reshift.benchmark.executors.costs import longest_first, recorded_seconds
from reshift.results.plan import PlannedCell
from reshift.results.record import Record
from reshift.results.store import RunStore


def cell(name: str, model: str) -> PlannedCell:
    return PlannedCell(name, {}, "d", model, "p", "s", 0)


def finish(store: RunStore, name: str, model: str, seconds: float) -> None:
    scores = pd.DataFrame(
        {
            "sample": ["a.png"],
            "part": ["a"],
            "view": [""],
            "role": ["test"],
            "label": [0],
            "observed_label": [0],
            "component": [""],
            "defect": [""],
            "transmission": [""],
            "acquisition": [""],
            "score:x": [0.5],
        }
    )
    record = Record(name, {}, "d", model, "p", "s", 0, unit="image", run={"seconds": seconds})
    store.write(record, scores)


def test_seconds_come_from_this_run_and_else_from_those_beside_it(tmp_path: Path) -> None:
    here, beside = RunStore(tmp_path / "here"), RunStore(tmp_path / "beside")
    finish(here, "c1", "flow", 10)
    finish(here, "c2", "flow", 20)
    finish(beside, "c3", "flow", 900)
    finish(beside, "c4", "probe", 3)
    (beside.folder("c5")).mkdir()
    (beside.folder("c5") / "record.json").write_text("torn", encoding="utf-8")
    assert recorded_seconds(here, ["flow", "probe", "new"]) == {"flow": pytest.approx(15), "probe": pytest.approx(3)}


def test_bundles_are_begun_by_their_sum_and_ties_keep_their_order() -> None:
    short, flow, both, new = [cell("a", "probe")], [cell("b", "flow")], [cell("c", "probe")] * 6, [cell("d", "new")]
    seconds = {"flow": 15.0, "probe": 3.0}  # a cell of model "new" costs their mean, 9
    assert longest_first([short, new, flow, both], seconds) == [both, flow, new, short]
    assert longest_first([short, flow], {}) == [short, flow]
