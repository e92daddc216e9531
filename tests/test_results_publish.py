"""Publishing: the offline run holds the boards, nothing is sent twice, and what is missing is said at once."""

from __future__ import annotations

import csv
import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reshift.benchmark.live_log import LiveLog
from reshift.results import publish as module
from reshift.results.plan import PlannedCell
from reshift.results.publish import publish
from reshift.results.publish_cells import publish_cells
from reshift.results.store import RunStore
from reshift.results.wandb_file import read_wandb_file
from reshift.results.wandb_run import PublishError

COMMITTED = Path(__file__).parents[1] / "results" / "leaderboards" / "tiles"
HEADER = (
    "dataset,model,protocol,split,group,level,metric,threshold,n_seeds,n_parts,mean,"
    "seed_low,seed_high,part_low,part_high,coverage\n"
)
BOARD = HEADER + (
    "toy,flow,unseen,mean,all,part,auroc,,3,48,0.812345,0.700000,0.900000,,,6/6\n"
    'toy,"a, b",unseen,mean,all,part,auroc,,0,,,,,,,3/6\n'
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("DATA", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / name))
    folder = tmp_path / "run" / "leaderboards"
    folder.mkdir(parents=True)
    (folder / "overall.csv").write_text(BOARD)
    (folder / "unseen.csv").write_text(BOARD)
    (folder / "cost.csv").write_text("dataset,model,protocol,device,cells,seconds_mean,seconds_max,peak_bytes_max\n")
    return tmp_path / "run"


def test_the_offline_run_holds_every_cell_of_every_board(run: Path) -> None:
    assert "wandb sync" in publish(run, "inspection", mode="offline")
    (file,) = run.glob("wandb/offline-run-*/run-*.wandb")
    records = list(read_wandb_file(file))
    kinds = [r.WhichOneof("record_type") for r in records]
    assert kinds[-1] == "exit"
    started = next(r.run for r in records if r.WhichOneof("record_type") == "run")
    boards = sorted((run / "leaderboards").glob("*.csv"))
    assert (started.project, started.run_id) == ("inspection", module.boards_hash(boards)[:16])
    summary = {i.key: i.value_json for r in records for i in r.summary.update}
    assert summary["toy/unseen/flow/part/auroc/mean"] == "0.812345"
    logged = {
        (item.nested_key[0], item.nested_key[1]): json.loads(item.value_json)
        for r in records
        for item in r.history.item
        if len(item.nested_key) == 2
    }
    for board in boards:
        content = json.loads((file.parent / "files" / logged[f"boards/{board.stem}", "path"]).read_text())
        with board.open(newline="") as stream:
            columns, *rows = csv.reader(stream)
        assert content["columns"] == columns
        shown = [
            ["" if v is None else f"{v:.6f}" if isinstance(v, float) else str(v) for v in r] for r in content["data"]
        ]
        assert shown == rows
    artifact = next(r.artifact for r in records if r.artifact.type == "leaderboards")
    names = {entry.path for entry in artifact.manifest.contents}
    assert names == {"overall.csv", "unseen.csv", "cost.csv"}


def test_the_same_boards_are_published_once(run: Path) -> None:
    publish(run, "inspection", mode="offline")
    assert "already published" in publish(run, "inspection", mode="offline")
    (run / "leaderboards" / "cost.csv").write_text("other times\n")
    assert "already published" in publish(run, "inspection", mode="offline")
    assert len(list(run.glob("wandb/offline-run-*"))) == 1
    (run / "leaderboards" / "overall.csv").write_text(BOARD.replace("0.81", "0.82"))
    (run / "leaderboards" / "cost.csv").write_text("dataset\n")
    assert "wandb sync" in publish(run, "inspection", mode="offline")
    assert len(list(run.glob("wandb/offline-run-*/*.wandb"))) == 2


def test_the_report_goes_with_the_boards(run: Path) -> None:
    (run / "report").mkdir()
    (run / "report" / "index.html").write_text("<p>all of it</p>")
    publish(run, "inspection", mode="offline")
    (media,) = run.glob("wandb/offline-run-*/files/media/html/*.html")
    assert media.read_text() == "<p>all of it</p>"


