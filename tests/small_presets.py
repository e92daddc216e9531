"""Shipped presets made small enough for a test, and their boards as rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from contextlib import chdir
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml

from reshift.benchmark.cli import main
from reshift.benchmark.preset import DatasetSpec, ModelSpec, Preset

SPLITS = ["fold=0", "component=hub*", "transmission=manual*", "acquisition=side0*", "official", "seeded_hash"]
FLOWS = {"differnet", "boundary_flow", "trimmed_flow", "deep_sad_flow"}
SMALL = {"hidden": 16, "blocks": 2, "score_transforms": 2, "train_transforms": 2}


def cut(preset: Preset, keep: Callable[[DatasetSpec], bool] = lambda spec: True, **changes: Any) -> Preset:
    """The preset with everything that costs time made small; its data, protocols, models and refinement stay."""

    def small(number: int, spec: ModelSpec) -> ModelSpec:
        args = _light(spec.args)
        if "backbone" in args and "classifier" in spec.use:
            args["lr"] = 1e-4 * (1 + number)  # six backbones become one; a cell must not be planned six times
        if spec.use in FLOWS:
            args |= SMALL
        cross_fit = spec.cross_fit
        if cross_fit and cross_fit.ranker:
            ranker = replace(cross_fit.ranker, args=_light(cross_fit.ranker.args))
            cross_fit = replace(cross_fit, ranker=ranker, folds=2, repeats=1)
        return replace(spec, args=args, cross_fit=cross_fit, seeds=None, steps=None, batch_size=None)

    cuts: dict[str, Any] = {
        "datasets": [spec for spec in preset.datasets if keep(spec)],
        "protocols": [replace(spec, splits=SPLITS) if spec.splits == ["*"] else spec for spec in preset.protocols],
        "models": [small(number, spec) for number, spec in enumerate(preset.models)],
        "prognoses": [replace(spec, args=_light(spec.args)) for spec in preset.prognoses],
        "size": 32,
        "seeds": [0],
        "steps": 2,
        "batch_size": 4,
        "checks": 1,
    }
    return replace(preset, **{**cuts, **changes})


def _light(args: dict[str, Any]) -> dict[str, Any]:
    found = {key: SMALL.get(key, value) for key, value in args.items() if key != "timm_options"}
    if "backbone" in found:
        found |= {"backbone": "test_efficientnet", "weights": "none"}
    if found.get("stages"):
        found["stages"] = [2]
    return found


def run(preset: Preset, root: Path, folder: Path) -> dict[str, list[dict[str, str]]]:
    """Run a preset on the data below `root`, to `runs/cut` in `folder`; the CSVs of its boards by name."""
    (folder / "cut.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(asdict(preset)))), encoding="utf-8")
    with chdir(folder):
        assert main(["run", "--preset", "cut.yaml", "--data-root", str(root)]) == 0
    return {p.name: read(p) for p in (folder / "runs/cut/leaderboards").glob("*.csv")}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))
