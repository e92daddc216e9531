"""Refitting a board's row on all data: who trains, where the threshold comes from, what a folder holds."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from deployed import finished, refit_arguments, refitted

from reshift.benchmark.cell_data import scored
from reshift.benchmark.deploy.commands import refit
from reshift.benchmark.deploy.cross_fitted import cross_fitted
from reshift.benchmark.deploy.evidence import EvidenceError, find_evidence
from reshift.benchmark.deploy.model_folder import read_model
from reshift.benchmark.deploy.pictures import read_units
from reshift.benchmark.deploy.refit import refit_split, train_on_all
from reshift.benchmark.deploy.scorers import torch_scorer
from reshift.benchmark.deploy.units import Unit, part_units
from reshift.benchmark.preset import load_preset
from reshift.datamodules.manifest import Manifest
from reshift.results.store import RunStore

__all__ = ["finished"]

CPU = torch.device("cpu")


def fold(parts: dict[str, tuple[int, list[float]]], role: str = "test") -> pd.DataFrame:
    """The scores of parts given as label and scores of their pictures."""
    rows = [(part, role, label, value) for part, (label, values) in parts.items() for value in values]
    return pd.DataFrame(rows, columns=["part", "role", "label", "score:nll"])


def good(count: int, start: int = 0, shift: float = 0.0) -> dict[str, tuple[int, list[float]]]:
    return {f"g{start + n:02d}": (0, [shift + n - 0.5, shift + n]) for n in range(count)}


def test_five_percent_of_good_parts_lie_above_the_threshold() -> None:
    found = cross_fitted("nll", {"fold=0": fold({**good(39), "b0": (1, [3.0, 60.0]), "b1": (1, [5.0])})})
    # 39 good parts: the ceil(40 * .95) = 38th smallest of 0, 1, ..., 38
    assert (found.threshold, found.good, found.defective, found.score) == (37.0, 39, 2, "nll")
    assert found.outcome["escapes"]["count"] == 1 and found.outcome["false_rejects"]["count"] == 1
    assert found.judged == "the threshold itself"


def test_folds_on_different_scales_are_charged_for_it() -> None:
    first, second = good(20), good(20, start=20, shift=100.0)
    found = cross_fitted("nll", {"a": fold({**first, "b0": (1, [50.0])}), "b": fold({**second, "b1": (1, [50.0])})})
    # The second fold's good parts all lie above the first one's threshold; the first one's bad part below the second's.
    assert found.outcome["false_rejects"] == {"count": 20, "of": 40, "upper": pytest.approx(0.639, abs=0.001)}
    assert found.outcome["escapes"]["count"] == 1
    assert found.threshold == 118.0 and found.judged.startswith("each fold")


def test_validation_rows_are_no_evidence_and_too_few_good_parts_are_refused() -> None:
    frame, seen = fold(good(18)), fold(good(30, start=50), role="val")
    with pytest.raises(ValueError, match=r"18 good parts were scored out of fold, .* takes 19"):
        cross_fitted("nll", {"fold=0": pd.concat([frame, seen])})


def test_a_threshold_may_be_made_from_some_parts_and_judge_all() -> None:
    frame = fold({**good(39), **good(5, start=90, shift=100.0)})
    found = cross_fitted("nll", {"fold=0": frame}, basis=set(good(39)))
    assert (found.threshold, found.good) == (37.0, 39)
    assert found.outcome["false_rejects"]["count"] == 6 and found.outcome["false_rejects"]["of"] == 44


@pytest.mark.parametrize("val", [0.0, 0.4])
def test_every_part_trains_or_validates_never_both(finished: Path, val: float) -> None:
    table = Manifest(Path("photos/parts.csv")).read().table
    split = refit_split(table, val, seed=0)
    part = table.set_index("sample")["part"]
    train, watching = set(part[list(split.train)]), set(part[list(split.val)])
    assert not train & watching and train | watching == set(part) and not split.test
    assert len(split.train) + len(split.val) == len(table) and split.dropped == 0
    labels = table.groupby("part")["label"].max()
    for label in (0, 1):
        mine = set(labels.index[labels == label])
        assert len(watching & mine) == round(val * len(mine))


def test_a_closed_form_trains_on_all_and_a_watched_model_holds_the_protocols_share_back(finished: Path) -> None:
    counts = {
        name: json.loads((refitted(finished, name) / "model.json").read_text())["data"]["counts"]
        for name in ("gaussian", "classifier")
    }
    assert (counts["gaussian"]["train_parts"], counts["gaussian"]["val_parts"]) == (60, 0)
    assert (counts["classifier"]["train_parts"], counts["classifier"]["val_parts"]) == (36, 24)


def test_the_threshold_is_read_off_the_runs_own_records(finished: Path) -> None:
    said = json.loads((refitted(finished, "gaussian") / "model.json").read_text())
    highest: dict[str, float] = {}
    for cell in said["threshold"]["cells"]:
        _, scores = RunStore(Path("runs/small")).read(cell)
        tested = scores[scores["role"] == "test"]
        for part, value in zip(tested["part"], tested["score:score"], strict=True):
            highest[part] = max(highest.get(part, -np.inf), value)
    bad = set(pd.read_csv("photos/parts.csv").query("label == 1")["part"])
    ordered = sorted(value for part, value in highest.items() if part not in bad)
    assert len(ordered) == said["threshold"]["good_parts"] == 36
    assert said["threshold"]["value"] == ordered[ceil(37 * 0.95) - 1]
    assert said["expected"]["escapes"]["of"] == 24 and said["threshold"]["alpha"] == 0.05


@pytest.mark.parametrize("name", ["classifier", "gaussian", "differnet", "multiview_classifier"])
def test_a_folder_read_back_scores_files_as_the_fitted_model_scored_its_data(finished: Path, name: str) -> None:
    evidence = find_evidence(load_preset("small.yaml"), RunStore(Path("runs/small")), name, None, None)
    fitted = train_on_all(evidence, CPU)
    expected = scored(fitted.trained.model, fitted.data, "train", CPU).set_index("sample")
    model, module = read_model(refitted(finished, name), CPU)
    photos = Path("photos")
    if model.views == "all":
        units = part_units(photos, photos / "parts.csv", model.view_names, model.info["n_views"])
        units = [unit for unit in units if unit.name in expected.index]
    else:
        units = [Unit(sample, (photos / sample,)) for sample in expected.index]
    read = read_units(units, model.size)
    found = torch_scorer(model, module, CPU).scores(read.images, read.slots)
    column = next(c for c in expected.columns if c.startswith("score:"))
    assert [unit.name for unit in read.units] == expected.index.tolist()
    np.testing.assert_allclose(found, expected[column], rtol=1e-6, atol=1e-6)


def test_the_folder_says_where_it_comes_from(finished: Path) -> None:
    said = json.loads((refitted(finished, "classifier") / "model.json").read_text())
    assert said["use"] == "reshift.models.classifier:Classifier" and said["args"]["lr"] == 0.003
    assert said["seed"] == 0 and len(said["data"]["fingerprint"]) == 64
    assert {"torch", "opencv", "timm", "reshift"} <= said["run"]["versions"].keys() and "git" in said["run"]
    assert said["preprocessing"]["size"] == 32 and said["validation"]["false_rejects"]["of"] > 0
    assert len(said["check"]) == 8 and sum(entry["label"] for entry in said["check"]) == 4


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        ("resnet", {}, "has no model 'resnet'; its boards have"),
        ("n_views", {}, "no in_distribution cells of n_views"),
        ("gaussian", {"seed": 7}, "no in_distribution folds with seed 7; there are [0]"),
        ("gaussian", {"size": 48}, "was made from something else"),
        ("gaussian", {"on": "tiles"}, "has in_distribution folds on parts; say which with --on"),
    ],
)
def test_what_the_run_cannot_vouch_for_is_refused(
    finished: Path, tmp_path: Path, model: str, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(EvidenceError) as error:
        refit(refit_arguments(model, tmp_path / "out", **changes))
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_an_unfinished_run_is_refused(finished: Path, tmp_path: Path) -> None:
    shutil.copytree("runs/small", tmp_path / "run")
    store = RunStore(tmp_path / "run")
    cell = next(c for c in store.read_plan().cells if c.model == "gaussian")
    shutil.rmtree(store.folder(cell.id))
    with pytest.raises(EvidenceError, match="1 of 3 in_distribution cells of gaussian have no record; finish the run"):
        find_evidence(load_preset("small.yaml"), store, "gaussian", None, None)


def test_a_row_that_the_preset_names_otherwise_is_refused(finished: Path) -> None:
    preset = load_preset("small.yaml")
    models = [replace(m, selection="best_test") if m.use == "classifier" else m for m in preset.models]
    with pytest.raises(EvidenceError, match="is in runs/small, but not in this preset"):
        find_evidence(replace(preset, models=models), RunStore(Path("runs/small")), "classifier", None, None)


def test_a_folder_that_is_taken_is_refused_before_anything_is_trained(finished: Path) -> None:
    with pytest.raises(FileExistsError, match="give another --out"):
        refit(refit_arguments("gaussian", refitted(finished, "gaussian")))
