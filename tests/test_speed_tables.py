"""What makes catalogues fast changes nothing: kept rows, quick metrics, splits on arrays, and their measurements."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from reshift.benchmark.speed import boards as speed_boards
from reshift.benchmark.speed import finished_check, large_table, large_table_memory
from reshift.benchmark.speed.__main__ import main
from reshift.benchmark.speed.hardware import hardware, slug
from reshift.results.boards import build_boards
from reshift.results.clustered_auroc import auroc
from reshift.results.csv_bytes import csv_bytes
from reshift.results.evaluation import evaluate
from reshift.results.leaderboard import CACHE_FOLDER, FOLDER, write_boards
from reshift.results.metrics import average_precision
from reshift.results.plan import Plan
from reshift.results.record import read_columns, read_record
from reshift.results.store import RunStore
from reshift.splits.drawing import deal_folds, draw_share
from reshift.splits.protocol import Split, hash_order, unit_hash, unit_hashes, utf8
from reshift.splits.roles import usable_splits, why_unusable
from reshift.splits.samples import validate_table
from reshift.splits.unseen_component import UnseenComponent


@pytest.fixture(autouse=True)
def _no_waiting_for_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@cache
def few_cells() -> Plan:
    """Two models, two seeds, one data set: a protocol without controls, and one with."""
    wanted = ("in_distribution", "acquisition")
    cells = [c for c in speed_boards.planned_cells() if c.seed < 2 and c.model < "model-2" and c.protocol in wanted]
    return Plan("few", "", tuple(c for c in cells if c.dataset == "data-0" and c.split[-1] in "01ea"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    speed_boards.write_run(tmp_path / "run", few_cells())
    return tmp_path / "run"


def files(run: Path) -> dict[str, bytes]:
    write_boards(run)
    return {path.name: path.read_bytes() for path in sorted((run / FOLDER).iterdir())}


def kept(run: Path) -> dict[str, tuple[bytes, int]]:
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted((run / CACHE_FOLDER).glob("*.rows"))}


def test_boards_from_kept_rows_are_those_from_records_to_the_byte(run: Path) -> None:
    store = RunStore(run)
    plain = build_boards(store, store.read_plan())
    first, second = files(run), files(run)
    assert first == second
    assert {name: first[name] for name in plain.files()} == plain.files()
    with_kept = write_boards(run)
    assert (
        with_kept.protocols == plain.protocols and with_kept.lines == plain.lines and with_kept.overall == plain.overall
    )


def test_a_second_build_computes_no_row_again(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files(run)

    def refuse(*_: object) -> None:
        raise AssertionError("judged again")

    monkeypatch.setattr("reshift.results.judged_cells.evaluate", refuse)
    files(run)


def no_change(run: Path) -> None: ...


def new_scores(run: Path) -> None:
    cell = next(c for c in few_cells().cells if c.protocol == "acquisition")
    RunStore(run).write(speed_boards.record_of(cell), speed_boards.scores_of(replace(cell, seed=9)))


def lost_record(run: Path) -> None:
    shutil.rmtree(RunStore(run).folder(few_cells().cells[-1].id))


def torn_scores(run: Path) -> None:
    path = RunStore(run).folder(few_cells().cells[0].id) / "scores.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def renamed_model(run: Path) -> None:
    plan = few_cells()
    RunStore(run).write_plan(replace(plan, cells=tuple(replace(c, model=c.model + "x") for c in plan.cells)))


def other_seed(run: Path) -> None:
    plan = few_cells()
    RunStore(run).write_plan(replace(plan, cells=tuple(replace(c, seed=c.seed + 5) for c in plan.cells)))


def damaged_rows(run: Path) -> None:
    for path in (run / CACHE_FOLDER).glob("*.rows"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))


def cut_rows(run: Path) -> None:
    for number, path in enumerate((run / CACHE_FOLDER).glob("*.rows")):
        path.write_bytes(path.read_bytes()[: 20 * number])


def a_file_for_a_folder(run: Path) -> None:
    shutil.rmtree(run / CACHE_FOLDER)
    (run / CACHE_FOLDER).write_text("in the way", encoding="utf-8")


CHANGES = [
    no_change, new_scores, lost_record, torn_scores, renamed_model, other_seed, damaged_rows, cut_rows,
    a_file_for_a_folder,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_kept_rows_are_never_stale(run: Path, tmp_path: Path, change: Callable[[Path], None]) -> None:
    files(run)
    change(run)
    after = files(run)
    bare = tmp_path / "bare" / run.name
    shutil.copytree(run, bare, ignore=shutil.ignore_patterns(CACHE_FOLDER, FOLDER))
    assert {k: v.replace(str(bare).encode(), str(run).encode()) for k, v in files(bare).items()} == after


def test_only_what_a_new_record_touches_is_computed_again(run: Path) -> None:
    files(run)
    before = kept(run)
    new_scores(run)
    files(run)
    after = kept(run)
    # One protocol's rows are replaced, the other's file is the same one.
    assert len(before) == len(after) == 2 and len(before.items() & after.items()) == 1


def test_other_code_gets_other_rows(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files(run)
    before = set(kept(run))
    monkeypatch.setattr("reshift.results.board_cache._code", lambda: ["tomorrow's"])
    files(run)
    assert not before & set(kept(run))


def test_columns_give_the_units_that_a_frame_gives(run: Path) -> None:
    folder = RunStore(run).folder(few_cells().cells[0].id)
    record, frame = read_record(folder)
    for one, other in zip(evaluate(record, frame), evaluate(record, read_columns(folder, record)), strict=True):
        assert one.metrics == other.metrics
        for level, scored in one.levels.items():
            for role in ("val", "test", "calibration"):
                mine, theirs = getattr(scored, role), getattr(other.levels[level], role)
                for name, array in vars(mine).items():
                    assert array.dtype == getattr(theirs, name).dtype and (array == getattr(theirs, name)).all()


@pytest.mark.parametrize("decimals", [0, 1, 8], ids=["many ties", "some ties", "no ties"])
def test_auroc_and_average_precision_are_scikit_learns(decimals: int) -> None:
    generator = np.random.default_rng(0)
    for size in (2, 3, 17, 80, 401):
        label = np.r_[0, 1, generator.integers(0, 2, size)]
        score = np.round(generator.normal(size=len(label)) + label, decimals)
        assert average_precision(label, score) == average_precision_score(label, score)
        assert auroc(label, score) == pytest.approx(roc_auc_score(label, score), abs=1e-12)


def test_numbers_are_written_with_six_decimals_and_one_zero() -> None:
    line = [None, 1, "a,b", 0.5, -0.0, -4e-7, 1234567.1234567, float(np.float64(2) / 3)]
    assert csv_bytes(["x"], [line]) == b'x\n,1,"a,b",0.500000,0.000000,0.000000,1234567.123457,0.666667\n'


NAMES = [f"part {number} \u00e4" for number in range(300)]


def test_hashes_of_many_names_are_those_of_each() -> None:
    assert unit_hashes(3, "purpose", utf8(NAMES)).tolist() == [unit_hash(3, "purpose", name) for name in NAMES]
    by_hash = sorted(set(NAMES), key=lambda name: (unit_hash(3, "purpose", name), name))
    assert hash_order(3, "purpose", [*NAMES[::-1], *NAMES[:5]]) == by_hash


def test_a_share_is_drawn_along_size_and_hash() -> None:
    """Against the rule of `draw_share` in plain loops."""
    frame = pd.DataFrame({"label": [i % 3 == 0 for i in range(300)], "images": [i * 7 % 5 for i in range(300)]}, NAMES)
    frame = frame.astype(int).sort_index()
    expected = set()
    for label in (0, 1):
        own = [name for name in frame.index if frame["label"][name] == label]
        own.sort(key=lambda name: (frame["images"][name], unit_hash(7, "draw", name), name))
        wanted, start = int(0.2 * len(own) + 0.5), int(unit_hash(7, "draw", "start") * len(own))
        for place, name in enumerate(own):
            if ((place + 1) * wanted + start) // len(own) > (place * wanted + start) // len(own):
                expected.add(name)
    assert draw_share(frame, 0.2, 7, "draw") == expected


def test_folds_are_dealt_on_from_label_to_label() -> None:
    labels = pd.Series([number % 3 // 2 for number in range(300)], NAMES)
    expected: list[set[str]] = [set(), set(), set(), set()]
    place = 0
    for label in (0, 1):
        for name in hash_order(1, "fold", [n for n in NAMES if labels[n] == label]):
            expected[place % 4].add(name)
            place += 1
    assert deal_folds(labels, 4, 1, "fold") == expected


@pytest.fixture
def small_table(monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    monkeypatch.setattr(large_table, "COMPONENTS", 3)
    monkeypatch.setattr(large_table, "PARTS", 60)
    return validate_table(large_table.reader_rows(), "small table")


def test_what_passes_at_a_few_looks_passes_at_a_whole_one(small_table: pd.DataFrame) -> None:
    """A split is refused by `usable_splits` exactly where `why_unusable`, which looks at every part, refuses it."""
    shuffled = small_table.sample(frac=1, random_state=0)
    whole = next(iter(UnseenComponent().splits(small_table, 0)))
    of_part = small_table.groupby("part")["label"].max()
    labels = {s: of_part[p] for s, p in zip(small_table["sample"], small_table["part"], strict=True)}
    candidates: list[Split] = [whole]
    for label in (0, 1):
        one_class = tuple(s for s in whole.test if labels[s] == label)
        candidates.append(replace(whole, name=f"only {label}", test=one_class))
        candidates.append(
            replace(whole, name=f"nearly only {label}", test=(*one_class, *(set(whole.test) - {*one_class})))
        )
    candidates += [replace(whole, name="no val", val=()), replace(whole, name="no train", train=())]
    passed = [split.name for split in usable_splits("x", candidates, shuffled)]
    assert passed == [s.name for s in candidates if not why_unusable(s, small_table)]
    assert len(passed) == 3


def test_a_table_of_real_iads_shape_is_split_and_measured(small_table: pd.DataFrame) -> None:
    assert small_table.groupby("part")["view"].nunique().eq(large_table.VIEWS).all()
    found = large_table.measure(Path())
    assert found.detail["splits"] > 30 and 0 < found.value < found.detail["splits_s"] + 10
    memory = large_table_memory.measure(Path())
    assert memory.unit == "MiB" and 0 <= memory.value < 200


def test_the_finished_check_of_few_cells_imports_no_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finished_check, "CELLS", 3)
    found = finished_check.measure(tmp_path)
    assert found.unit == "s" and found.value == found.detail["run_s"] > 0


def test_a_figure_is_kept_beside_those_that_were_measured_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / f"{slug(hardware())}.json"
    file.write_text(json.dumps({"measurements": {"flow_step": {"value": 12.0}}}))
    status = main(["finished_check", "--out", str(tmp_path)])
    written = json.loads(file.read_text())
    found = written["measurements"]["finished_check"]
    assert written["measurements"]["flow_step"] == {"value": 12.0} and written["hardware"]["cores"]
    assert found["versions"] == hardware()["versions"] and found["value"] > 0
    # How quick it is here is for `make speed`: the verdict has to be that of the figure.
    met = found["value"] <= found["target"]
    assert status == int(not met) and (" met " if met else " MISSED ") in capsys.readouterr().out


def test_the_measurement_of_boards_checks_that_kept_rows_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = few_cells().cells
    monkeypatch.setattr(speed_boards, "planned_cells", lambda: iter(cells))
    found = speed_boards.measure(tmp_path)
    assert found.detail["board_rows"] > 100 and found.value == found.detail["kept_s"] > 0


def test_ten_thousand_cells_are_planned() -> None:
    cells = list(speed_boards.planned_cells())
    assert len({cell.id for cell in cells}) == len(cells) == 10_000
    assert {len(speed_boards.scores_of(cell)) // 2 for cell in cells[:40] if not cell.control_of} == {80}
