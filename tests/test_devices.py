"""What differs across devices: differences by hand, settings that reach the process, and the page's table."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sklearn.metrics import roc_auc_score

from reshift.benchmark.devices.__main__ import compute
from reshift.benchmark.devices.cells import write_study
from reshift.benchmark.devices.difference import Difference, differences, headline_scores
from reshift.benchmark.devices.precision import lines
from reshift.benchmark.devices.settings import ON_CPU, STANDARD, Setting
from reshift.benchmark.devices.table import device_tables
from reshift.benchmark.fuzz.small_run import write_small_run
from reshift.results.front_table import replace_between
from reshift.results.plan import identity_hash
from reshift.results.store import RunStore

ROOT = Path(__file__).parents[1]


def test_the_largest_difference_is_told_as_a_share_of_the_range(tmp_path: Path) -> None:
    one, other = write_small_run(tmp_path / "one"), write_small_run(tmp_path / "other")
    assert set(differences(one, other).values()) == {Difference(0.0, 0.0)}
    cell = one.read_plan().cells[0]
    record, scores = other.read(cell.id)
    assert record.scores is not None
    column, test = f"score:{record.scores.names[0]}", scores["role"] == "test"
    lowest = scores.loc[test, column].idxmin()
    span = scores.loc[test, column].max() - scores.loc[test, column].min()
    scores.loc[lowest, column] += 2 * span
    other.write(record, scores)
    found = differences(one, other)[cell.model]
    assert found.score == pytest.approx(2, rel=1e-5)
    # The lowest of all is now the highest: it has changed places with every unit of the other class.
    own = scores.loc[lowest, "label"]
    others = scores.loc[test & (scores["label"] != own)]
    same = (scores.loc[test, "label"] == own).sum()
    assert found.auroc == pytest.approx(len(others) / (len(others) * same))


def test_runs_of_other_cells_are_not_compared(tmp_path: Path) -> None:
    one, other = write_small_run(tmp_path / "one"), write_small_run(tmp_path / "other")
    plan = other.read_plan()
    other.write_plan(replace(plan, cells=plan.cells[1:]))
    with pytest.raises(ValueError, match="not the same cells; compare two runs of one preset"):
        differences(one, other)


def test_a_setting_reaches_the_process_before_torch_does(tmp_path: Path) -> None:
    write_study(tmp_path, 24, 1)
    text = (tmp_path / "study.yaml").read_text()
    head, _, models = text.partition("models:\n")
    (tmp_path / "study.yaml").write_text(head + "models:\n" + models.splitlines()[0] + "\n")
    run = compute(tmp_path, 0, STANDARD, ON_CPU[STANDARD])
    assert differences(run, RunStore(run.path)) == {"classifier": Difference(0.0, 0.0)}
    with pytest.raises(RuntimeError, match=r"setting 'none such' did not finish: .*none-such"):
        compute(tmp_path, 1, "none such", Setting(device="none-such"))


def test_the_page_shows_what_was_measured() -> None:
    page = (ROOT / "docs/trust.md").read_text(encoding="utf-8")
    assert replace_between(page, "devices", device_tables(ROOT / "results/devices")) == page


def test_the_table_says_whether_a_gpu_was_measured(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="`make devices` makes them"):
        device_tables(tmp_path)
    machine = {"processor": "P", "accelerator": "", "versions": {"torch": "2"}}
    moved = {"2 threads": {"m": {"score": 0.0, "auroc": 0.0}, "n": {"score": 2e-6, "auroc": 0.004}}}
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"hardware": machine, "moved": moved}))
    lines = device_tables(tmp_path)
    assert "2e-06 / 0.004" in lines[-3] and lines[-3].split("|")[2].strip() == "-"
    assert lines[-1].startswith("A GPU against the CPU was not measured")
    path.write_text(
        json.dumps({"hardware": {**machine, "accelerator": "G"}, "moved": {**moved, "GPU": moved["2 threads"]}})
    )
    assert not any("not measured" in line for line in device_tables(tmp_path))


def test_precisions_are_compared_cell_by_cell_whatever_their_ids(tmp_path: Path) -> None:
    exact, rough = write_small_run(tmp_path / "exact"), write_small_run(tmp_path / "rough")
    cell = exact.read_plan().cells[0]
    record, scores = rough.read(cell.id)
    assert record.scores is not None
    column = f"score:{record.scores.names[0]}"
    turned = {**record.identity, "precision": "bf16"}
    other = replace(cell, id=identity_hash(turned), identity=turned)
    rough.write_plan(replace(rough.read_plan(), cells=(other, *exact.read_plan().cells[1:])))
    scores[column] = -scores[column]
    rough.write(replace(record, cell=other.id, identity=turned), scores)
    label, score = headline_scores(exact, cell.id)
    said = next(line for line in lines(exact, rough) if line.startswith(f"{cell.model}:"))
    assert f"{1 - 2 * roc_auc_score(label, score):+.4f}" in said
    assert said.endswith("rank correlation at least -1.0000")
    rough.write_plan(replace(rough.read_plan(), cells=exact.read_plan().cells[1:]))
    with pytest.raises(ValueError, match="compare runs of one preset"):
        lines(exact, rough)
