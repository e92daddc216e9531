"""Cells for tests of executors: quick ones that note when they are begun, and die where they are told to."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import write_parts

from reshift.benchmark.cli import main

PRESET = """
description: "Cells that note when they are begun"
datasets: [{use: manifest, args: {csv: photos/parts.csv}}]
size: 16
seeds: [0, 1, 2]
steps: 1
batch_size: 8
checks: 1
protocols: [{use: in_distribution, args: {folds_used: 1, val: 0.5}}]
models: [{use: "noting.py:Noting"}]
"""
MODEL = """
import os, signal, time
from pathlib import Path
from reshift.models.base import InspectionModule

class Noting(InspectionModule):
    version = 1

    def fit(self, loader):
        with open("fits.txt", "a") as file:
            file.write(f"{os.getpid()}\\n")
        wishes = Path("wishes")
        if wishes.exists() and (names := wishes.read_text().split()):
            wishes.write_text(" ".join(names[1:]))
            os.kill(os.getpid(), getattr(signal, names[0]))
        time.sleep(0.3)

    def score(self, batch):
        return batch["image"].amax((1, 2, 3))
"""
CELLS = 3


def write_workplace(folder: Path) -> Path:
    """Pictures, `preset.yaml` of three cells, and their model; see `wish`."""
    write_parts(folder / "photos", 20)
    (folder / "preset.yaml").write_text(PRESET, encoding="utf-8")
    (folder / "noting.py").write_text(MODEL, encoding="utf-8")
    return folder


def wish(*signals: str) -> None:
    """Have the next cells that are begun in the current folder send their process one of these signals each."""
    Path("wishes").write_text(" ".join(signals), encoding="utf-8")


def arguments(*more: str) -> list[str]:
    return ["run", "--preset", "preset.yaml", "--run", "run", *more]


def boards() -> dict[str, bytes]:
    """The CSVs of the run in the current folder that must not depend on where it was computed."""
    found = {p.name: p.read_bytes() for p in Path("runs/run/leaderboards").glob("*.csv") if p.name != "cost.csv"}
    assert len(found) >= 2
    return found


def fits() -> int:
    """How many cells were begun in the current folder, by whichever process."""
    return len(Path("fits.txt").read_text(encoding="utf-8").split())


@pytest.fixture(scope="session")
def local_boards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Boards of the cells as the local executor leaves them."""
    folder = write_workplace(tmp_path_factory.mktemp("local"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESHIFT_CACHE", str(folder / "cache"))
        patch.chdir(folder)
        assert main(arguments()) == 0
        assert fits() == CELLS
        return boards()


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with the same pictures and no run."""
    monkeypatch.chdir(write_workplace(tmp_path))
    return tmp_path
