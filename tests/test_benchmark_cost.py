"""What a cell's record says of its cost, against hand-worked figures; measuring changes no score."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import write_parts
from torch import Tensor, nn

from reshift.benchmark import inference_cost as timing
from reshift.benchmark.cell import compute_cell
from reshift.benchmark.cell_data import cell_data
from reshift.benchmark.cell_training import BundleMemory
from reshift.benchmark.cost import PeakMemory, Stopwatch, parameter_counts
from reshift.benchmark.flops import flops
from reshift.benchmark.inference_cost import inference_cost
from reshift.benchmark.planning import make_plan
from reshift.benchmark.preset import DatasetSpec, ModelSpec, Preset, PrognosisSpec, ProtocolSpec
from reshift.benchmark.prognosis_cell import compute_prognosis
from reshift.benchmark.worker import Job
from reshift.benchmark.world import World
from reshift.datamodules import feature_cache
from reshift.datamodules.inspection_data import InspectionData
from reshift.models.base import Batch, InspectionModule
from reshift.models.differnet import DifferNet
from reshift.models.floors import ClassPrior, NumberOfViews
from reshift.models.frozen_probes import Gaussian
from reshift.results.board_file import cost_bytes
from reshift.results.plan import Plan, PlannedCell
from reshift.results.record import Record

CPU = torch.device("cpu")
SIZE = 8
TINY: dict[str, Any] = {"backbone": "test_resnet", "weights": "none", "stages": [2], "scales": [1.0]}
FLOW: dict[str, Any] = {**TINY, "blocks": 2, "hidden": 16, "score_transforms": 3}


class Convolved(InspectionModule):
    """A convolution, drawing from every global generator, and counting the rows it is asked to score."""

    convolution: nn.Conv2d

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, kernel_size=3, bias=False)
        self.rows: list[int] = []

    def score(self, batch: Batch) -> Tensor:
        image = batch["image"].flatten(end_dim=-4)
        self.rows.append(len(batch["index"]))
        noise = random.random() + float(np.random.rand()) + torch.rand(len(image))
        return (self.convolution(image).mean(dim=(1, 2, 3)) + noise).view(len(batch["index"]), -1).mean(dim=1)


class ConvolvedParts(Convolved):
    views: Literal["one", "all"] = "all"


class Extracted(InspectionModule):
    """A frozen linear map of the pixels under five copies, then another of its two features."""

    score_copies = 5

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE**2, 2, bias=False)).requires_grad_(False)
        self.head = nn.Linear(2, 1)
        self.seen: list[int] = []
        self.frozen.register_forward_hook(lambda _, inputs, __: self.seen.append(len(inputs[0])))

    def extractor(self) -> nn.Module:
        return self.frozen

    def score(self, batch: Batch) -> Tensor:
        return torch.mv(batch["feature"], self.head.weight[0])


class Slow(InspectionModule):
    """A tenth of a second a row."""

    most: ClassVar[int] = 0

    def score(self, batch: Batch) -> Tensor:
        rows = len(batch["index"])
        Slow.most = max(Slow.most, rows)
        time.sleep(0.1 * rows)
        return torch.zeros(rows)


class Distances(InspectionModule):
    """Scores one row at a time, by an operation without a formula."""

    def score(self, batch: Batch) -> Tensor:
        if len(batch["index"]) > 1:
            raise RuntimeError("out of memory")
        return torch.cdist(batch["extent"], torch.zeros(1, 2), compute_mode="donot_use_mm_for_euclid_dist")[:, 0]


@pytest.fixture
def preset(tmp_path: Path) -> Callable[..., Preset]:
    """A preset on 40 parts of two views, with these models."""
    manifest = write_parts(tmp_path / "photos", 40)

    def of(*models: ModelSpec, protocols: list[ProtocolSpec] | None = None, **changes: Any) -> Preset:
        usual = [ProtocolSpec(use="in_distribution", args={"folds_used": 1, "val": 0.5})]
        data = [DatasetSpec(use="manifest", args={"csv": str(manifest)})]
        return Preset("cost", data, protocols or usual, list(models), size=SIZE, seeds=[0], steps=3, **changes)

    return of


@pytest.fixture
def data_for(preset: Callable[..., Preset]) -> Callable[[InspectionModule], InspectionData]:
    place = next(World(preset()).places())
    return lambda model: cell_data(model, place.dataset, place.boards[0].splits[0], SIZE, 4, 0, CPU)


@pytest.fixture(autouse=True)
def _nothing_measured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(timing, "_measured", {})
        patch.setattr(timing, "_ENOUGH", 0.01)
        yield


def computed(preset: Preset, folder: Path) -> list[tuple[Record, pd.DataFrame]]:
    """Records and scores of all cells, computed in one process as one bundle."""
    world, memory = World(preset), BundleMemory()
    job = Job(folder, preset, "cpu", "none")
    plan = make_plan(preset, "cost")
    assert not any(cell.not_applicable for cell in plan.cells)
    return [compute_cell(cell, world, job, memory, folder)[:2] for cell in plan.cells]


def flow(**changes: Any) -> ModelSpec:
    return ModelSpec(use="differnet", args={**FLOW, **changes})


# What is counted.


def test_flops_of_products_and_convolutions_are_two_a_multiply_add() -> None:
    image, matrix, vector = torch.rand(2, 3, 8, 8), torch.rand(5, 7), torch.rand(7)
    convolution = nn.Conv2d(3, 4, kernel_size=3)
    with torch.no_grad():
        assert flops(lambda: convolution(image)) == 2 * (2 * 4 * 6 * 6) * (3 * 3 * 3)
        assert flops(lambda: matrix @ vector) == 2 * 5 * 7
        assert flops(lambda: torch.addmv(torch.rand(5), matrix, vector)) == 2 * 5 * 7
        assert flops(lambda: vector @ vector) == 2 * 7
        assert flops(lambda: (image + 1).mean()) == 0


def test_flops_are_refused_where_a_heavy_operation_has_no_formula() -> None:
    with pytest.raises(NotImplementedError):
        flops(lambda: torch.fft.rfft(torch.rand(8)))


def test_flops_of_an_image_hold_its_copies_and_the_extractor(data_for: Callable[..., InspectionData]) -> None:
    model = Extracted()
    found = inference_cost(model, data_for(model), CPU, "extracted")
    assert found["flops"] == 5 * (2 * 3 * SIZE**2 * 2 + 2 * 2)
    # Batch 1 is five images, batch 32 is five pieces of 32; a single image is taken for the model's own input.
    assert set(model.seen) == {1, 5, 32}


def test_a_part_counts_its_images(data_for: Callable[..., InspectionData], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "_median_seconds", lambda call: (call(), 0.5)[1])
    one, parts = Convolved(), ConvolvedParts()
    by_image = inference_cost(one, data_for(one), CPU, "one")
    by_part = inference_cost(parts, data_for(parts), CPU, "parts")
    assert by_image["flops"] == by_part["flops"] == 2 * (4 * 6 * 6) * (3 * 3 * 3)
    assert by_image["images_per_second_1"] == 2 and by_part["images_per_second_1"] == 4


def test_parameters_are_counted_with_the_frozen_ones_and_those_trained_without() -> None:
    model = Extracted()
    assert parameter_counts(model) == {"parameters": 2 * 3 * SIZE**2 + 3, "trained_parameters": 0}
    differnet = DifferNet(**FLOW)
    own = sum(p.numel() for p in differnet.flow.parameters())
    permutations = sum(p.numel() for p in differnet.flow.parameters() if not p.requires_grad)
    frozen = sum(p.numel() for p in differnet.backbone.parameters())
    assert permutations > 0
    assert parameter_counts(differnet) == {"parameters": own + frozen, "trained_parameters": own - permutations}


def test_what_a_closed_form_learns_counts_as_its_parameters() -> None:
    gaussian = Gaussian(**TINY)
    frozen = sum(p.numel() for p in gaussian.backbone.parameters())
    width = gaussian.backbone.width
    learned = parameter_counts(gaussian)["trained_parameters"]
    assert learned == width + width**2  # mean, and the factor of the precision
    assert parameter_counts(gaussian)["parameters"] == learned + frozen
    assert parameter_counts(ClassPrior())["trained_parameters"] == 1
    assert parameter_counts(NumberOfViews()) == {"parameters": 0, "trained_parameters": 0}


# What is timed.


def test_a_slow_model_is_timed_on_part_of_a_batch(data_for: Callable[..., InspectionData]) -> None:
    model = Slow()
    began = time.monotonic()
    found = inference_cost(model, data_for(model), CPU, "slow")
    assert time.monotonic() - began < 6  # a warm-up and a call of 32 rows would take 6.4 s
    assert 1 < Slow.most <= 8
    for samples in (1, 32):
        # Sleep can be late, never early.
        assert 5 < found[f"images_per_second_{samples}"] <= 10


def test_a_batch_within_the_limit_is_timed_whole(
    data_for: Callable[..., InspectionData], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "_LONGEST", 1e9)  # on a busy machine any call may take long
    model = Convolved()
    inference_cost(model, data_for(model), CPU, "whole")
    assert set(model.rows) == {1, 32}


def test_what_cannot_be_measured_is_absent(data_for: Callable[..., InspectionData]) -> None:
    model = Distances()
    found = inference_cost(model, data_for(model), CPU, "distances")
    assert found.keys() == {"images_per_second_1"}


def test_models_of_one_key_are_measured_once(data_for: Callable[..., InspectionData]) -> None:
    first, second = Convolved(), Convolved()
    found = inference_cost(first, data_for(first), CPU, "same")
    assert inference_cost(second, data_for(second), CPU, "same") == found
    assert first.rows and not second.rows


def test_random_states_and_modes_stay(data_for: Callable[..., InspectionData]) -> None:
    model = Convolved().train()
    model.convolution.eval()
    data = data_for(model)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]
    inference_cost(model, data, CPU, "states")
    assert states == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # type: ignore[index]
    assert model.training and not model.convolution.training


# What a record holds.


def test_scores_are_the_same_bits_with_and_without_measuring(
    preset: Callable[..., Preset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convolved = f"{__file__}:Convolved"
    small = preset(ModelSpec(use=convolved), flow(), ModelSpec(use="size_brightness"))
    measured = computed(small, tmp_path)
    monkeypatch.setattr("reshift.benchmark.cell.inference_cost", lambda *_: {})
    monkeypatch.setattr("reshift.benchmark.cell.open_caches", lambda *_: None)
    monkeypatch.setenv("RESHIFT_CACHE", str(tmp_path / "cold"))
    plain = computed(small, tmp_path)
    assert all("flops" in record.run for record, _ in measured)
    assert not any("flops" in record.run for record, _ in plain)
    for (_, with_cost), (_, without) in zip(measured, plain, strict=True):
        pd.testing.assert_frame_equal(with_cost, without, check_exact=True)


def test_a_record_holds_its_figures_and_training_is_less_than_the_cell(
    preset: Callable[..., Preset], tmp_path: Path
) -> None:
    for record, _ in computed(preset(flow(), ModelSpec(use="n_views")), tmp_path):
        run = record.run
        assert 0 < run["training_seconds"] < run["seconds"]
        assert {"parameters", "trained_parameters", "flops", "images_per_second_1", "images_per_second_32"} < run.keys()


def test_a_cell_that_takes_a_model_over_has_no_seconds_of_training(
    preset: Callable[..., Preset], tmp_path: Path
) -> None:
    shifts = ProtocolSpec(use="test_time_shift", args={"kinds": ["noise"], "severities": [1, 5], "val": 0.5})
    found = [record for record, _ in computed(preset(ModelSpec(use="size_brightness"), protocols=[shifts]), tmp_path)]
    assert len(found) > 1 and [("training_seconds" in record.run) for record in found].count(True) == 1


def test_decoding_and_frozen_features_are_no_training(
    preset: Callable[..., Preset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = feature_cache._forward

    def late(*given: Any) -> Any:
        time.sleep(0.02)
        return whole(*given)

    monkeypatch.setattr(feature_cache, "_forward", late)
    monkeypatch.setenv("RESHIFT_CACHE", str(tmp_path / "cold"))
    # Pieces of 32 of 80 images: 3 as they are, 8 of three copies for scoring, 40 of sixteen copies for training.
    record, _ = computed(preset(flow()), tmp_path)[0]
    assert record.run["training_seconds"] < record.run["seconds"] - 51 * 0.02


def test_a_forecast_s_record_holds_training_and_memory_and_no_throughput(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    manifest = write_parts(photos, 6)
    rows = pd.read_csv(manifest, dtype=str)
    rows = rows.assign(sequence="s" + (rows.index // 4).astype(str), level=(rows.index % 4 // 2).astype(str))
    rows.to_csv(manifest, index=False)
    protocol = ProtocolSpec(use="unseen_sequence")
    data = [DatasetSpec(use="manifest", args={"csv": str(manifest)})]
    wear = Preset("wear", data, [protocol], [], prognoses=[PrognosisSpec(use="mean_life")], limit=1.0, size=SIZE)
    cell = make_plan(wear, "wear").cells[0]
    record, _ = compute_prognosis(cell, World(wear), "cpu")
    assert 0 <= record.run["training_seconds"] < record.run["seconds"]
    assert "flops" not in record.run and "images_per_second_1" not in record.run


# What the board says.


def test_the_board_of_costs_keeps_devices_apart_and_leaves_blank_what_was_not_measured() -> None:
    runs: dict[tuple[str, int], dict[str, Any]] = {
        ("new", 0): {"device": "cpu: a", "seconds": 4.0, "training_seconds": 3.0, "flops": 10, "peak_bytes": 7,
                     "parameters": 5, "trained_parameters": 2, "images_per_second_1": 1.0, "images_per_second_32": 8.0},
        ("new", 1): {"device": "cpu: a", "seconds": 2.0, "flops": 10, "peak_bytes": 9,
                     "parameters": 6, "trained_parameters": 3, "images_per_second_1": 2.0, "images_per_second_32": 9.0},
        ("new", 2): {"device": "cuda: b", "seconds": 1.0, "training_seconds": 0.5},
        ("old", 0): {"device": "cpu: a", "seconds": 6.0},
    }  # fmt: skip
    cells = [PlannedCell(f"{model}{seed}", {}, "toy", model, "shift", "s", seed) for model, seed in (*runs, ("old", 1))]
    records = {
        cell.id: Record.of(cell, "image", {}, runs[cell.model, cell.seed])
        for cell in cells
        if (cell.model, cell.seed) in runs
    }
    assert cost_bytes(Plan("toy", "hash", tuple(cells)), records).decode().splitlines() == [
        "dataset,model,protocol,device,cells,seconds_mean,seconds_max,training_seconds_mean,training_seconds_max,"
        "images_per_second_1,images_per_second_32,parameters,trained_parameters,flops,peak_bytes_max",
        "toy,new,shift,cpu: a,2,3.000000,4.000000,3.000000,3.000000,1.500000,8.500000,6,3,10,9",
        "toy,new,shift,cuda: b,1,1.000000,1.000000,0.500000,0.500000,,,,,,",
        "toy,old,shift,cpu: a,1,6.000000,6.000000,,,,,,,,",
    ]


# What is measured of time and memory.


def test_a_stopwatch_adds_up_what_is_inside_and_not_paused() -> None:
    watch, began = Stopwatch(), time.monotonic()
    for _ in range(2):
        with watch:
            time.sleep(0.02)
            with watch.paused():
                time.sleep(0.05)
        with watch.paused():
            time.sleep(0.05)
    assert 0.04 <= watch.seconds <= time.monotonic() - began - 0.2


def test_peak_memory_is_that_of_its_own_time() -> None:
    held = 200 * 2**20
    before = PeakMemory(CPU)
    if not before.read():
        pytest.skip("this system cannot start the peak of a process anew")
    level = before.read()["peak_bytes"]
    block = np.ones(held, dtype=np.uint8)
    del block
    assert before.read()["peak_bytes"] > level + 0.9 * held
    assert PeakMemory(CPU).read()["peak_bytes"] < level + 0.5 * held


def test_memory_that_cannot_be_told_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "write_text", refuse)
    assert PeakMemory(CPU).read() == {}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_its_own_memory_is_meant(data_for: Callable[..., InspectionData]) -> None:
    cuda = torch.device("cuda")
    peak = PeakMemory(cuda)
    block = torch.ones(50 * 2**20, device=cuda)
    del block
    assert peak.read()["peak_bytes"] >= 200 * 2**20
    assert PeakMemory(cuda).read()["peak_bytes"] < 200 * 2**20
    model = Extracted()
    found = inference_cost(model, data_for(model), cuda, "on a GPU")
    assert found.keys() == {"flops", "images_per_second_1", "images_per_second_32"}
