"""Boards rebuilt from records: values, blanks, marks, bytes."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from reshift.results.boards import build_boards
from reshift.results.leaderboard import write_boards
from reshift.results.markdown import markdown
from reshift.results.plan import Plan, PlannedCell, identity_hash
from reshift.results.record import Record
from reshift.results.store import RunStore, Status
from reshift.results.terminal import terminal_table

GOLDEN = Path(__file__).parent / "golden" / "board_small.csv"
PARTS = 96
SKILL = {"single": 0.5, "multi": 0.8}


def chance(*keys: object) -> float:
    """A number in [0, 1) that no library's generator can change."""
    digest = hashlib.sha256("/".join(map(str, keys)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def planned(model: str, split: str, seed: int, protocol: str = "unseen", **changes: object) -> PlannedCell:
    identity = {"model": model, "split": split, "seed": seed, "protocol": protocol}
    cell = PlannedCell(identity_hash(identity), identity, "toy", model, protocol, split, seed)
    return replace(cell, **changes)  # type: ignore[arg-type]


def scores_of(cell: PlannedCell) -> pd.DataFrame:
    """48 parts tested, 48 validating; every other part is defective in view 0; skill sinks without a control."""
    rows = []
    skill = SKILL[cell.model] * (1.5 if cell.control_of else 1.0)
    for p in range(PARTS):
        role = "test" if p % 2 else "val"
        if role == "test" and cell.control_of and p // 2 % 2 != int(cell.split[-1]):
            continue
        bad, part = p // 4 % 2, f"p{p:02d}"
        defect = ("pit", "crack")[p // 8 % 2] if bad else ""
        views = [""] if cell.model == "multi" else [f"v{v}" for v in range(2 + p % 3)]
        for v, view in enumerate(views):
            label = int(bad and v == 0)
            score = chance(cell.model, cell.split, cell.seed, part, view) + skill * label
            sample = part if not view else f"{part}/{view}"
            rows.append((sample, part, view, role, label, label, ("gear", "ring")[p // 2 % 2], defect * label, score))
    columns = ["sample", "part", "view", "role", "label", "observed_label", "component", "defect", "score:nll"]
    frame = pd.DataFrame(rows, columns=columns).assign(transmission="", acquisition="")
    return frame.assign(**{"score:z2": frame["score:nll"] ** 2}) if cell.model == "single" else frame


def record_of(cell: PlannedCell) -> Record:
    unit = "part" if cell.model == "multi" else "image"
    run = {"seconds": 2.0, "device": "cpu: x"}
    return Record(
        cell.id, cell.identity, cell.dataset, cell.model, cell.protocol, cell.split, cell.seed, unit,  # type: ignore[arg-type]
        control_of=cell.control_of, breaks=cell.breaks, run=run,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _no_waiting_for_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


def build(path: Path, cells: list[PlannedCell], **changes: object) -> RunStore:
    store = RunStore(path)
    store.write_plan(replace(Plan("toy run", "hash", tuple(cells)), **changes))  # type: ignore[arg-type]
    for cell in cells:
        if not cell.not_applicable:
            store.write(record_of(cell), scores_of(cell))
    return store


def small() -> list[PlannedCell]:
    found = []
    for model in ("single", "multi"):
        for seed in (0, 1):
            found += [planned(model, "shift", seed), planned(model, "fold", seed)]
            found += [planned(model, f"shift control {half}", seed, control_of="shift") for half in (0, 1)]
    return found


def table(content: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(content), keep_default_na=False)


def only(frame: pd.DataFrame, **where: str) -> dict[str, str]:
    for column, value in {"group": "all", "level": "part", "threshold": "", **where}.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1, f"{len(frame)} rows for {where}"
    return {str(k): str(v) for k, v in frame.iloc[0].items()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunStore]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield build(tmp_path_factory.mktemp("toy"), small())


@pytest.fixture(scope="module")
def board(run: RunStore) -> pd.DataFrame:
    return table(build_boards(run, run.read_plan()).files()["unseen.csv"])


def test_golden_board(run: RunStore) -> None:
    found = build_boards(run, run.read_plan()).files()["unseen.csv"]
    if os.environ.get("RESHIFT_WRITE_GOLDEN"):
        GOLDEN.write_bytes(found)
    assert found == GOLDEN.read_bytes()


def test_values_are_scikit_learn_s_mean_over_seeds(board: pd.DataFrame) -> None:
    values = []
    for seed in (0, 1):
        test = scores_of(planned("multi", "fold", seed)).query("role == 'test'")
        values.append(roc_auc_score(test["label"], test["score:nll"]))
    row = only(board, model="multi", split="fold", metric="auroc")
    low, high = stats.t.interval(0.95, 1, np.mean(values), stats.sem(values))
    assert float(row["mean"]) == pytest.approx(np.mean(values), abs=1e-6)
    assert float(row["seed_low"]) == pytest.approx(max(low, 0), abs=1e-6)
    assert float(row["seed_high"]) == pytest.approx(min(high, 1), abs=1e-6)
    assert (row["n_seeds"], row["n_parts"], row["coverage"]) == ("2", "48", "2/2")


def test_mean_and_worst_leave_controls_out(board: pd.DataFrame) -> None:
    splits = [float(only(board, model="multi", split=s, metric="auroc")["mean"]) for s in ("fold", "shift")]
    assert float(only(board, model="multi", split="mean", metric="auroc")["mean"]) == pytest.approx(
        np.mean(splits), abs=1e-6
    )
    assert float(only(board, model="multi", split="worst", metric="auroc")["mean"]) == min(splits)
    assert only(board, model="multi", split="mean", metric="auroc")["coverage"] == "4/4"


def test_gap_pairs_the_same_parts(board: pd.DataFrame) -> None:
    gaps = []
    for seed in (0, 1):
        shifted = scores_of(planned("multi", "shift", seed)).query("role == 'test'").set_index("sample")
        for half in (0, 1):
            control = scores_of(planned("multi", f"shift control {half}", seed, control_of="shift"))
            control = control.query("role == 'test'")
            same = shifted.loc[control["sample"]]
            gaps.append(
                roc_auc_score(control["label"], control["score:nll"]) - roc_auc_score(same["label"], same["score:nll"])
            )
    row = only(board, model="multi", split="shift", metric="gap")
    assert float(row["mean"]) == pytest.approx(np.mean(gaps), abs=1e-6)
    assert float(row["part_low"]) < float(row["mean"]) < float(row["part_high"])
    assert row["coverage"] == "6/6"


def test_both_scores_are_rows_and_the_first_keeps_the_model_s_name(board: pd.DataFrame) -> None:
    assert sorted(set(board["model"])) == ["multi", "single", "single [z2]"]
    # z2 is a rising function of nll here, so ranks and all that rests on them agree.
    first, second = (only(board, model=m, split="mean", metric="auroc")["mean"] for m in ("single", "single [z2]"))
    assert first == second


def test_pooled_escapes_count_each_part_once(board: pd.DataFrame) -> None:
    wrong = {}
    for split in ("fold", "shift"):
        for seed in (0, 1):
            frame = scores_of(planned("multi", split, seed))
            good = np.sort(frame.query("role == 'val' and label == 0")["score:nll"])
            cut = good[int(np.ceil((len(good) + 1) * 0.95)) - 1]
            for row in frame.query("role == 'test' and label == 1").itertuples():
                wrong.setdefault(row.sample, []).append(float(row[9] <= cut))
    expected = sum(float(np.mean(w)) for w in wrong.values())
    row = only(board, model="multi", split="pooled", metric="escapes", threshold="alpha=0.05")
    assert float(row["mean"]) == np.ceil(expected - 1e-9)
    bound = only(board, model="multi", split="pooled", metric="escape_upper", threshold="alpha=0.05")
    exact = stats.binomtest(int(float(row["mean"])), len(wrong), alternative="less").proportion_ci(0.95).high
    assert float(bound["mean"]) == pytest.approx(exact, abs=1e-6)


def test_bytes_do_not_depend_on_the_order_of_records_or_plan(run: RunStore, tmp_path: Path) -> None:
    other = build(tmp_path, small()[::-1])
    first = build_boards(run, run.read_plan()).files()
    second = build_boards(other, other.read_plan()).files()
    assert first == second


def test_a_missing_cell_leaves_blanks_and_no_mean(run: RunStore, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "r")
    store = RunStore(tmp_path / "r")
    lost = planned("single", "shift", 1)
    shutil.rmtree(store.folder(lost.id))
    boards = build_boards(store, store.read_plan())
    frame = table(boards.files()["unseen.csv"])
    row = only(frame, model="single", split="shift", metric="auroc")
    assert (row["mean"], row["part_low"], row["coverage"]) == ("", "", "1/2")
    for split in ("mean", "worst"):
        row = only(frame, model="single", split=split, metric="auroc")
        assert (row["mean"], row["seed_low"], row["part_low"], row["coverage"]) == ("", "", "", "3/4")
    assert only(frame, model="single", split="fold", metric="auroc")["mean"] != ""
    assert only(frame, model="single", split="mean", metric="gap")["mean"] == ""
    assert only(frame, model="single", split="mean", metric="gap")["coverage"] == "5/6"
    assert not len(frame[(frame["model"] == "single") & frame["metric"].isin(["tier"])])
    assert not len(frame[(frame["model"] == "single") & (frame["split"] == "pooled")])
    summary = table(boards.files()["overall.csv"])
    assert only(summary, model="single", split="mean", metric="auroc")["mean"] == ""
    assert only(summary, model="multi", split="mean", metric="auroc")["mean"] != ""
    assert "PARTIAL: 15 of 16 cells" in markdown(boards, boards.files())
    assert "PARTIAL: 15 of 16 cells" in terminal_table(boards)


def test_nothing_finished_gives_a_board_of_blanks(tmp_path: Path) -> None:
    cells = [planned("single", "fold", 0)]
    store = RunStore(tmp_path)
    store.write_plan(Plan("empty", "h", tuple(cells)))
    boards = build_boards(store, store.read_plan())
    frame = table(boards.files()["unseen.csv"])
    assert set(frame["coverage"]) == {"0/1"} and set(frame["mean"]) == {""}
    assert "PARTIAL: 0 of 1 cells" in markdown(boards, boards.files())


def test_a_damaged_scores_file_counts_as_missing_and_is_named(run: RunStore, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "r")
    store = RunStore(tmp_path / "r")
    path = store.folder(planned("single", "fold", 0).id) / "scores.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    boards = build_boards(store, store.read_plan())
    assert only(table(boards.files()["unseen.csv"]), model="single", split="fold", metric="auroc")["coverage"] == "1/2"
    assert len(boards.problems) == 1 and "scores.npz" in boards.problems[0]
    assert boards.problems[0] in markdown(boards, boards.files())


@pytest.mark.parametrize("name", ["localisation.npz", "view_evidence.npz", "other.bin"])
def test_a_damaged_attachment_counts_as_missing_and_is_named(run: RunStore, tmp_path: Path, name: str) -> None:
    shutil.copytree(run.path, tmp_path / "r")
    store, cell = RunStore(tmp_path / "r"), planned("single", "fold", 0).id
    store.write(*store.read(cell), {name: bytes(100)})
    (store.folder(cell) / name).write_bytes(bytes(99) + b"\1")
    assert store.status(cell) is not Status.DONE
    boards = build_boards(store, store.read_plan())
    assert only(table(boards.files()["unseen.csv"]), model="single", split="fold", metric="auroc")["coverage"] == "1/2"
    assert len(boards.problems) == 1 and name in boards.problems[0]
    assert boards.problems[0] in markdown(boards, boards.files())


@pytest.mark.parametrize("name", ["localisation.npz", "view_evidence.npz"])
def test_an_attachment_that_is_none_counts_as_missing_although_its_hash_is_right(
    run: RunStore, tmp_path: Path, name: str
) -> None:
    shutil.copytree(run.path, tmp_path / "r")
    store, cell = RunStore(tmp_path / "r"), planned("single", "fold", 0).id
    store.write(*store.read(cell), {name: b"forged"})
    assert store.status(cell) is Status.DONE
    boards = build_boards(store, store.read_plan())
    assert only(table(boards.files()["unseen.csv"]), model="single", split="fold", metric="auroc")["coverage"] == "1/2"
    (problem,) = boards.problems
    assert f"{name}: not a " in problem and "run again" in problem and "\n" not in problem


def test_a_model_that_does_not_apply_is_outside_coverage(tmp_path: Path) -> None:
    cells = [planned("multi", "fold", 0), planned("multi", "shift", 0, not_applicable="training holds one class")]
    store = build(tmp_path, cells, skipped=(("toy", "chronological", "column 'time' is absent"),), notes=("w: none",))
    boards = build_boards(store, store.read_plan())
    assert only(table(boards.files()["unseen.csv"]), model="multi", split="mean", metric="auroc")["coverage"] == "1/1"
    text = markdown(boards, boards.files())
    for sentence in ("training holds one class", "column 'time' is absent", "w: none", "complete: 1 cells (1 more"):
        assert sentence in text


def test_a_protocol_that_breaks_invariants_is_marked_in_every_row(tmp_path: Path) -> None:
    cells = [planned("multi", s, 0, "random_image", breaks=("parts", "content")) for s in ("a", "b")]
    # What a control breaks is no property of the protocol.
    cells += [planned("multi", s, 0, "honest") for s in ("a", "b")]
    cells += [planned("multi", "a control 0", 0, "honest", control_of="a", breaks=("absence",))]
    store = build(tmp_path, cells)
    boards = build_boards(store, store.read_plan())
    files = boards.files()
    mark = "random_image [breaks: content, parts]"
    assert set(table(files["random_image.csv"])["protocol"]) == {mark}
    assert set(table(files["honest.csv"])["protocol"]) == {"honest"}
    assert set(table(files["overall.csv"])["protocol"]) == {mark, "honest"}
    assert "MARKED" in markdown(boards, boards.files()) and "MARKED" in terminal_table(boards)


def test_no_row_holds_nan_or_a_number_that_is_out_of_range(board: pd.DataFrame) -> None:
    assert not board.isin(["nan", "inf", "-0.000000", "NaN"]).any().any()
    for column in ("mean", "seed_low", "seed_high", "part_low", "part_high"):
        shares = board[~board["metric"].isin(["escapes", "false_rejects", "good", "defective", "tier", "gap"])]
        values = pd.to_numeric(shares[column].replace("", np.nan)).dropna()
        assert values.between(0, 1).all()


def test_written_boards_are_the_bytes_and_stale_ones_go(run: RunStore, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "r")
    folder = tmp_path / "r" / "leaderboards"
    folder.mkdir()
    (folder / "gone_protocol.csv").write_text("old")
    boards = write_boards(tmp_path / "r")
    assert sorted(p.name for p in folder.iterdir()) == ["README.md", "cost.csv", "overall.csv", "unseen.csv"]
    for name, content in boards.files().items():
        assert (folder / name).read_bytes() == content
    with (folder / "cost.csv").open(newline="") as stream:
        cost = next(csv.DictReader(stream))
    assert (cost["model"], cost["cells"], cost["seconds_mean"], cost["peak_bytes_max"]) == (
        "multi",
        "8",
        "2.000000",
        "",
    )


def test_every_number_of_the_markdown_table_stands_in_the_csv(run: RunStore) -> None:
    boards = build_boards(run, run.read_plan())
    frame = table(boards.files()["overall.csv"])
    line = next(line for line in markdown(boards, boards.files()).splitlines() if "| multi " in line)
    cells = [c.strip() for c in line.strip("|").split("|")]
    row = only(frame, model="multi", split="mean", metric="auroc")
    assert cells[2].startswith(f"{float(row['mean']):.3f} (")
    escapes = only(frame, model="multi", split="pooled", metric="escapes", threshold="alpha=0.05")
    defective = only(frame, model="multi", split="pooled", metric="defective")
    assert cells[6].startswith(f"{float(escapes['mean']):.0f} of {float(defective['mean']):.0f}, at most")


def test_terminal_lines_fit(run: RunStore) -> None:
    boards = build_boards(run, run.read_plan())
    for width in (100, 118):
        assert max(map(len, terminal_table(boards, width).splitlines())) <= width
