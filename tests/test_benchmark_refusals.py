"""What a preset or a command line cannot mean is refused in one line, before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from reshift.benchmark.catalog import LookupFailure, find_class
from reshift.benchmark.cli import main
from reshift.benchmark.preset import PresetError, load_preset
from reshift.benchmark.speed.pictures import write_pictures
from reshift.benchmark.world import MODELS, World
from reshift.models.base import InspectionModule

PRESET = """\
description: two folds of a floor
datasets: [{use: manifest, args: {csv: photos/parts.csv}}]
protocols: [{use: in_distribution, args: {val: 0.5, folds_used: 2}}]
models: [{use: class_prior}]
size: 16
seeds: [0]
steps: 1
"""
LIVES = "prognoses: [{use: mean_life}, {use: mean_life}]\n"


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    csv = write_pictures(tmp_path / "photos", 24, 16)
    csv.replace(csv.with_name("parts.csv"))
    return tmp_path


def written(old: str, new: str) -> str:
    assert old in PRESET
    Path("own.yaml").write_text(PRESET.replace(old, new), encoding="utf-8")
    return "own.yaml"


def twice(name: str) -> tuple[str, str]:
    """The item of a list of the preset, and the same once more."""
    (line,) = (line for line in PRESET.splitlines() if line.startswith(f"{name}: "))
    items = line.removeprefix(f"{name}: [").removesuffix("]")
    return line, f"{name}: [{items}, {items}]"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (twice("datasets"), "two data sets are called 'parts'; give one of them another name"),
        (twice("protocols"), "two protocols write the board 'in_distribution'; give one of them another name"),
        (twice("models"), "two models are called 'class_prior'; give one of them another name"),
        (("size: 16\n", f"size: 16\nlimit: 1\n{LIVES}"), "two prognosis methods are called 'mean_life'"),
        (("{use: in_distribution,", '{use: in_distribution, splits: ["fold=7"],'), "match none of: fold=0, fold=1"),
    ],
)
def test_names_that_cannot_be_told_apart_or_mean_nothing(photos: Path, change: tuple[str, str], said: str) -> None:
    world = World(load_preset(written(*change)))
    with pytest.raises(ValueError) as refused:
        _ = list(world.models()), list(world.prognoses()), list(world.places())
    assert said in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("protocols: [{use: in_distribution, args: {val: 0.5, folds_used: 2}}]", "protocols: []"),
            "protocols is empty",
        ),
        (("models: [{use: class_prior}]", "models: []"), "models is empty; name at least one"),
        (("size: 16\n", f"size: 16\n{LIVES}"), "prognoses need a limit"),
        (("steps: 1", "steps: 0"), "steps is 0, but must be at least 1"),
    ],
)
def test_presets_that_ask_for_nothing(photos: Path, change: tuple[str, str], said: str) -> None:
    with pytest.raises(PresetError) as refused:
        load_preset(written(*change))
    assert said in str(refused.value) and "own.yaml" in str(refused.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (lambda: [], "give --preset NAME, --manifest CSV or --dataset NAME"),
        (lambda: ["--preset", written("", ""), "--protocols", "official"], "no protocol 'official' in this preset"),
        (lambda: ["--preset", written("", ""), "--cell-seconds", "-1"], "--cell-seconds -1: give the seconds"),
        pytest.param(
            lambda: ["--preset", written("", ""), "--device", "cuda"],
            "torch sees no GPU; use --device cpu or auto",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)
def test_runs_that_cannot_be_begun(
    photos: Path, more: Callable[[], list[str]], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *more()]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert said in told[-1] and "Traceback" not in "".join(told)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("absent.py:Model", "absent.py: no such file"),
        ("reshift.models.prognosis:Prognosis", "not a subclass of reshift.models.base.InspectionModule"),
    ],
)
def test_classes_that_are_no_models(spec: str, said: str) -> None:
    with pytest.raises(LookupFailure, match=said):
        find_class(spec, MODELS, InspectionModule)  # type: ignore[type-abstract]