@pytest.fixture
def computed(run: Path) -> tuple[Path, PlannedCell]:
    """A run folder that holds one trained cell of a committed board, and that cell."""
    committed = RunStore(COMMITTED)
    plan = committed.read_plan()
    cell = next(c for c in plan.cells if c.model == "classifier" and not c.not_applicable)
    RunStore(run).write_plan(replace(plan, cells=(cell,)))
    shutil.copytree(committed.folder(cell.id), RunStore(run).folder(cell.id))
    return run, cell


def logged(file: Path) -> list[dict[str, Any]]:
    """The history of an offline run, a dict a step."""
    return [
        {".".join(i.nested_key) or i.key: json.loads(i.value_json) for i in r.history.item}
        for r in read_wandb_file(file)
        if r.WhichOneof("record_type") == "history"
    ]


def test_a_cell_is_a_run_with_its_configuration_and_curve_and_is_sent_once(computed: tuple[Path, PlannedCell]) -> None:
    run, cell = computed
    assert publish_cells(run, "inspection", mode="offline") == "1 cells published in group run"
    (file,) = run.glob("wandb/offline-run-*/run-*.wandb")
    started = next(r.run for r in read_wandb_file(file) if r.WhichOneof("record_type") == "run")
    assert (started.run_id, started.run_group) == (cell.id, "run")
    config = {i.key: json.loads(i.value_json) for i in started.config.update}
    assert config["budget"] == cell.identity["budget"]
    record, _ = RunStore(run).read(cell.id)
    assert record.training is not None
    curve = [[step["_step"], step["validation_loss"]] for step in logged(file)]
    assert curve == record.training["validation_losses"]
    assert publish_cells(run, "inspection", mode="offline") == "0 cells published in group run"


def test_live_logging_follows_the_cells_and_never_stops_them(
    computed: tuple[Path, PlannedCell], capsys: pytest.CaptureFixture[str]
) -> None:
    run, cell = computed
    live = LiveLog([cell], 3, 1, run, "inspection", "offline")
    live.finished(cell.id, 12.5)
    live.close()
    (file,) = run.glob("wandb/offline-run-*/run-*.wandb")
    (step,) = logged(file)
    assert (step["cells/done"], step["cells/failed"], step["seconds/classifier"]) == (4, 0, 12.5)
    broken = LiveLog([cell], 3, 1, run, "inspection", "offline")
    broken.log.finish()  # from here on wandb refuses to log
    broken.finished(cell.id, 1.0)
    broken.close()
    assert broken.done == 4 and "live logging ended" in capsys.readouterr().err


def test_no_key_is_said_at_once(run: Path) -> None:
    import wandb  # noqa: F401  its import takes over a second and is no part of the promise

    start = time.monotonic()
    with pytest.raises(PublishError, match=r"no Weights & Biases key.*wandb login.*offline"):
        publish(run, "inspection")
    assert time.monotonic() - start < 1
    assert not (run / "published.json").exists()


def test_no_server_is_said_within_half_a_minute(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    start = time.monotonic()
    with pytest.raises(PublishError, match=r"Weights & Biases: .*check .*network"):
        publish(run, "inspection")
    assert time.monotonic() - start < 30
    assert not (run / "published.json").exists()


def test_a_run_without_boards_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match=r"no boards; run `reshift board"):
        publish(tmp_path, "inspection", mode="offline")


def test_a_damaged_run_file_is_noticed(run: Path) -> None:
    publish(run, "inspection", mode="offline")
    (file,) = run.glob("wandb/offline-run-*/run-*.wandb")
    content = bytearray(file.read_bytes())
    content[40] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match="damaged at byte"):
        list(read_wandb_file(file))


def test_a_column_is_of_numbers_only_if_all_of_it_is(tmp_path: Path) -> None:
    path = tmp_path / "partial.csv"
    path.write_text("model,split,bound,cells,escapes,skipped,missing\n7,1,0.05,1/1,2,0.25,\n8,2,0.01,3,,,\n")
    columns, rows = module.table_of(path)
    assert columns == ["model", "split", "bound", "cells", "escapes", "skipped", "missing"]
    assert rows == [["7", "1", 0.05, "1/1", 2, 0.25, ""], ["8", "2", 0.01, "3", None, None, ""]]
