"""A submission on a published board: marked, whole or not at all, comparable or refused; and confirmed by a rerun."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reshift.benchmark.accept import accepted, confirmed
from reshift.benchmark.cli import main
from reshift.results.acceptance import accept
from reshift.results.boards import build_boards
from reshift.results.leaderboard import write_boards
from reshift.results.plan import Plan, PlannedCell, identity_hash
from reshift.results.record import Record
from reshift.results.report.page import write_report
from reshift.results.report.prepare import prepare_report
from reshift.results.rerun import confirm
from reshift.results.store import RunStore
from reshift.results.submission import submission
from reshift.results.submission_archive import SubmissionError
from reshift.results.submitted_cells import SubmittedCell
from reshift.results.terminal import terminal_table

PARTS = 40
SPLITS = ("fold=0", "fold=1")
PUBLISHED = Path(__file__).parents[1] / "results" / "leaderboards"


def planned(model: str, split: str, seed: int, /, **other: Any) -> PlannedCell:
    """A cell as plans name it; `other` replaces parts of its identity."""
    identity = {
        "dataset": {"name": "toy", "version": 1, "fingerprint": "f" * 64},
        "size": 32,
        "pipeline": 1,
        "protocol": {"class": "reshift.splits:InDistribution", "version": "1", "args": {"folds": 2}, "seed": 0},
        "split": {"name": split, "digest": f"digest of {split}"},
        "model": {"class": f"pkg:{model}", "version": "1", "args": {}},
        "budget": {"steps": 100, "batch_size": 8, "checks": 2},
        "selection": "best_validation",
        "seed": seed,
        **other,
    }
    return PlannedCell(identity_hash(identity), identity, "toy", model, "in_distribution", split, seed)


def cells_of(model: str, seeds: tuple[int, ...] = (0, 1), /, **other: Any) -> list[PlannedCell]:
    return [planned(model, split, seed, **other) for seed in seeds for split in SPLITS]


def scores_of(cell: PlannedCell, lift: float) -> pd.DataFrame:
    draw = np.random.default_rng([int(cell.split[-1]), cell.seed, len(cell.model)])
    rows = []
    for role in ("test", "val"):
        for part in range(PARTS):
            label = part % 2
            name = f"{cell.split}-{role}-p{part}"
            rows.append(
                (f"{name}.png", name, "v0", role, label, label, "hub", "", "", "", draw.normal() + lift * label)
            )
    columns = ["sample", "part", "view", "role", "label", "observed_label", "component", "defect", "transmission"]
    return pd.DataFrame(rows, columns=[*columns, "acquisition", "score:score"])


def finished(
    path: Path,
    cells: list[PlannedCell],
    started: str = "2026-03-04T05:06:07+00:00",
    git: str = "0123456789ab",
    change: Callable[[PlannedCell, pd.DataFrame], pd.DataFrame] = lambda cell, scores: scores,
) -> RunStore:
    """A finished run of these cells, written as workers write it."""
    store = RunStore(path)
    store.write_plan(Plan(path.name, "inputs", tuple(cells), notes=("Parts are given.",)))
    for cell in cells:
        if not cell.not_applicable:
            scores = change(cell, scores_of(cell, 0.2 if cell.model == "floor" else 2.0))
            store.write(Record.of(cell, "image", {}, {"git": git, "started": started, "seconds": 1.5}), scores)
    write_boards(path)
    return store


@pytest.fixture
def board(tmp_path: Path) -> RunStore:
    """A published board of one model with two seeds and a floor with one."""
    return finished(tmp_path / "boards" / "toy", [*cells_of("flow"), *cells_of("floor", (0,))])


def packed(path: Path, cells: list[PlannedCell], **given: Any) -> Path:
    archive = path.with_suffix(".zip")
    archive.write_bytes(submission(finished(path, cells, **given), {}))
    return archive


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Somebody's run of a new model and of the board's floor."""
    return packed(tmp_path / "theirs", [*cells_of("newcomer"), *cells_of("floor", (0,))])


