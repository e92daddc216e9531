"""The page on scale shows what was counted and measured, and its arithmetic holds against hand-worked cases."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reshift.benchmark.preset import ModelSpec, ProtocolSpec
from reshift.benchmark.speed import scale_models
from reshift.benchmark.speed.scale import rendered
from reshift.benchmark.speed.scale_costs import Scale, bank_patches, feature_entries, looks, model_total
from reshift.benchmark.speed.scale_limits import Resource, Term, sorted_by_break
from reshift.benchmark.speed.scale_models import measure_model
from reshift.benchmark.speed.scale_of_cells import cell_resources
from reshift.benchmark.speed.scale_of_data import data_resources
from reshift.benchmark.speed.scale_pieces import measure_boards, measure_records
from reshift.benchmark.speed.scale_study import StudyTable, count_cells, count_protocol, study
from reshift.benchmark.speed.scale_tables import page_blocks, size_text, time_text
from reshift.benchmark.speed.scale_work import ModelUnits, Work, work_of
from reshift.benchmark.world import World

HERE = Path(__file__).resolve().parents[1]
PAGE, COSTS = HERE / "docs" / "scale.md", HERE / "results" / "speed" / "scale.json"
SMALL = {"backbone": "test_efficientnet", "weights": "none"}

PROTOCOL = {
    "protocol": "folds",
    "splits": 2,
    "train": 100,
    "train_good": 60,
    "train_good_squares": 1800,
    "largest_train": 50,
    "largest_train_good": 30,
    "val": 20,
    "val_good": 12,
    "test": 40,
}
FLOW = ModelUnits(
    "flow",
    "gradient",
    True,
    0.0,
    1,
    8,
    "net",
    10,
    (1, 4),
    Work(100, 2),
    Work(3, 0.5),
    Work(0, 7),
    Work(1, 0.1),
    Work(4, 1),
)
NET = ModelUnits("net", "gradient", False, 0.5, 5, 6, step=Work(9, 1), watch=Work(2, 1), score=Work(2, 1))
BANK = ModelUnits(
    "patchcore", "fit", True, 0.0, 1, 0, "net", 10, (1,), Work(100, 2),
    score=Work(10, 1), fit=Work(2, 0.5), bank=5, patches=4, share=0.25,
)  # fmt: skip
PROBE = ModelUnits("logistic_probe", "fit", False, 0.0, 1, 0, "net", 10, (1,), Work(100, 2), fit=Work(0, 0.25))


@pytest.fixture
def scale() -> Scale:
    names = ("flow", "net", "patchcore", "logistic_probe")
    counted = {
        "images": 160, "parts": 32, "components": 2, "defective_images": 30, "protocols": [PROTOCOL],
        "cells": dict.fromkeys(names[:2], 6) | dict.fromkeys(names[2:], 2), "splits_seconds": 1.0, "splits_bytes": 1000,
        "plan_bytes": 3200, "size": 64, "steps": 100, "batch_size": 2, "checks": 10,
    }  # fmt: skip
    pieces = {
        "file_bytes": 50.0, "hash_seconds": 0.001, "decode_seconds": 0.01, "decoded_bytes": 300.0, "copy_seconds": 0.5,
        "prepare_net": 0.25, "records": 3.0, "record_bytes": 2000.0, "row_bytes": 20.0, "rows": 100.0,
        "files_per_cell": 2.0, "board_rows": 30.0, "board_seconds": 2.0, "board_memory_bytes": 500.0,
        "study_row_bytes": 15.0,
    }  # fmt: skip
    hardware = {"processor": "p", "cores": 2, "accelerator": "", "versions": {"torch": "2"}}
    return Scale(hardware, counted, (FLOW, NET, BANK, PROBE), pieces)


def test_the_page_is_what_the_committed_costs_give() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert rendered(text, COSTS) == text
    whole = Scale.from_plain(json.loads(COSTS.read_text(encoding="utf-8")))
    assert whole.study["images"] == 151_050
    assert whole.study["parts"] == 30_210
    assert [units.model for units in whole.models] == [spec.use for spec in study().models]


def test_a_page_without_a_block_is_refused() -> None:
    with pytest.raises(ValueError, match="markers"):
        rendered("# nothing\n", COSTS)


def test_the_table_has_the_shape_of_real_iad() -> None:
    names = [str(number) for number in range(30)]
    table = StudyTable(names).read().table
    assert len(table) == 151_050
    assert int(table["label"].sum()) == 51_329
    # As published: of the pictures of defective parts, 26,881 do not show the defect.
    bad = table.groupby("part")["label"].transform("max") == 1
    assert int((bad & (table["label"] == 0)).sum()) == 26_881
    assert table.groupby("component")["part"].nunique().tolist() == [1007] * 30
    assert table.loc[table["label"] == 1, "defect"].nunique() == 8


def test_images_are_counted_as_a_loop_counts_them() -> None:
    preset = replace(study(240), protocols=[ProtocolSpec("in_distribution"), ProtocolSpec("contamination")])
    place = next(World(preset).places())
    for board in place.boards:
        found = count_protocol(board.name, board.splits, place.dataset.table)
        truth = dict(zip(place.dataset.table["sample"], place.dataset.table["label"], strict=True))
        good = []
        for split in board.splits:
            good.append(sum(split.train_labels.get(name, truth[name]) == 0 for name in split.train))
        assert found.splits == len(board.splits)
        assert found.train == sum(len(split.train) for split in board.splits)
        assert (found.train_good, found.largest_train_good) == (sum(good), max(good))
        assert found.train_good_squares == sum(n**2 for n in good)
        assert found.test == sum(len(split.test) for split in board.splits)
        assert found.val_good == sum(
            split.train_labels.get(name, truth[name]) == 0 for split in board.splits for name in split.val
        )


def test_cells_are_those_of_the_plan(tmp_path: Path) -> None:
    models = [ModelSpec("gaussian", SMALL | {"stages": [2]}, seeds=[0]), ModelSpec("classifier", SMALL)]
    preset = replace(study(240), protocols=[ProtocolSpec("in_distribution")], models=models)
    found = count_cells(preset, tmp_path)
    assert found["cells"] == {"gaussian": 5, "classifier": 25}
    assert found["plan_bytes"] == (tmp_path / "plan.json").stat().st_size


def test_looks_are_those_of_a_training() -> None:
    assert looks(FLOW, 3000, 10) == 10
    assert looks(NET, 3000, 10) == 5  # at 1800, 2100, ... 3000: the one at 1500 still belongs to pre-training
    assert looks(FLOW, 5, 10) == 5


def test_totals_of_a_flow(scale: Scale) -> None:
    found = model_total(FLOW, scale)
    # 160 images as they are, and 4 copies of each that are drawn first: 160 * 100 + 640 * 100.
    assert found.features == Work(80_000, 160 * 2 + 640 * 2.5)
    assert found.steps == Work(6 * 100 * 8 * 3, 6 * 100 * (8 * 0.5 + 7))
    assert found.watch.flops == 3 * 10 * 12  # three seeds, ten looks, 12 good validation images over both splits
    assert found.score == Work(3 * 60 * 4, 3 * 60)
    assert found.whole.flops == 80_000 + 14_400 + 360 + 720


def test_totals_of_a_network(scale: Scale) -> None:
    found = model_total(NET, scale)
    assert found.step == Work(54, 6 * 1.25)  # with the preparation of its images
    assert found.watch.flops == 3 * 5 * 20 * 2
    assert found.features == Work()


def test_a_memory_bank_grows_with_the_square(scale: Scale) -> None:
    found = model_total(BANK, scale)
    assert bank_patches(BANK, 30) == 30
    # Both splits train on 30 images of 4 patches: 30 of 120 patches are kept, each after a pass over all 120.
    assert found.fit == Work(2 * 30 * 120 * 2, 2 * 30 * 120 * 0.5)
    assert found.score == Work(60 * 10 * 6, 60 * 6)  # the bank is six times the measured one
    assert found.squared == found.fit + found.score
    assert found.features == Work()  # the flow has left them


def test_entries_of_the_cache_are_counted_once(scale: Scale) -> None:
    found = [(entry.model, entry.copies, entry.bytes) for entry in feature_entries(scale)]
    assert found == [("flow", 1, 4 * 10 * 160), ("flow", 4, 4 * 10 * 160 * 4)]


@pytest.mark.parametrize(
    ("terms", "pictures", "cells"),
    [
        ((Term(50, 1),), 2, np.inf),
        ((Term(25, 2),), 2, np.inf),
        ((Term(25, 1, 2),), 4, 2),
        ((Term(50), Term(25, 1)), 2, np.inf),
        ((Term(400, 1),), 0.25, np.inf),
        ((Term(150), Term(100, 1)), 0, np.inf),
    ],
)
def test_where_a_limit_breaks(terms: tuple[Term, ...], pictures: float, cells: float) -> None:
    found = Resource("x", terms, 100, "", "bytes", "")
    assert found.breaks("pictures") == pytest.approx(pictures, abs=1e-9)
    assert found.breaks("cells") == pytest.approx(cells, abs=1e-9)
    assert found.at(1, "pictures") == sum(term.amount for term in terms)


def test_the_first_to_break_stands_first(scale: Scale) -> None:
    found = [*data_resources(scale), *cell_resources(scale)]
    for axis in ("pictures", "cells"):
        factors = [factor for factor, _ in sorted_by_break(found, axis)]
        assert factors == sorted(factors)
        assert np.isfinite(factors).all()


def test_every_block_is_a_table_or_a_list(scale: Scale) -> None:
    for name, lines in page_blocks(scale).items():
        assert lines, name
        widths = {line.count("|") for line in lines if line.startswith("|")}
        assert len(widths) <= 1, name


def test_amounts_read_well() -> None:
    assert [size_text(n) for n in (12, 3400, 118.8e9)] == ["12 bytes", "3.4 kB", "119 GB"]
    assert [time_text(n) for n in (0.5, 90, 130, 3 * 3600, 4e6)] == ["0.5 s", "90 s", "2.2 min", "3 h", "46 days"]


def test_work_counts_a_product() -> None:
    left, right = torch.rand(8, 16), torch.rand(16, 4)
    assert work_of(lambda: left @ right).flops == 2 * 8 * 16 * 4


def test_a_step_costs_three_forward_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    preset = replace(study(240), size=64, batch_size=4)
    found = measure_model(ModelSpec("classifier", {"backbone": "resnet18", "weights": "none"}), preset)
    # The first layer takes no gradient towards the image: a little less than three.
    assert 2.7 < found.step.flops / found.score.flops <= 3
    assert (found.step_images, found.row_images, found.copies) == (4, 1, ())
    monkeypatch.setattr(scale_models, "MEASURED_VIEWS", 3)
    parts = measure_model(ModelSpec("multiview_simclr", SMALL, batch_size=2), preset)
    assert parts.step_images == 2 * 5 * 2  # parts, views and copies of the study, whatever was measured


def test_a_frozen_model_keeps_copies() -> None:
    preset = replace(study(240), size=64, batch_size=4)
    flow = {**SMALL, "stages": [2], "blocks": 1, "hidden": 8, "score_transforms": 3}
    found = measure_model(ModelSpec("differnet", flow), preset)
    assert found.copies == (1, 16, 3)
    assert found.step_images == 16
    bank = measure_model(ModelSpec("padim", {**SMALL, "stages": [1, 2], "grid": 4, "channels": 8}), preset)
    assert (bank.width, bank.copies, bank.trained_by) == (8 * 16, (1,), "fit")
    assert bank.fit.seconds > 0


def test_records_are_measured_as_they_lie(tmp_path: Path) -> None:
    preset = study(240)
    found = measure_boards(preset, tmp_path)
    assert found["board_seconds"] > 0
    lying = measure_records(tmp_path)
    assert (lying["records"], lying["files_per_cell"]) == (2, 2)
    assert lying["rows"] == 2 * found["board_rows"]
    assert lying["row_bytes"] == pytest.approx(found["study_row_bytes"])
