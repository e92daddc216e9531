"""The main job on a stranger's small pictures: run, resume, survive, refuse; commands called in process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import write_parts

from reshift.benchmark.cli import main

TINY = Path(__file__).parent / "tiny.yaml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which preset tiny ran once, with one worker: `photos/parts.csv` and `runs/tiny`."""
    folder = tmp_path_factory.mktemp("finished")
    write_parts(folder / "photos", 60)
    before = Path.cwd()
    os.chdir(folder)
    cache = os.environ.get("RESHIFT_CACHE")
    os.environ["RESHIFT_CACHE"] = str(folder / "cache")
    try:
        assert main(run_arguments()) == 0
        yield folder
    finally:
        os.chdir(before)
        if cache is None:
            del os.environ["RESHIFT_CACHE"]
        else:
            os.environ["RESHIFT_CACHE"] = cache


@pytest.fixture
def workplace(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own folder with the same pictures and warm caches, but no run."""
    shutil.copytree(finished / "photos", tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESHIFT_CACHE", str(finished / "cache"))
    return tmp_path


def run_arguments(*more: str, preset: Path = TINY) -> list[str]:
    return ["run", "--preset", str(preset), "--manifest", "photos/parts.csv", *more]


def boards(run: Path) -> dict[str, bytes]:
    """The CSVs that must not depend on how a run went; measured costs are no part of it."""
    return {p.name: p.read_bytes() for p in (run / "leaderboards").glob("*.csv") if p.name != "cost.csv"}


def test_every_model_stands_on_every_board_without_a_blank(finished: Path) -> None:
    found = boards(finished / "runs/tiny")
    assert set(found) == {"overall.csv", "in_distribution.csv", "contamination-20.csv", "removals.csv"}
    lines = [line.split(",") for line in found["overall.csv"].decode().splitlines()]
    head, rows = lines[0], lines[1:]
    assert {row[head.index("model")] for row in rows} >= {"size_brightness", "classifier", "differnet_iterative"}
    assert all(row[head.index("mean")] for row in rows if row[head.index("metric")] == "auroc")
    assert (finished / "runs/tiny/leaderboards/README.md").read_text().count("classifier") >= 2


def test_a_finished_run_trains_nothing_and_does_not_even_import_torch(finished: Path) -> None:
    before = boards(finished / "runs/tiny")
    code = (
        "import sys; from reshift.benchmark.cli import main; status = main(sys.argv[1:]); "
        "assert 'torch' not in sys.modules, 'torch was imported'; sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code, *run_arguments()], cwd=finished, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert boards(finished / "runs/tiny") == before


def test_two_workers_give_the_same_boards_as_one(finished: Path, workplace: Path) -> None:
    assert main(run_arguments("--workers", "2")) == 0
    assert boards(workplace / "runs/tiny") == boards(finished / "runs/tiny")


def test_kill_and_run_again_gives_the_same_boards(finished: Path, workplace: Path) -> None:
    command = [sys.executable, "-m", "reshift.benchmark", *run_arguments("--workers", "2")]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(list(workplace.glob("runs/tiny/cells/*/record.json"))) < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {p: p.read_bytes() for p in workplace.glob("runs/tiny/cells/*/record.json")}
    assert main(run_arguments()) == 0
    assert boards(workplace / "runs/tiny") == boards(finished / "runs/tiny")
    assert all(path.read_bytes() == content for path, content in kept.items()), "a finished cell was computed again"


def test_a_folder_of_another_plan_is_refused_and_says_what_differs(
    finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished)
    assert main(run_arguments("--steps", "9")) == 2
    assert "budget.steps (8 -> 9)" in capsys.readouterr().err


def test_a_failing_cell_is_named_and_costs_only_itself(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workplace / "broken.py").write_text(
        "import torch\n"
        "from reshift.models.base import InspectionModule\n"
        "class Exploding(InspectionModule):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.w = torch.nn.Parameter(torch.zeros(()))\n"
        "    def training_step(self, batch, batch_idx):\n"
        "        return self.w * float('nan')\n"
        "    def configure_optimizers(self):\n"
        "        return torch.optim.SGD(self.parameters(), 0.1)\n"
        "    def validation_loss(self, batch):\n"
        "        return self.w * 0\n"
        "    def score(self, batch):\n"
        "        return batch['image'].mean((1, 2, 3))\n"
        "class Dying(Exploding):\n"
        "    def training_step(self, batch, batch_idx):\n"
        "        import os\n"
        "        os._exit(9)\n",
        encoding="utf-8",
    )
    models = ("--models", "size_brightness", "broken.py:Exploding", "broken.py:Dying")
    assert main(run_arguments("--protocols", "in_distribution", *models)) == 1
    assert main(["status", "tiny"]) == 1
    told = capsys.readouterr().out
    assert "1 done, 0 running, 2 failed, 0 pending of 3 cells" in told
    assert "training loss is nan at step 1; lower the learning rate" in told
    assert "its worker process died (exit code 9)" in told


def test_dry_run_writes_nothing(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(run_arguments("--dry-run")) == 0
    assert "8 cells to compute, nothing was written" in capsys.readouterr().out
    assert not (workplace / "runs").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("args: {backbone: test_efficientnet, weights: none, lr: 0.003}", "Option 'learning_rate' is not accepted"),
        ("use: size_brightness", "'no_such_model' is none of"),
        ("size: 32", "size"),
        ("args: {folds_used: 1, val: 0.5}", "val"),
    ],
)
def test_a_wrong_preset_is_one_line_that_names_the_key(
    workplace: Path, capsys: pytest.CaptureFixture[str], change: str, message: str
) -> None:
    wrong = {
        "args: {backbone: test_efficientnet, weights: none, lr: 0.003}": "args: {learning_rate: 0.003}",
        "use: size_brightness": "use: no_such_model",
        "size: 32": "size: wide",
        "args: {folds_used: 1, val: 0.5}": "args: {folds_used: 1, val: 5.0}",
    }[change]
    preset = workplace / "wrong.yaml"
    preset.write_text(TINY.read_text().replace(change, wrong), encoding="utf-8")
    assert main(run_arguments(preset=preset)) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert message in error[-1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("p003_1.png,0", "p003_1.png,maybe", "maybe"),
        ("p003_1.png,0", "p003_9.png,0", "p003_9.png"),
        ("p003_1.png,0", "p003_0.png,0", "p003_0.png"),
        ("p003_1.png,0", "../parts.csv,0", ".."),
    ],
)
def test_a_wrong_manifest_is_one_line_that_names_the_row(
    workplace: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    csv = workplace / "photos/parts.csv"
    csv.write_text(csv.read_text().replace(old, new), encoding="utf-8")
    assert main(run_arguments()) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error and "parts.csv" in error


def test_a_truncated_picture_fails_its_cells_with_its_name(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = workplace / "photos/p003_1.png"
    picture.write_bytes(picture.read_bytes()[:100])
    assert main(run_arguments("--models", "size_brightness", "--protocols", "in_distribution")) == 1
    assert "p003_1.png" in capsys.readouterr().err


def test_merge_brings_the_cells_of_another_machine(finished: Path, workplace: Path) -> None:
    assert main(run_arguments("--models", "size_brightness", "--protocols", "in_distribution", "--run", "half")) == 0
    plan = json.loads((finished / "runs/tiny/plan.json").read_text())
    (workplace / "runs/whole").mkdir()
    (workplace / "runs/whole/plan.json").write_text(json.dumps(plan))
    assert main(["merge", "whole", "half", str(finished / "runs/tiny")]) == 0
    assert boards(workplace / "runs/whole") == boards(finished / "runs/tiny")


def test_merge_into_a_new_folder_takes_the_plan_along(finished: Path, workplace: Path) -> None:
    assert main(["merge", "kept/board", str(finished / "runs/tiny")]) == 0
    assert boards(workplace / "kept/board") == boards(finished / "runs/tiny")


def test_board_rebuilds_the_same_bytes_from_the_records(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = boards(finished / "runs/tiny")
    shutil.rmtree(finished / "runs/tiny/leaderboards")
    assert main(["board", str(finished / "runs/tiny")]) == 0
    assert boards(finished / "runs/tiny") == before
    assert "classifier" in capsys.readouterr().out


def test_a_run_that_is_not_there_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["status", "nothing"]) == 2
    assert "nothing: neither a run folder nor a name under runs/" in capsys.readouterr().err
