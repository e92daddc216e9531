"""What README shows is what runs: its model, protocol and data set, its commands, its board."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reshift.benchmark.cli import build_parser
from reshift.benchmark.inventory import readme_tables
from reshift.benchmark.speed.table import speed_tables
from reshift.results.boards import build_boards
from reshift.results.front_table import RUNS, page_blocks
from reshift.results.store import RunStore

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TINY = ROOT / "tests" / "tiny.yaml"
PUBLISHED = ROOT / "results" / "leaderboards"


def example(cls: str) -> str:
    """The code block that defines a class."""
    return next(block for block in re.findall(r"```python\n(.*?)```", README, re.S) if f"class {cls}(" in block)


@pytest.fixture
def project(parts_manifest: Path) -> Path:
    """Somebody's research project: own `models` and `tests` packages, the pictures beside them."""
    root = parts_manifest.parents[1]
    for package in ("models", "tests"):
        (root / package).mkdir()
        (root / package / "__init__.py").write_text("WHOSE = 'theirs'\n", encoding="utf-8")
    return root


def reshift(project: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "reshift.benchmark", *arguments], cwd=project, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_model_runs_from_a_project_with_its_own_models_package(project: Path) -> None:
    code = example("MyModel")
    assert len(code.strip().splitlines()) <= 25
    theirs = "import models, tests\nassert models.WHOSE == tests.WHOSE == 'theirs'\n"
    (project / "my_file.py").write_text(theirs + code, encoding="utf-8")
    arguments = ("--preset", str(TINY), "--manifest", "photos/parts.csv", "--protocols", "in_distribution")
    told = reshift(project, "run", *arguments, "--models", "my_file.py:MyModel", "size_brightness")
    assert "MyModel" in told and "complete: 2 cells" in told
    assert "FAIL" not in reshift(project, "check-model", "my_file.py:MyModel")


def test_the_protocol_and_the_data_set_run_from_a_preset(project: Path) -> None:
    for number, picture in enumerate(sorted((project / "photos").glob("*.png"))):
        kind = "bad" if number % 3 == 0 else "fine"
        (project / "sorted" / kind).mkdir(parents=True, exist_ok=True)
        picture.rename(project / "sorted" / kind / picture.name)
    (project / "my_file.py").write_text(example("HalfAndHalf") + "\n\n" + example("TwoFolders"), encoding="utf-8")
    (project / "mine.yaml").write_text(
        "description: mine\n"
        "datasets: [{use: 'my_file.py:TwoFolders', args: {root: sorted}}]\n"
        "size: 32\nseeds: [0]\nsteps: 4\n"
        "protocols: [{use: 'my_file.py:HalfAndHalf'}]\n"
        "models: [{use: size_brightness}]\n",
        encoding="utf-8",
    )
    told = reshift(project, "run", "--preset", "mine.yaml")
    assert "two_folders: half_and_half" in told
    assert "parts: one per image, assumed" in told


def test_every_command_it_names_exists() -> None:
    _, actions = build_parser()
    shell = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.S))
    shown = set(re.findall(r"\breshift ([a-z]+(?:-[a-z]+)?)\b", shell))
    assert shown <= set(actions) and {"run", "manifest", "publish"} <= shown


def test_make_targets_it_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`make ([a-z-]+)", README)):
        assert re.search(rf"^[a-z -]*\b{target}\b[a-z -]*:", makefile, re.M), target


@pytest.mark.timeout(900)
def test_its_boards_are_those_the_committed_records_give() -> None:
    pages = README + (ROOT / "docs" / "line.md").read_text(encoding="utf-8")
    for name, lines in page_blocks(PUBLISHED).items():
        assert f"<!-- {name} -->\n" + "\n".join(lines) + f"\n<!-- end {name} -->" in pages
    for run in RUNS:
        store = RunStore(PUBLISHED / run)
        for name, content in build_boards(store, store.read_plan()).files().items():
            # Times differ from run to run, and pictures from one release of matplotlib to the next.
            exact = name.endswith(".csv") and name != "cost.csv"
            assert not exact or (PUBLISHED / run / "leaderboards" / name).read_bytes() == content, name


@pytest.mark.heavy
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("run", ["gearbox-worlds", "noise", "noise-ablation", "noise-views", "noise-gearbox"])
def test_a_board_whose_figures_by_split_are_not_committed_is_what_its_records_give(run: str) -> None:
    # Too large to commit: `make boards` writes them.
    store = RunStore(PUBLISHED / run)
    files = build_boards(store, store.read_plan()).files()
    committed = {path.name for path in (store.path / "leaderboards").glob("*.csv")} - {"cost.csv"}
    assert "overall.csv" in committed
    for name in committed:
        assert (store.path / "leaderboards" / name).read_bytes() == files[name], name


def test_its_tables_are_those_the_code_gives() -> None:
    for name, lines in readme_tables().items():
        assert f"<!-- {name} -->\n" + "\n".join(lines) + f"\n<!-- end {name} -->" in README
    costs = speed_tables(ROOT / "results" / "speed")
    assert "<!-- speed -->\n" + "\n".join(costs) + "\n<!-- end speed -->" in README


def test_the_table_of_costs_says_what_was_missed_and_why(tmp_path: Path) -> None:
    measured = {"what": "a step", "against": "a loop", "value": 8.25, "unit": "x", "bound": "at least", "target": 10}
    figures = {
        "fast": {**measured, "value": 12.0, "note": "kept quiet"},
        "slow": {**measured, "note": "the copy bounds it"},
    }
    hardware = {"processor": "Some CPU", "cores": 2, "accelerator": ""}
    (tmp_path / "some-cpu.json").write_text(json.dumps({"hardware": hardware, "measurements": figures}), "utf-8")
    (tmp_path / "scale.json").write_text("{}", "utf-8")
    lines = speed_tables(tmp_path)
    assert lines[0] == "Some CPU, 2 cores:"
    assert "12 x " in lines[-4] and "missed" not in lines[-4]
    assert "8.25 x **missed**" in lines[-3] and "at least 10 x" in lines[-3]
    assert lines[-1] == "- Missed: a step. the copy bounds it" and "kept quiet" not in "".join(lines)
    (tmp_path / "some-cpu.json").unlink()
    with pytest.raises(FileNotFoundError, match="make speed"):
        speed_tables(tmp_path)
