"""The examples, in a copy of their folder, by the commands of their own pages."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from reshift.benchmark.catalog import LookupFailure, build, find_class
from reshift.benchmark.cli import main
from reshift.benchmark.world import MODELS, PROTOCOLS, READERS
from reshift.datamodules.dataset import DataError, Reader
from reshift.models.base import InspectionModule
from reshift.splits.protocol import Protocol, Skip
from reshift.splits.samples import validate_table
from reshift.splits.verify import Verifier

EXAMPLES = Path(__file__).parents[1] / "examples"

RUN = """\
description: "A run to judge"
datasets: [{use: synthetic_gearbox, args: {parts: 60, views: 2, size: 32}}]
size: 32
seeds: [0]
protocols: [{use: in_distribution, args: {folds: 2, folds_used: 1, val: 0.3}}]
models: [{use: size_brightness}]
"""


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Stands in a copy of an example's folder, as a reader of its page does."""

    def enter(name: str) -> Path:
        folder = tmp_path / name
        shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
        monkeypatch.chdir(folder)
        return folder

    return enter


def commands(name: str) -> list[list[str]]:
    """The words of every command that an example's page shows, without the program's name."""
    page = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    shell = "\n".join(re.findall(r"```sh\n(.*?)```", page, re.S))
    lines = [shlex.split(line, comments=True) for line in shell.splitlines() if line.strip()]
    assert lines and all(line[0] == "reshift" for line in lines)
    return [line[1:] for line in lines]


def draw_photos(folder: Path, draw: Callable[..., Path]) -> None:
    for part in range(24):
        for camera in ("left", "right"):
            verdict = "nok" if part % 3 == 0 else "ok"
            draw(folder / f"day-{part % 2}" / f"p{part:02d}-{camera}-{verdict}.png", bad=verdict == "nok")


def test_the_model_keeps_the_contract_runs_and_is_handed_in(
    inside: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    inside("own_model")
    check, run, pack, look = commands("own_model")
    assert main(check) == 0
    assert main(run) == 0
    told = capsys.readouterr().out
    assert "good_mean" in told and "FAIL" not in told
    assert main(pack) == 0 and main(look) == 0
    assert "accepted  mine.zip" in capsys.readouterr().out


def test_the_pictures_are_read_by_pattern_and_by_class(
    inside: Callable[[str], Path], draw: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    draw_photos(inside("own_data") / "photos", draw)
    for command in commands("own_data"):
        assert main(command) == 0, command
    told = capsys.readouterr().out
    assert "shift_folders: in_distribution" in told
    assert "skipped  unseen_component" in told
    drafted = pd.read_csv("photos/manifest.csv", dtype=str)
    assert len(drafted) == 48 and drafted["part"].nunique() == 24


def test_the_reader_names_a_file_it_cannot_read(inside: Callable[[str], Path], draw: Callable[..., Path]) -> None:
    draw_photos(inside("own_data") / "photos", draw)
    cls = find_class("shift_folders.py:ShiftFolders", READERS, Reader)  # type: ignore[type-abstract]
    read = build(cls, {"root": "photos"}).read()
    assert read.table.groupby("part")["label"].nunique().max() == 1
    assert int(read.table["label"].sum()) == 16
    draw(Path("photos/day-0/p99-left-perhaps.png"))
    with pytest.raises(DataError, match=r"p99-left-perhaps.png: its name ends in neither -ok nor -nok; rename it"):
        build(cls, {"root": "photos"}).read()
    with pytest.raises(DataError, match=r"elsewhere: no <shift>"):
        build(cls, {"root": "elsewhere"}).read()


def test_the_protocol_runs(inside: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    inside("own_protocol")
    for command in commands("own_protocol"):
        assert main(command) == 0, command
    assert "few_defects_5" in capsys.readouterr().out


@pytest.mark.parametrize("known", [1, 3])
def test_the_protocol_trains_on_so_many_defective_parts(inside: Callable[[str], Path], known: int) -> None:
    inside("own_protocol")
    cls = find_class("few_defects.py:FewDefects", PROTOCOLS, Protocol)  # type: ignore[type-abstract]
    rows = [(f"p{p}-{v}.png", p % 2, f"p{p}", f"h{p}-{v}") for p in range(40) for v in range(2)]
    table = validate_table(pd.DataFrame(rows, columns=["sample", "label", "part", "content"]), "made up")
    (split,) = build(cls, {"known": known}).splits(table, 0)
    (shuffled,) = build(cls, {"known": known}).splits(table.sample(frac=1, random_state=1), 0)
    assert shuffled == split
    trained = table[table["sample"].isin(split.train)]
    assert trained[trained["label"] == 1]["part"].nunique() == known
    assert split.dropped == 2 * (5 - known)
    Verifier(table).check(split)
    with pytest.raises(Skip, match="of 20 parts of label 1, 5 are left to train on; need 6"):
        list(build(cls, {"known": 6}).splits(table, 0))


def test_the_metric_judges_a_finished_run(inside: Callable[[str], Path]) -> None:
    folder = inside("own_metric")
    (folder / "run.yaml").write_text(RUN, encoding="utf-8")
    assert main(["run", "--preset", "run.yaml", "--run", "mine"]) == 0
    (command,) = commands("own_metric")
    assert main(command) == 0
    found = pd.read_csv("runs/mine/leaderboards/custom-missed_defects.csv")
    assert set(found["metric"]) == {"missed_defects"} and found["mean"].between(0, 1).all()


@pytest.mark.parametrize(
    ("group", "base", "file", "cls"),
    [
        (MODELS, InspectionModule, "own_model/good_mean.py", "GoodMean"),
        (READERS, Reader, "own_data/shift_folders.py", "ShiftFolders"),
        (PROTOCOLS, Protocol, "own_protocol/few_defects.py", "FewDefects"),
    ],
)
def test_an_installed_package_adds_it_by_an_entry_point(
    group: str, base: type, file: str, cls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What pip leaves behind in site-packages, without pip.
    module, name = f"a_package_of_{cls.lower()}", f"plugged_{cls.lower()}"
    shutil.copy(EXAMPLES / file, tmp_path / f"{module}.py")
    info = tmp_path / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}:{cls}\n", encoding="utf-8")
    with pytest.raises(LookupFailure, match="is none of"):
        find_class(name, group, base)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = find_class(name, group, base)
    assert issubclass(found, base) and found.__name__ == cls


def test_a_model_of_an_installed_package_is_checked_by_its_short_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(EXAMPLES / "own_model" / "good_mean.py", tmp_path / "their_models.py")
    info = tmp_path / "their_models-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-models\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[reshift.models]\ngood_mean = their_models:GoodMean\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["check-model", "good_mean"]) == 0
    assert "ok    learns from its batches alone" in capsys.readouterr().out
