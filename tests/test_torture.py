"""Torture: what the watch must notice, how damage is done and found, and some rounds against a real run."""

from __future__ import annotations

import errno
import json
import random
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from reshift.benchmark.speed.boards import planned_cells, write_run
from reshift.benchmark.torture.damage import damage, damage_some
from reshift.benchmark.torture.faults import FAULTS
from reshift.benchmark.torture.processes import kill, left_after
from reshift.benchmark.torture.rounds import torture
from reshift.benchmark.torture.study import RUN, Reference, boards, result_of
from reshift.benchmark.torture.volume import Volume
from reshift.benchmark.torture.watch import Watch
from reshift.datamodules.array_file import open_array, write_array
from reshift.datamodules.cache_folder import DamagedError
from reshift.results.leaderboard import write_boards
from reshift.results.plan import Plan, PlanError
from reshift.results.record import SCORES_FILE
from reshift.results.store import RunStore, Status
from reshift.results.weights_file import WEIGHTS_FILE, WeightsError, read_weights, write_weights

CELLS = 6


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run folder."""
    run = tmp_path_factory.mktemp("calm") / "runs" / RUN
    write_run(run, Plan(RUN, "", tuple(islice(planned_cells(), CELLS))))
    write_boards(run)
    return run


@pytest.fixture
def watch(calm: Path, tmp_path: Path) -> Watch:
    """A watch on a copy of the finished run, which it has looked at once."""
    store = RunStore(calm)
    plan = store.read_plan()
    reference = Reference(plan, {cell.id: result_of(store.folder(cell.id)) for cell in plan.cells}, boards(store.path))
    run = tmp_path / "runs" / RUN
    shutil.copytree(calm, run)
    found = Watch(run, reference, [])
    found.finish()
    assert not found.losses and len(found.finished) == found.computed == CELLS
    return found


def one(watch: Watch) -> str:
    return min(watch.finished)


def test_a_record_that_is_gone_or_refused_is_lost(watch: Watch) -> None:
    first, second, *_ = sorted(watch.finished)
    shutil.rmtree(watch.store.folder(first))
    (watch.store.folder(second) / SCORES_FILE).write_bytes(b"")
    watch.look()
    assert sorted(watch.losses) == [
        f"cell {first}: lost: its record is gone",
        f"cell {second}: lost: its record is no longer accepted",
    ]


def test_a_second_computation_of_a_finished_cell_is_seen(watch: Watch) -> None:
    cell = one(watch)
    watch.store.write(*watch.store.read(cell))
    watch.glance()
    assert watch.losses == [f"cell {cell}: computed again, although its record was whole"]


def test_after_damage_a_cell_may_be_computed_again(watch: Watch) -> None:
    cell = one(watch)
    record, scores = watch.store.read(cell)
    path = watch.store.folder(cell) / SCORES_FILE
    path.write_bytes(path.read_bytes()[:-1])
    watch.damaged(cell)
    assert cell not in watch.finished
    watch.store.write(record, scores)
    watch.finish()
    assert not watch.losses and watch.computed == CELLS + 1


def test_a_whole_record_of_other_scores_is_not_taken(watch: Watch) -> None:
    cell = one(watch)
    record, scores = watch.store.read(cell)
    path = watch.store.folder(cell) / SCORES_FILE
    path.write_bytes(path.read_bytes()[:-1])
    watch.damaged(cell)
    watch.store.write(record, scores.assign(**{"score:nll": scores["score:nll"] + 0.25}))
    watch.look()
    assert watch.losses == [
        f"cell {cell}: accepted, but is not what an undisturbed run gives ({watch.reference.records[cell].model})"
    ]


def test_a_missing_cell_a_strange_one_and_another_board_are_told(watch: Watch) -> None:
    cell = one(watch)
    watch.damaged(cell)
    watch.losses.clear()
    shutil.rmtree(watch.store.folder(cell))
    (watch.store.path / "cells" / "stranger").mkdir()
    (watch.store.path / "leaderboards" / "overall.csv").write_text("")
    watch.finish()
    told = "; ".join(watch.losses)
    assert "cells of no plan: stranger" in told and "complete without 1 cells" in told
    assert "overall.csv is not the board of an undisturbed run" in told


def test_no_flipped_bit_of_scores_or_record_is_accepted(watch: Watch) -> None:
    rng = random.Random(0)
    for cell in sorted(watch.finished):
        folder = watch.store.folder(cell)
        for path in (folder / "record.json", folder / SCORES_FILE):
            whole, before = path.read_bytes(), result_of(folder)
            for _ in range(20):
                path.write_bytes(whole)
                assert damage(path, rng) and path.read_bytes() != whole
                # A flip between `e` and `E` of a number changes nothing that a reader sees.
                assert watch.store.status(cell) is not Status.DONE or result_of(folder) == before
            path.write_bytes(whole)
        assert watch.store.status(cell) is Status.DONE


def test_no_flipped_bit_of_a_cached_array_is_read(tmp_path: Path) -> None:
    rng, path = random.Random(1), tmp_path / "a.npy"
    array = np.random.default_rng(0).normal(size=(7, 3, 5)).astype(np.float32)
    write_array(path, "<f4", array.shape, [array[:4], array[4:]])
    whole, refused = path.read_bytes(), 0
    assert np.array_equal(np.load(path), array), "numpy reads the file as any other"
    for _ in range(300):
        flipped = bytearray(whole)
        flipped[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.unlink()
        path.write_bytes(bytes(flipped))
        try:
            assert np.array_equal(open_array(path), array)
        except DamagedError:
            refused += 1
    assert refused > 250


def test_an_array_from_before_there_were_checksums_is_read(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.save(tmp_path / "old.npy", array)
    assert np.array_equal(open_array(tmp_path / "old.npy"), array)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe{}", b"[]", b'{"schema": 1, "cells": [3]}'])
def test_a_damaged_plan_is_one_line_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plan.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"plan\.json: not a plan .*delete it and run again, finished cells are kept"):
        Plan.read(tmp_path / "plan.json")


@pytest.mark.parametrize("bit", range(8))
@pytest.mark.parametrize("checksum", [True, False], ids=["whole", "from before there were checksums"])
def test_no_flipped_bit_of_a_plan_changes_a_cell(tmp_path: Path, bit: int, checksum: bool) -> None:
    plan, path = Plan(RUN, "inputs", tuple(islice(planned_cells(), 2)), notes=("A note",)), tmp_path / "plan.json"
    raw = json.loads(plan.to_json())
    if not checksum:
        del raw["checksum"]
    whole = json.dumps(raw, indent=1).encode()
    path.write_bytes(whole)
    assert Plan.read(path) == plan
    refused = 0
    for place in range(0, len(whole), 3):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << bit
        path.write_bytes(bytes(flipped))
        try:
            found = Plan.read(path)
        except PlanError as error:
            refused += 1
            assert str(path) in str(error) and "\n" not in str(error)
        else:
            assert found == plan if checksum else [c.id for c in found.cells] == [c.id for c in plan.cells]
    assert refused


def test_every_flipped_byte_of_weights_is_refused(watch: Watch) -> None:
    cell = one(watch)
    folder, content = watch.store.folder(cell), bytes(range(256)) * 4
    record, scores = watch.store.read(cell)
    record = watch.store.write(replace(record, run={**record.run, **write_weights(folder, content)}), scores)
    assert read_weights(folder, record) == content
    for place in range(0, len(content), 7):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        (folder / WEIGHTS_FILE).write_bytes(bytes(flipped))
        with pytest.raises(WeightsError, match=r"weights\.pt is damaged; delete .* and run again"):
            read_weights(folder, record)
    watch.weights_damaged(cell)
    assert not watch.losses
    watch.store.write(replace(record, run={}), scores)  # a record that knows no checksum
    watch.weights_damaged(cell)
    assert watch.losses == [f"cell {cell}: damaged weights were accepted"]


def test_a_refused_plan_is_deleted_and_another_plan_is_a_loss(watch: Watch) -> None:
    path = watch.store.path / "plan.json"
    path.write_bytes(path.read_bytes()[:-5])
    watch.plan_damaged()
    assert not path.exists() and not watch.losses
    watch.store.write_plan(replace(watch.reference.plan, notes=("Another",)))
    watch.plan_damaged()
    assert watch.losses == ["a damaged plan was accepted"]


def test_damage_is_spread_over_what_is_there(tmp_path: Path) -> None:
    paths = [
        tmp_path / name
        for name in (f"runs/{RUN}/cells/a/record.json", "cache/images/b/pixels.npy", "cache/features/c/f.npy", "other")
    ]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(range(200)))
    rng = random.Random(3)
    hit = {path for _ in range(30) for path in damage_some(tmp_path, rng)}
    assert hit == set(paths[:3])
    assert damage_some(tmp_path / "nothing", rng) == []


def test_a_volume_fills_up_and_can_be_read_only(tmp_path: Path) -> None:
    volume = Volume(tmp_path / "volume")
    try:
        if not volume.mounted:
            pytest.skip(f"faults of the disk by {volume.means}")
        with volume.full(0, []), pytest.raises(OSError) as caught:
            (volume.path / "a").write_bytes(bytes(8192))
        assert caught.value.errno == errno.ENOSPC
        (volume.path / "a").write_bytes(bytes(8192))
        assert volume.read_only()
        with pytest.raises(OSError) as caught:
            (volume.path / "b").write_bytes(b"b")
        assert caught.value.errno == errno.EROFS
        volume.writable()
        (volume.path / "b").write_bytes(b"b")
    finally:
        volume.remove()


def test_an_orphan_is_noticed_and_killed() -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    assert left_after([sleeper.pid], 0.1) == [sleeper.pid]
    assert kill(sleeper.pid)
    assert left_after([sleeper.pid], 10) == []
    sleeper.wait()
    assert not kill(sleeper.pid)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are read from /proc")
@pytest.mark.heavy  # a minute on quiet cores
@pytest.mark.timeout(1800)
def test_a_run_survives_a_round_of_every_fault(tmp_path: Path) -> None:
    found = torture(tmp_path, rounds=len(FAULTS), cells=12, workers=2, seed=0)
    assert found.losses == ()
    assert set(found.struck) == set(FAULTS)
    assert found.counts["kills"] >= 4 and found.counts["cells"] >= 12 and found.counts["studies"] >= 1