def state(folder: Path) -> dict[str, bytes]:
    """All that is published of a folder; `.boards` is what can be computed again."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".boards" not in path.parts
    }


def provenance_of(store: RunStore) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((store.path / "leaderboards" / "provenance.csv").read_text())))


def refusal(pack: Path, board: RunStore) -> str:
    """The line that refuses a pack, which leaves the board as it is."""
    before = state(board.path)
    with pytest.raises(SubmissionError) as refused:
        accept(pack, board.path)
    assert state(board.path) == before
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_rows_of_a_submission_come_marked_and_change_no_other_cell(board: RunStore, pack: Path) -> None:
    before = state(board.path)
    found = accept(pack, board.path)
    assert (found.models, found.added, found.already) == (("newcomer",), 4, 2)
    after = state(board.path)
    cells = {name: content for name, content in before.items() if name.startswith("cells/")}
    assert {name: after[name] for name in cells} == cells
    theirs = RunStore(pack.with_suffix(""))
    for cell in cells_of("newcomer"):
        for name in ("record.json", "scores.npz"):
            assert after[f"cells/{cell.id}/{name}"] == (theirs.folder(cell.id) / name).read_bytes()
    assert len([name for name in after if name.startswith("cells/")]) == len(cells) + 8
    (row,) = provenance_of(board)
    assert row == {
        "dataset": "toy",
        "model": "newcomer",
        "protocol": "in_distribution",
        "status": "self-reported",
        "cells": "4",
        "packs": hashlib.sha256(pack.read_bytes()).hexdigest(),
        "code": "0123456789ab",
        "rerun_code": "",
        "rerun_date": "",
    }


def test_readme_terminal_and_report_show_the_mark_and_explain_it_once(board: RunStore, pack: Path) -> None:
    accept(pack, board.path)
    readme = (board.path / "leaderboards" / "README.md").read_text(encoding="utf-8")
    assert "| newcomer † |" in readme and "| flow " in readme and "flow †" not in readme and "floor †" not in readme
    assert readme.count("self-reported, handed in with code 0123456789ab") == 1
    shown = terminal_table(build_boards(board, board.read_plan()))
    assert "newcomer †" in shown and "floor †" not in shown and shown.count("self-reported") == 1
    page = write_report(prepare_report(board.path, 0)).read_text(encoding="utf-8")
    assert page.count('<th scope="row">newcomer †</th>') == 3 and "flow †" not in page
    assert page.count("self-reported, handed in") == 1


def test_boards_without_submissions_have_no_word_of_them(board: RunStore) -> None:
    files = build_boards(board, board.read_plan()).files()
    assert "provenance.csv" not in files
    assert "provenance" not in (board.path / "leaderboards" / "README.md").read_text(encoding="utf-8")


def test_a_second_accept_changes_nothing(board: RunStore, pack: Path) -> None:
    accept(pack, board.path)
    before = state(board.path)
    assert accept(pack, board.path).added == 0
    assert state(board.path) == before
    assert "nothing to add" in accepted(pack, board.path)[0]


def test_a_new_board_takes_all_of_it_under_its_own_name(pack: Path, tmp_path: Path) -> None:
    new = RunStore(tmp_path / "boards" / "fresh")
    assert accept(pack, new.path).added == 6
    assert new.read_plan().name == "fresh"
    assert {row["model"]: row["status"] for row in provenance_of(new)} == dict.fromkeys(
        ("newcomer", "floor"), "self-reported"
    )
    with pytest.raises(SubmissionError, match="handed in by others; submit a run of your own"):
        submission(new, {})


def test_a_folder_that_is_no_board_is_not_made_one(pack: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "p.png").write_bytes(b"")
    with pytest.raises(SubmissionError, match=r"no board, yet holds p\.png; name a board's folder"):
        accept(pack, tmp_path / "photos")


def test_a_forged_pack_leaves_the_board_alone(board: RunStore, pack: Path) -> None:
    with zipfile.ZipFile(pack) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = "leaderboards/overall.csv"
    files[name] = files[name].replace(b"0.9", b"1.0", 1)
    manifest = json.loads(files.pop("submission.json"))
    manifest["files"][name] = {"bytes": len(files[name]), "sha256": hashlib.sha256(files[name]).hexdigest()}
    with zipfile.ZipFile(pack, "w") as archive:
        for member, content in {"submission.json": json.dumps(manifest).encode(), **files}.items():
            archive.writestr(member, content)
    assert "the scores give" in refusal(pack, board)


@pytest.mark.parametrize("new", [False, True])
def test_a_break_at_any_moment_leaves_nothing_half_in(
    board: RunStore, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: bool
) -> None:
    where = tmp_path / "boards" / "fresh" if new else board.path
    twin = tmp_path / "twin" / where.name
    for name, content in state(where).items():
        (twin / name).parent.mkdir(parents=True, exist_ok=True)
        (twin / name).write_bytes(content)
    accept(pack, twin)
    whole, before = state(twin), state(where)
    real, left = os.replace, 0

    def replaced(source: str, target: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(5, "Input/output error", str(target))
        real(source, target)

    monkeypatch.setattr(os, "replace", replaced)
    kept = 0
    for moment in range(100):
        left = moment
        try:
            accept(pack, where)
        except OSError:
            if (where / "plan.json").exists() and (where / "plan.json").read_bytes() == whole["plan.json"]:
                # The plan is the moment of truth: all cells and marks are there, boards may be those of before.
                assert {n: c for n, c in state(where).items() if n.startswith(("cells/", "submitted"))} == {
                    n: c for n, c in whole.items() if n.startswith(("cells/", "submitted"))
                }
            else:
                assert state(where) == before
                kept += 1
            continue
        break
    assert state(where) == whole
    assert kept >= 9


def test_a_kill_before_the_plan_is_made_up_for(board: RunStore, pack: Path, tmp_path: Path) -> None:
    theirs, cell = RunStore(pack.with_suffix("")), planned("newcomer", "fold=0", 0)
    before = state(board.path)["leaderboards/overall.csv"]
    board.take(cell.id, theirs)  # a stray cell that no plan names and no mark belongs to
    write_boards(board.path)
    assert state(board.path)["leaderboards/overall.csv"] == before
    accept(pack, board.path)
    assert set(board.submitted()) == {c.id for c in cells_of("newcomer")}


OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "data": (
        {"dataset": {"name": "toy", "version": 1, "fingerprint": "0" * 64}},
        r"not the board's data and split, dataset.fingerprint \(ffffffffffff\.\.\. -> 000000000000",
    ),
    "size": ({"size": 64}, r"not the board's data and split, size \(32 -> 64\)"),
    "folds": (
        {"protocol": {"class": "reshift.splits:InDistribution", "version": "1", "args": {"folds": 3}, "seed": 0}},
        r"protocol.args.folds \(2 -> 3\)",
    ),
    "budget": (
        {"budget": {"steps": 900, "batch_size": 8, "checks": 2}},
        r"another budget or selection than any model of this board, budget.steps \(100 -> 900\)",
    ),
    "selection": ({"selection": "last"}, r"another budget .*, selection \(best_validation -> last\)"),
    "trials": ({"tuning": {"trials": 20, "space": {}}}, r"another budget .*, trials \(1 -> 20\)"),
}


@pytest.mark.parametrize(("other", "said"), OTHERS.values(), ids=OTHERS)
def test_cells_that_cannot_be_compared_are_refused(
    board: RunStore, tmp_path: Path, other: dict[str, Any], said: str
) -> None:
    pack = packed(tmp_path / "theirs", cells_of("newcomer", **other))
    with pytest.raises(SubmissionError, match=said):
        accept(pack, board.path)
    assert "newcomer on in_distribution/fold=0 of toy, seed 0: " in refusal(pack, board)


def test_other_splits_protocols_and_seeds_are_refused(board: RunStore, tmp_path: Path) -> None:
    cells = cells_of("newcomer")
    no_seed = packed(tmp_path / "one", cells_of("newcomer", (0,)))
    assert "newcomer on in_distribution/fold=0 of toy: the board also has seed 1; run all" in refusal(no_seed, board)
    no_split = packed(tmp_path / "two", [cell for cell in cells if cell.split == "fold=0"])
    assert "in_distribution/fold=1 of toy: the board also has seed 0, 1" in refusal(no_split, board)
    shift = packed(tmp_path / "three", [replace(cell, protocol="unseen") for cell in cells])
    assert "not a protocol of this board, which has in_distribution on toy" in refusal(shift, board)
    renamed = [replace(cell, split="fold=9") for cell in cells]
    assert "the board has no such split" in refusal(packed(tmp_path / "four", renamed), board)
    control = packed(
        tmp_path / "five", [replace(cell, control_of="fold=1") for cell in cells if cell.split == "fold=0"]
    )
    assert "control_of ( -> fold=1)" in refusal(control, board)


def test_a_leaking_split_cannot_lose_its_mark_on_the_way(tmp_path: Path) -> None:
    leaky = [replace(cell, breaks=("parts",)) for cell in cells_of("flow")]
    board = finished(tmp_path / "boards" / "leaky", leaky)
    assert "breaks (('parts',) -> ())" in refusal(packed(tmp_path / "theirs", cells_of("newcomer")), board)


def test_a_floor_needs_no_more_seeds_than_the_board_gives_it(board: RunStore, tmp_path: Path) -> None:
    floor = cells_of("brighter", (0,), model={"class": "pkg:floor", "version": "1", "args": {"brighter": True}})
    assert accept(packed(tmp_path / "theirs", floor), board.path).added == 2


def test_a_name_stands_for_one_method(board: RunStore, tmp_path: Path) -> None:
    other = {"class": "pkg:flow", "version": "1", "args": {"lr": 0.1}}
    pack = packed(tmp_path / "theirs", cells_of("flow", model=other))
    assert "the board has another model of this name, model.args.lr (None -> 0.1); give yours" in refusal(pack, board)
    renamed = packed(tmp_path / "renamed", [replace(cell, model="mine") for cell in cells_of("flow")])
    assert "the board has this very cell as flow on" in refusal(renamed, board)


def test_a_cell_that_a_plan_leaves_out_is_shown_to_who_accepts_it(board: RunStore, tmp_path: Path) -> None:
    cells = [replace(c, not_applicable="too hard" if c.split == "fold=1" else "") for c in cells_of("newcomer")]
    told = accepted(packed(tmp_path / "theirs", cells), board.path)
    assert "left out by its plan, look at why: newcomer on in_distribution/fold=1: too hard" in told


def test_a_cell_taken_to_another_run_stays_self_reported(board: RunStore, pack: Path, tmp_path: Path) -> None:
    accept(pack, board.path)
    other, cell = RunStore(tmp_path / "merged"), planned("newcomer", "fold=0", 0)
    other.write_plan(board.read_plan())
    other.take(cell.id, board)
    other.take(planned("flow", "fold=0", 0).id, board)
    assert other.submitted() == {cell.id: SubmittedCell(hashlib.sha256(pack.read_bytes()).hexdigest())}


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"schema": 9, "cells": {}}', '{"schema": 1, "cells": {"a": {"pack": 3}}}']
)
def test_a_damaged_note_of_who_handed_in_what_is_said(board: RunStore, text: str) -> None:
    (board.path / "submitted.json").write_text(text)
    with pytest.raises(ValueError, match=r"submitted\.json: does not say which cells were handed in"):
        build_boards(board, board.read_plan())


AGAIN = {"started": "2026-05-06T07:08:09+00:00", "git": "fedcba987654"}


def test_a_rerun_that_agrees_lifts_the_mark(board: RunStore, pack: Path, tmp_path: Path) -> None:
    accept(pack, board.path)
    again = finished(tmp_path / "again", cells_of("newcomer"), **AGAIN)  # type: ignore[arg-type]
    (found,) = confirm(board.path, again.path)
    assert found.agrees and (found.score, found.figure, found.where) == (0.0, 0.0, "")
    (row,) = provenance_of(board)
    assert (row["status"], row["rerun_code"], row["rerun_date"]) == ("re-run", "fedcba987654", "2026-05-06")
    readme = (board.path / "leaderboards" / "README.md").read_text(encoding="utf-8")
    assert "†" not in readme
    assert "newcomer: handed in with code 0123456789ab; run again by others with code fedcba987654 on 2026-05" in readme
    with pytest.raises(SubmissionError, match="no row of it is self-reported"):
        confirm(board.path, again.path)
    before = state(board.path)
    accept(pack, board.path)
    assert state(board.path) == before


def test_scores_that_differ_by_rounding_agree_and_the_difference_is_measured(
    board: RunStore, pack: Path, tmp_path: Path
) -> None:
    accept(pack, board.path)
    again = finished(
        tmp_path / "again",
        cells_of("newcomer"),
        change=lambda cell, scores: scores.assign(**{"score:score": scores["score:score"] + 1e-5 * (cell.seed == 1)}),
        **AGAIN,
    )
    lines, agree = confirmed(board.path, again.path)
    assert agree and lines[0].startswith("agrees   newcomer on in_distribution of toy: 4 cells, largest difference of")
    assert "a score 1e-05, of a figure 0" in lines[0]


def test_a_rerun_with_other_figures_keeps_the_mark_and_says_which(
    board: RunStore, pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accept(pack, board.path)
    before = state(board.path)
    again = finished(
        tmp_path / "again",
        cells_of("newcomer"),
        change=lambda cell, scores: scores.assign(**{"score:score": scores["score:score"] - 3 * scores["label"]}),
        **AGAIN,
    )
    assert main(["confirm", str(board.path), str(again.path)]) == 1
    told = capsys.readouterr().out
    assert told.startswith("differs  newcomer on in_distribution of toy: largest difference of a score 3, of a figure")
    assert "overall.csv: " in told and "submitted" in told and "run again; stays marked" in told
    assert state(board.path) == before


def test_other_samples_are_an_endless_difference(board: RunStore, pack: Path, tmp_path: Path) -> None:
    accept(pack, board.path)
    again = finished(
        tmp_path / "again",
        cells_of("newcomer"),
        change=lambda cell, scores: scores.assign(sample="other-" + scores["sample"]),
        **AGAIN,
    )
    (found,) = confirm(board.path, again.path)
    assert found.score == float("inf")


def test_a_part_of_the_cells_lifts_nothing_and_copies_are_no_rerun(board: RunStore, pack: Path, tmp_path: Path) -> None:
    accept(pack, board.path)
    half = finished(tmp_path / "half", cells_of("newcomer", (0,)), **AGAIN)  # type: ignore[arg-type]
    lines, agree = confirmed(board.path, half.path)
    assert not agree and lines[0].startswith("partial  newcomer on in_distribution of toy: 2 of 4 cells run again")
    assert provenance_of(board)[0]["status"] == "self-reported"
    with pytest.raises(SubmissionError, match="is the submitted record itself; run the cells"):
        confirm(board.path, pack.with_suffix(""))
    with pytest.raises(SubmissionError, match="has none of the 4 self-reported cells"):
        confirm(board.path, finished(tmp_path / "none", cells_of("flow"), **AGAIN).path)  # type: ignore[arg-type]


def test_committed_boards_stay_as_they_are_to_the_byte() -> None:
    run = PUBLISHED / "tiles-tuned"
    store = RunStore(run)
    for name, content in build_boards(store, store.read_plan()).files().items():
        assert name == "cost.csv" or content == (run / "leaderboards" / name).read_bytes()


def test_the_command_line_accepts_into_a_new_board(
    pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = tmp_path / "boards" / "fresh"
    assert main(["accept", str(pack), "--into", str(where)]) == 0
    told = capsys.readouterr().out
    assert "6 cells of floor, newcomer, marked † self-reported" in told and "reshift confirm" in told
    assert main(["accept", str(tmp_path / "none.zip"), "--into", str(where)]) == 2
