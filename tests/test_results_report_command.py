"""`reshift report` on a run whose pictures can be read, cannot be read, or are not wanted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from jsonargparse import ArgumentParser, Namespace

from reshift.benchmark.report_command import SIDE, add_commands, report, view_jpegs
from reshift.benchmark.request import UsageError
from reshift.datamodules.manifest import Manifest
from reshift.results.plan import Plan, PlannedCell
from reshift.results.record import Record
from reshift.results.store import RunStore
from reshift.splits.samples import fingerprint


def arguments(run: Path, *more: str) -> Namespace:
    """What the command line makes of it, four pictures wanted unless said otherwise."""
    parsers: list[ArgumentParser] = []

    def add(name: str, action: Callable[[Namespace], int], help: str, example: str) -> ArgumentParser:
        parsers.append(ArgumentParser())
        return parsers[-1]

    add_commands(add)
    return parsers[0].parse_args([str(run), "--pictures", "4", *more])


@pytest.fixture
def run(parts_manifest: Path, tmp_path: Path) -> Path:
    """A run over the parts of a manifest: one cell that calls everything the wrong way round."""
    dataset = Manifest(csv=parts_manifest).read()
    identity = {"dataset": {"fingerprint": fingerprint(dataset.table)}}
    cell = PlannedCell("c0", identity, dataset.name, "model", "in_distribution", "fold=0", 0)
    store = RunStore(tmp_path / "runs" / "mine")
    store.write_plan(Plan("mine", "h", (cell,)))
    table = dataset.table[["sample", "part", "view", "label", "component", "defect"]]
    scores = table.assign(observed_label=table["label"], role="test", transmission="", acquisition="")
    drawn = np.random.default_rng(0).random(len(scores)) - 2.0 * scores["label"]
    both = pd.concat([scores, scores.assign(role="val")]).assign(**{"score:nll": [*drawn, *drawn]})
    store.write(Record.of(cell, "image", {}, {}), both)
    return store.path


def test_every_view_of_a_wrong_part_is_embedded(
    run: Path, parts_manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(arguments(run, "--manifest", str(parts_manifest))) == 0
    told = capsys.readouterr()
    assert f"report: {run / 'report' / 'index.html'}" in told.out
    assert told.err == "maps left out: model: no weights of its cells are kept\n"
    page = (run / "report" / "index.html").read_text(encoding="utf-8")
    assert page.count('src="data:image/jpeg;base64,') == 4 * 2
    assert "Without maps: model: no weights of its cells are kept." in page


def test_views_are_small_jpegs_in_order(parts_manifest: Path) -> None:
    dataset = Manifest(csv=parts_manifest).read()
    views = [cv2.imdecode(np.frombuffer(v, np.uint8), cv2.IMREAD_COLOR) for v in view_jpegs(dataset, "p2")]
    assert [v.shape for v in views] == [(SIDE, SIDE, 3)] * 2
    for view, name in zip(views, ("p002_0.png", "p002_1.png"), strict=True):
        own = cv2.resize(cv2.imread(str(parts_manifest.parent / name)), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        assert np.abs(view.astype(int) - own).mean() < 12


def test_pictures_can_be_left_out(run: Path, parts_manifest: Path) -> None:
    assert report(arguments(run, "--manifest", str(parts_manifest), "--no-pictures")) == 0
    page = (run / "report" / "index.html").read_text(encoding="utf-8")
    assert "image/jpeg" not in page
    assert "Most wrong parts" in page


def test_other_data_than_the_run_s_give_no_pictures(
    run: Path, parts_manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = parts_manifest.read_text(encoding="utf-8").splitlines()
    parts_manifest.write_text("\n".join(lines[:-2]) + "\n", encoding="utf-8")
    assert report(arguments(run, "--manifest", str(parts_manifest))) == 0
    assert "not the pictures this run was planned on" in capsys.readouterr().err
    assert "image/jpeg" not in (run / "report" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("source", "said"), [((), "give --preset"), (("--manifest", "gone.csv"), "gone.csv")])
def test_data_that_cannot_be_read_cost_pictures_only(
    run: Path, source: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(arguments(run, *source)) == 0
    assert said in capsys.readouterr().err
    assert (run / "report" / "index.html").exists()


def test_a_negative_number_of_pictures_is_refused(run: Path) -> None:
    with pytest.raises(UsageError, match="--pictures -1"):
        report(arguments(run, "--pictures=-1"))


def test_a_run_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a run folder"):
        report(arguments(tmp_path / "none"))
