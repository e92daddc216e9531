"""The same seed on the same machine: every model's cell comes out alike to the bit, whatever surrounds it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from small_cells import ARMS, VERIFIED, SmallRun, catalogue, one_thread, row, small_preset
from small_world import write_world

from reshift.benchmark.cell_data import cell_data, scored
from reshift.benchmark.cell_training import BundleMemory, train_cell
from reshift.benchmark.cost import Stopwatch
from reshift.benchmark.executor import bundles
from reshift.benchmark.planning import make_plan
from reshift.benchmark.preset import Preset
from reshift.benchmark.worker import Job, run_bundle
from reshift.datamodules import inspection_data
from reshift.datamodules.inspection_data import InspectionData
from reshift.models.base import InspectionModule
from reshift.results.store import RunStore

ROWS = {**catalogue(), **ARMS, **VERIFIED}
ON_IMAGES = ["mixup", "multiview_simclr", "segmentation", "size_brightness"]
"""Models of every kind of batch that loader workers prepare: of images, parts, copies, masks, and in one pass."""


def rows(names: Sequence[str]) -> list[dict[str, object]]:
    return [row(name, ROWS[name]) for name in names]


def computed_here(preset: Preset, folder: Path) -> RunStore:
    """Every cell of the preset, in the plan's order, by one process that has gone through others before."""
    store = RunStore(folder)
    plan = make_plan(preset, folder.name)
    store.write_plan(plan)
    # Where the generators stand is a matter of what ran before.
    random.seed(len(folder.name))
    np.random.seed(len(folder.name))
    torch.manual_seed(len(folder.name))
    for bundle in bundles(plan.cells):
        run_bundle(Job(folder, preset, "cpu", "best"), [cell.id for cell in bundle])
    return store


def computed_by_two(preset: Preset, folder: Path, cache: Path) -> RunStore:
    """Every cell by `reshift run` with two fresh worker processes and nothing in the caches."""
    file = folder / "by_two.yaml"
    file.write_text(yaml.safe_dump(json.loads(json.dumps(asdict(preset)))), encoding="utf-8")
    command = [sys.executable, "-m", "reshift.benchmark", "run", "--preset", str(file), "--workers", "2"]
    environment = {**os.environ, "RESHIFT_CACHE": str(cache)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return RunStore(folder / "runs" / "by_two")


def left_behind(store: RunStore, cell: str) -> dict[str, object]:
    """What a cell's folder holds that must not depend on when, where and after what it was computed."""
    failure = store.failure(cell)
    assert failure is None, failure
    record, scores = store.read(cell)
    assert record.scores is not None
    state = torch.load(store.folder(cell) / "weights.pt", weights_only=True)
    return {
        "scores file": record.scores.sha256,
        "scores": {name: scores[f"score:{name}"].tolist() for name in record.scores.names},
        "attachments": record.attachments,
        "training": record.training,
        "refinement": record.refinement,
        "weights": {k: hashlib.sha256(v.contiguous().numpy().tobytes()).hexdigest() for k, v in state.items()},
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the tiny world in it, and a cache of its own."""
    folder = tmp_path_factory.mktemp("determinism")
    write_world(folder / "parts")
    with one_thread(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESHIFT_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module")
def first(world: Path) -> RunStore:
    return computed_here(small_preset(world / "parts" / "parts.csv", rows([*ROWS])), world / "first")


@pytest.fixture(scope="module")
def backwards(world: Path, first: RunStore) -> RunStore:
    """The same process again: models in the opposite order, caches warm."""
    return computed_here(small_preset(world / "parts" / "parts.csv", rows([*ROWS][::-1])), world / "backwards")


@pytest.fixture(scope="module")
def by_two(world: Path) -> RunStore:
    preset = small_preset(world / "parts" / "parts.csv", rows([*ROWS][::-1]))
    return computed_by_two(preset, world, world / "cold-cache")


@pytest.mark.parametrize("name", ROWS)
def test_cells_do_not_depend_on_what_their_process_computed_before(
    first: RunStore, backwards: RunStore, name: str
) -> None:
    cells = [next(c.id for c in store.read_plan().cells if c.model == name) for store in (first, backwards)]
    assert cells[0] == cells[1]
    assert left_behind(backwards, cells[0]) == left_behind(first, cells[0])


@pytest.mark.parametrize("name", ROWS)
def test_cells_do_not_depend_on_the_number_of_processes(first: RunStore, by_two: RunStore, name: str) -> None:
    cell = next(c.id for c in first.read_plan().cells if c.model == name)
    assert left_behind(by_two, cell) == left_behind(first, cell)


@pytest.mark.parametrize("name", ON_IMAGES)
def test_scores_do_not_depend_on_the_number_of_loader_workers(
    world: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection_data, "_BATCHES_A_WORKER", 1)
    run = SmallRun(small_preset(world / "parts" / "parts.csv", rows([name])), world / "loaders")
    place, cpu = next(run.world.places()), torch.device("cpu")
    _, spec, cls = next(run.world.models())

    def state_and_scores(workers: int) -> dict[str, bytes]:
        def data_for(model: InspectionModule) -> InspectionData:
            data = cell_data(model, place.dataset, run.split, run.preset.size, run.preset.batch_size, 0, cpu)
            data.workers = workers
            return data

        trained = train_cell(run.cell(name), spec, cls, data_for, 1, BundleMemory(), cpu, Stopwatch())
        tested = scored(trained.model, data_for(trained.model), "test", cpu).filter(like="score:")
        state = {key: value.numpy().tobytes() for key, value in trained.model.state_dict().items()}
        return {**state, "losses": repr(trained.training).encode(), "scores": tested.to_numpy().tobytes()}

    alone = state_and_scores(0)
    for workers in (1, 2):
        other = state_and_scores(workers)
        assert [key for key in alone if alone[key] != other[key]] == []


def test_another_seed_is_seen_in_what_is_compared(world: Path, first: RunStore) -> None:
    preset = small_preset(world / "parts" / "parts.csv", rows(["classifier"]))
    other = computed_here(Preset(**{**vars(preset), "seeds": [1]}), world / "seed-1")
    (cell,) = other.read_plan().cells
    twin = next(c.id for c in first.read_plan().cells if c.model == "classifier")
    here, there = left_behind(first, twin), left_behind(other, cell.id)
    assert {what for what in here if here[what] != there[what]} >= {"scores", "training", "weights"}
