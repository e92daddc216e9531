"""A small finished run and what is refitted from it, for the tests of models in use."""

from __future__ import annotations

from argparse import Namespace
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from conftest import write_parts

from reshift.benchmark.cli import main
from reshift.benchmark.deploy.commands import refit

PRESET = """
description: Folds of every kind of model, as small as they can be
datasets: [{use: manifest, args: {csv: photos/parts.csv}}]
size: 32
seeds: [0]
steps: 6
batch_size: 8
checks: 2
protocols:
  - {use: in_distribution, args: {folds: 3, val: 0.4}}
  - {use: unseen_component, args: {values: [hub], val: 0.4}}
models:
  - {use: n_views, protocols: [unseen_component]}
  - {use: classifier, protocols: [in_distribution], args: &net {backbone: test_efficientnet, weights: none, lr: 0.003}}
  - {use: multiview_classifier, protocols: [in_distribution], args: *net}
  - use: gaussian
    protocols: [in_distribution]
    args: &frozen {backbone: test_efficientnet, weights: none, stages: [2], scales: [1.0]}
  - use: patchcore
    protocols: [in_distribution]
    args: {backbone: test_efficientnet, weights: none}
  - use: differnet
    protocols: [in_distribution]
    args: {<<: *frozen, hidden: 16, blocks: 2, score_transforms: 2, map_rotations: 1}
  - {name: two_faced, use: "MODEL:TwoFaced", protocols: [in_distribution]}
"""
TWO_FACED = '''
import torch
from reshift.models.base import InspectionModule


class TwoFaced(InspectionModule):
    """Scores by brightness, but not when it is exported."""

    def score(self, batch):
        return batch["image"].mean((1, 2, 3)) + (0.01 if torch.compiler.is_exporting() else 0.0)
'''
SOURCE: dict[str, Any] = {
    "preset": "small.yaml",
    "manifest": None,
    "dataset": None,
    "dataset_args": {},
    "corrections": None,
    "data_root": None,
    "weights": None,
    "models": [],
    "protocols": [],
    "seeds": [],
    "size": None,
    "steps": None,
}


@pytest.fixture
def finished(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, entered: `photos/parts.csv`, `small.yaml`, `runs/small`; made once for all tests."""
    folder = tmp_path_factory.getbasetemp() / "deployed-models"
    if not folder.exists():
        write_parts(folder / "photos", 60)
        (folder / "own_model.py").write_text(TWO_FACED, encoding="utf-8")
        preset = PRESET.replace("MODEL", str(folder / "own_model.py"))
        (folder / "small.yaml").write_text(preset, encoding="utf-8")
        with chdir(folder):
            assert main(["run", "--preset", "small.yaml"]) == 0
    monkeypatch.chdir(folder)
    return folder


def refit_arguments(model: str, out: Path, **changes: Any) -> Namespace:
    chosen = {"run": "small", "model": model, "out": out, "on": None, "seed": None, "also": None, "device": "cpu"}
    return Namespace(**{**SOURCE, **chosen, **changes})


def refitted(finished: Path, model: str) -> Path:
    """The folder of a model trained on all data, made once for all tests of a file; none may change it."""
    folder = finished / "refitted" / model
    if not folder.exists():
        assert refit(refit_arguments(model, folder)) == 0
    return folder


def inspect_arguments(model: Path, images: Path, **changes: Any) -> Namespace:
    asked = {"model": model, "images": images, "model_class": "", "device": "cpu"}
    return Namespace(**{"out": None, "overlays": None, "manifest": None, **asked, **changes})
