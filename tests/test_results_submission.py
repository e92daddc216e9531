"""A finished run handed in: packed to the byte, every board recomputed, whatever was changed refused in one line."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reshift.benchmark.submit import checked, submit
from reshift.results import submission_archive
from reshift.results.plan import Plan, PlanError, PlannedCell, identity_hash
from reshift.results.record import Record
from reshift.results.store import RunStore
from reshift.results.submission import Accepted, check_submission, submission
from reshift.results.submission_archive import SubmissionError

PARTS = 40


def planned(split: str, model: str = "flow") -> PlannedCell:
    identity = {"model": model, "split": split}
    return PlannedCell(identity_hash(identity), identity, "toy", model, "in_distribution", split, 0)


def scores_of(split: str, lift: float = 1.0) -> pd.DataFrame:
    draw = np.random.default_rng(len(split) + ord(split[-1]))
    rows = []
    for role in ("test", "val"):
        for part in range(PARTS):
            label = part % 2
            names = (
                f"{split}/{role}/p{part}.png",
                f"{split}-{role}-p{part}",
                "v0",
                role,
                label,
                label,
                "hub",
                "",
                "",
                "",
            )
            rows.append((*names, draw.normal() + lift * label))
    columns = ["sample", "part", "view", "role", "label", "observed_label", "component", "defect", "transmission"]
    return pd.DataFrame(rows, columns=[*columns, "acquisition", "score:score"])


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """A finished run of two models on two splits."""
    cells = tuple(planned(split, model) for split in ("fold=0", "fold=1") for model in ("flow", "floor"))
    store = RunStore(tmp_path / "runs" / "toy")
    store.write_plan(Plan("toy", "inputs", cells, notes=("Parts are given.",)))
    for cell in cells:
        run = {"git": "0123456789ab", "seconds": 1.5, "device": "cpu: test"}
        store.write(Record.of(cell, "image", {}, run), scores_of(cell.split, 2.0 if cell.model == "flow" else 0.3))
    return store


@pytest.fixture
def pack(store: RunStore, tmp_path: Path) -> Path:
    path = tmp_path / "toy.zip"
    path.write_bytes(submission(store, {}))
    return path


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path: Path, files: dict[str, bytes]) -> None:
    """A forger's archive: changed files under a manifest whose checksums hold."""
    manifest = json.loads(files["submission.json"])
    others = {name: content for name, content in files.items() if name != "submission.json"}
    manifest["files"] = {n: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in others.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {"submission.json": json.dumps(manifest).encode(), **others}.items():
            archive.writestr(name, content)


def refusal(path: Path) -> str:
    with pytest.raises(SubmissionError) as refused:
        check_submission(path)
    told = str(refused.value)
    assert "\n" not in told and "/tmp" not in told.replace(str(path), "")
    return told


def cell_file(files: dict[str, bytes], end: str) -> str:
    return next(name for name in sorted(files) if name.endswith(end))


def test_a_finished_run_is_accepted_and_packed_to_the_byte(store: RunStore, pack: Path) -> None:
    assert check_submission(pack) == Accepted("toy", 4, 0, 3, ("0123456789ab",))
    assert submission(store, {}) == pack.read_bytes()
    files = members(pack)
    assert json.loads(files["submission.json"])["status"] == "self-reported"
    head = files["leaderboards/README.md"].decode().partition("## ")[0]
    assert "Self-reported" in head and "Parts are given." in head


def test_the_commands_write_and_check_a_file(store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "wrote toy.submission.zip" in submit(store.path, None)[0]
    told = "\n".join(checked(Path("toy.submission.zip")))
    assert "accepted" in told and "self-reported" in told and "code 0123456789ab" in told
    with pytest.raises(SubmissionError, match="nowhere: no such folder; make it"):
        submit(store.path, Path("nowhere/toy.zip"))


def test_no_picture_no_weights_no_log_and_no_cache_is_packed(store: RunStore, tmp_path: Path) -> None:
    before = submission(store, {})
    folder = next((store.path / "cells").iterdir())
    for name in ("weights.pt", "map.png", "train.log", "lease"):
        (folder / name).write_bytes(b"not theirs")
    assert submission(store, {}) == before


def test_an_unfinished_run_is_no_submission(store: RunStore) -> None:
    (store.folder(planned("fold=0").id) / "record.json").unlink()
    with pytest.raises(SubmissionError, match=r"not a finished run: .*no record; run the cell"):
        submission(store, {})


def test_a_secret_of_the_environment_is_not_handed_in(store: RunStore) -> None:
    plan = store.read_plan()
    store.write_plan(replace(plan, notes=("fetched with hunter2hunter2",)))
    assert submission(store, {"HOME": "hunter2hunter2", "API_KEY": "", "TOKEN": "toy"})
    with pytest.raises(SubmissionError, match=r"holds the value of WANDB_API_KEY; take it out") as refused:
        submission(store, {"WANDB_API_KEY": "hunter2hunter2"})
    assert "hunter2" not in str(refused.value)


def test_a_changed_score_is_refused(pack: Path) -> None:
    files = members(pack)
    name = cell_file(files, "scores.npz")
    content = bytearray(files[name])
    content[len(content) // 2] ^= 1
    rewrite(pack, {**files, name: bytes(content)})
    assert f"{name}: sha256 does not match the record's" in refusal(pack)


def test_better_scores_under_a_record_that_fits_them_no_longer_give_the_boards(
    store: RunStore, pack: Path, tmp_path: Path
) -> None:
    old = members(pack)
    cell = planned("fold=0", "floor")
    store.write(Record.of(cell, "image", {}, store.read(cell.id)[0].run), scores_of("fold=0", 9.0))
    forged = {n: (store.path / n).read_bytes() if n.startswith(f"cells/{cell.id}/") else c for n, c in old.items()}
    rewrite(pack, forged)
    told = refusal(pack)
    assert told.startswith("leaderboards/") and "the scores give" in told


@pytest.mark.parametrize("board", ["overall.csv", "in_distribution.csv", "cost.csv"])
def test_a_changed_csv_is_refused_by_its_row_and_column(pack: Path, board: str) -> None:
    files = members(pack)
    name = f"leaderboards/{board}"
    lines = files[name].decode().splitlines()
    last = len(lines[0].split(",")) - 1 if board == "cost.csv" else lines[0].split(",").index("mean")
    fields = lines[2].split(",")
    fields[last] = "0.999999"
    lines[2] = ",".join(fields)
    rewrite(pack, {**files, name: ("\n".join(lines) + "\n").encode()})
    told = refusal(pack)
    assert told.startswith(f"{name}, row 3 (toy,") and f"{lines[0].split(',')[last]} is '0.999999', the scores" in told


def test_an_added_row_is_refused(pack: Path) -> None:
    files = members(pack)
    name = "leaderboards/overall.csv"
    rewrite(pack, {**files, name: files[name] + files[name].splitlines()[-1] + b"\n"})
    assert name in refusal(pack)


def test_a_note_taken_off_the_board_is_refused(pack: Path) -> None:
    files = members(pack)
    name = "leaderboards/README.md"
    rewrite(pack, {**files, name: files[name].replace(b"**Self-reported**", b"**Verified**")})
    assert f"{name}, line" in refusal(pack)


def test_another_status_than_self_reported_is_refused(pack: Path) -> None:
    files = members(pack)
    rewrite(pack, {**files, "submission.json": files["submission.json"].replace(b"self-reported", b"verified")})
    assert "status 'verified' is not 'self-reported'" in refusal(pack)


def test_a_changed_record_is_refused(pack: Path) -> None:
    files = members(pack)
    name = cell_file(files, "record.json")
    rewrite(pack, {**files, name: files[name].replace(b'"seconds": 1.5', b'"seconds": 0.5')})
    assert f"{name}: checksum does not match" in refusal(pack)


def test_a_record_of_another_identity_is_refused(store: RunStore, pack: Path) -> None:
    cell = planned("fold=0")
    other = replace(cell, identity={**cell.identity, "budget": 1})
    store.write(Record.of(other, "image", {}, {"git": "0123456789ab"}), scores_of("fold=0"))
    with pytest.raises(SubmissionError, match="identity is not the plan's"):
        submission(store, {})
    plan = store.read_plan()
    store.write_plan(replace(plan, cells=tuple(other if c.id == other.id else c for c in plan.cells)))
    with pytest.raises(SubmissionError, match="is not the hash of its identity"):
        submission(store, {})


def test_a_plan_that_lost_a_bad_cell_is_refused(pack: Path) -> None:
    files = members(pack)
    plan = json.loads(files["plan.json"])
    plan["cells"].pop()
    del plan["checksum"]  # as a forger would
    rewrite(pack, {**files, "plan.json": json.dumps(plan).encode()})
    assert "belongs to no cell or board of its plan" in refusal(pack) or "the scores give" in refusal(pack)


def test_a_changed_file_under_the_old_manifest_is_refused(pack: Path) -> None:
    files = members(pack)
    with zipfile.ZipFile(pack, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content + b" " if name == "plan.json" else content)
    assert refusal(pack) == "plan.json: sha256 does not match the manifest's; pack the run again"


@pytest.mark.parametrize("name", ["../evil.csv", "/etc/evil.csv", "cells/../../evil.npz", "leaderboards/../plan.json"])
def test_a_path_that_leads_outside_is_refused_and_nothing_is_written(pack: Path, name: str) -> None:
    with zipfile.ZipFile(pack, "a") as archive:
        archive.writestr(name, b"evil")
    assert "no file of a submission has this path" in refusal(pack)
    assert not (pack.parent / "evil.csv").exists()


@pytest.mark.parametrize("target", ["plan.json", "leaderboards/more.csv"])
def test_a_link_is_refused(pack: Path, target: str) -> None:
    files = members(pack)
    with zipfile.ZipFile(pack, "w") as archive:
        for name, content in files.items():
            if name != target:
                archive.writestr(name, content)
        link = zipfile.ZipInfo(target)
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert "a link or device, not a plain file" in refusal(pack)


def test_a_file_twice_is_refused(pack: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(pack, "a") as archive:
        archive.writestr("plan.json", b"{}")
    assert "stands in the archive twice" in refusal(pack)


def test_an_archive_that_unpacks_to_too_much_is_refused(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission_archive, "MOST_BYTES", pack.stat().st_size + 10)
    assert "unpacks to more than" in refusal(pack)


def test_scores_that_unpack_to_too_much_are_refused(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = members(pack)
    name = cell_file(files, "scores.npz")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("c00.npy", bytes(3_000_000))
    rewrite(pack, {**files, name: buffer.getvalue()})
    monkeypatch.setattr(submission_archive, "MOST_BYTES", 2_000_000)
    assert f"{name}: its arrays unpack to more than" in refusal(pack)


def test_a_name_that_is_no_utf8_is_refused(pack: Path) -> None:
    content = bytearray(pack.read_bytes())
    head = content.index(b"PK\x01\x02")
    content[head + 9] |= 0x08  # its name is said to be UTF-8
    content[head + 46] = 0xDA
    pack.write_bytes(content)
    assert "not a readable zip archive ('utf-8' codec" in refusal(pack)


def test_a_schema_of_any_length_is_refused_in_a_short_line(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(json.dumps({"schema": "x" * 5000}))
    with pytest.raises(PlanError) as refused:
        RunStore(tmp_path).read_plan()
    assert "plan schema xxx" in str(refused.value) and len(str(refused.value)) < 500


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: content.replace(b"PK\x03\x04", b"XX\x03\x04"),
    ],
)
def test_a_torn_archive_is_refused(pack: Path, damage: Callable[[bytes], bytes]) -> None:
    pack.write_bytes(damage(pack.read_bytes()))
    assert "not a readable zip archive" in refusal(pack)


@pytest.mark.parametrize(
    "text", [b"[]", b"{", b'{"schema": 9}', b"[" * 100_000, b"null", b'{"schema": 1, "status": []}']
)
def test_a_manifest_that_is_none_is_refused(pack: Path, text: bytes) -> None:
    files = members(pack)
    with zipfile.ZipFile(pack, "w") as archive:
        for name, content in {**files, "submission.json": text}.items():
            archive.writestr(name, content)
    assert "submission.json" in refusal(pack)


def test_values_of_any_type_in_a_plan_are_a_refusal(pack: Path) -> None:
    files = members(pack)
    for value in ([], 3, {"cells": None}, {**json.loads(files["plan.json"]), "notes": 5}):
        rewrite(pack, {**files, "plan.json": json.dumps(value).encode()})
        assert refusal(pack)


def test_no_file_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match="no such file; `reshift submit RUN` writes one"):
        check_submission(tmp_path / "none.zip")


def test_committed_boards_can_be_handed_in(tmp_path: Path) -> None:
    run = Path(__file__).parents[1] / "results" / "leaderboards" / "tiles-tuned"
    path = tmp_path / "tiles-tuned.zip"
    path.write_bytes(submission(RunStore(run), {}))
    assert check_submission(path).boards >= 3
    ours = {name: content for name, content in members(path).items() if name.endswith(".csv")}
    for name, content in ours.items():
        assert name.endswith("cost.csv") or (run / name).read_bytes() == content
