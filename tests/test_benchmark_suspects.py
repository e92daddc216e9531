"""Cells whose suspects are found before training: by models that never saw them, once, and only with cause."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from reshift.benchmark.cli import main
from reshift.benchmark.preset import PresetError, parse_preset
from reshift.refinement.suspicion import weights_from_suspicion
from reshift.results.plan import PlannedCell
from reshift.results.record import Record
from reshift.results.store import RunStore

CONTRAST = '''
"""A ranker that sees bright spots, and counts its fits."""
from pathlib import Path

import torch
from reshift.models.base import InspectionModule

class Contrast(InspectionModule):
    """Distance of a picture's contrast to the median of the good ones."""

    learns_from = "good"

    def augmentation(self, size):
        return None

    def contrast(self, batch):
        return batch["image"].flatten(start_dim=1).std(dim=1)

    def fit(self, loader):
        with Path(__file__).with_suffix(".fits").open("a") as file:
            file.write("fit\\n")
        self.centre = torch.cat([self.contrast(batch)[batch["weight"] > 0] for batch in loader]).median()

    def score(self, batch):
        return (self.contrast(batch) - self.centre).abs()

class Parts(Contrast):
    """The same for whole parts."""

    views = "all"
'''
FLOW: dict[str, Any] = {
    "backbone": "test_efficientnet", "weights": "none", "stages": [2], "scales": [1.0], "hidden": 8, "blocks": 2,
    "score_transforms": 2,
    "lr": 0.01,
}  # fmt: skip
NOISE = {"repeats": 1, "max_good": 36, "verified": 20, "unit": "view", "test": 0.2, "observed": 0.1}


def preset(manifest: Path, ranker: Path, **changes: Any) -> dict[str, Any]:
    search = {"budget": 0.2, "folds": 3, "ranker": {"use": f"{ranker}:Contrast"}}

    def row(name: str, **cross_fit: Any) -> dict[str, Any]:
        return {"name": name, "use": "boundary_flow", "args": FLOW, "cross_fit": {**search, **cross_fit}}

    return {
        "description": "Suspects",
        "datasets": [{"use": "manifest", "args": {"csv": str(manifest)}}],
        "size": 32,
        "seeds": [0, 1],
        "steps": 8,
        "batch_size": 4,
        "checks": 1,
        "protocols": [
            {"use": "contamination_verified", "name": f"views-{r}0", "args": NOISE, "splits": [f"rate=0.{r}/*"]}
            for r in (2,)
        ]
        + [{"use": "contamination_verified", "name": "views-00", "args": NOISE, "splits": ["rate=0/*"]}],
        "models": [
            {"name": "plain", "use": "boundary_flow", "args": FLOW},
            row("remove", use="remove"),
            row("negative", use="negative"),
            row("abstaining", use="negative", alpha=0.05),
            row("estimated", use="remove", budget=None),
        ],
        **changes,
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the run of the preset above, its ranker, and a cache of its own."""
    from conftest import write_parts

    folder = tmp_path_factory.mktemp("suspects")
    manifest = write_parts(folder / "photos", parts=90)
    table = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    table[table["defect"] != "line"].to_csv(manifest, index=False)
    (folder / "contrast.py").write_text(CONTRAST, encoding="utf-8")
    (folder / "mine.yaml").write_text(yaml.safe_dump(preset(manifest, folder / "contrast.py")), encoding="utf-8")
    before, cache = Path.cwd(), os.environ.get("RESHIFT_CACHE")
    os.chdir(folder)
    os.environ["RESHIFT_CACHE"] = str(folder / "cache")
    try:
        assert main(["run", "--preset", "mine.yaml"]) == 0
        yield folder
    finally:
        os.chdir(before)
        os.environ.pop("RESHIFT_CACHE")
        if cache is not None:
            os.environ["RESHIFT_CACHE"] = cache


def cells(folder: Path, protocol: str, model: str) -> list[tuple[PlannedCell, Record]]:
    store = RunStore(folder / "runs/mine")
    wanted = [c for c in store.read_plan().cells if (c.protocol, c.model) == (protocol, model)]
    return [(cell, store.read(cell.id)[0]) for cell in wanted]


def search_of(folder: Path, protocol: str, model: str) -> dict[str, Any]:
    (_, record), _ = cells(folder, protocol, model)
    assert record.refinement is not None
    return record.refinement


def cached(folder: Path, protocol: str, verified: bool) -> pd.DataFrame:
    """The suspicion file that holds what the board's cells removed."""
    removed = set(search_of(folder, protocol, "remove")["rounds"][0]["removed"])
    frames = map(pd.read_csv, sorted((folder / "cache/suspicion").glob("*/suspicion.csv")))
    return next(f for f in frames if bool(f["verified"].any()) == verified and removed <= set(f["sample"]))


def test_the_record_says_who_was_suspected_and_how_well_that_was_right(finished: Path) -> None:
    trace = search_of(finished, "views-20", "remove")
    frame = cached(finished, "views-20", verified=False)
    suspicion = dict(zip(frame["sample"], frame["suspicion"], strict=True))
    share = trace["cross_fit"]["budget"]
    assert share == 0.2 and trace["steps"] == 8
    expected = {name for name, weight in weights_from_suspicion(suspicion, share, "remove").items() if weight == 0}
    assert set(trace["rounds"][0]["removed"]) == expected and len(expected) == round(0.2 * len(frame))
    assert trace["weights"] == dict.fromkeys(expected, 0.0)
    quality = trace["cross_fit"]["suspicion"]
    table = pd.read_csv(finished / "photos/parts.csv").set_index("image")["label"]
    labels = [table[name] for name in frame["sample"]]
    assert quality["bad_injected"] == sum(labels) == trace["quality"]["bad_injected"] > 3
    assert quality["separation"] == pytest.approx(roc_auc_score(labels, frame["suspicion"]))
    assert quality["separation"] > 0.9 and trace["quality"]["precision"] > 0.7


def test_the_confident_half_trains_as_known_bad(finished: Path) -> None:
    weights = search_of(finished, "views-20", "negative")["weights"]
    removed = search_of(finished, "views-20", "remove")["weights"]
    assert set(weights) == set(removed) and sorted(set(weights.values())) == [-1.0, 0.0]
    assert np.isclose(sum(w < 0 for w in weights.values()), len(weights) / 2, atol=0.5)


def test_what_was_found_changes_the_scores_and_nothing_else_does(finished: Path) -> None:
    store = RunStore(finished / "runs/mine")

    def scores(model: str) -> pd.Series:
        return store.read(cells(finished, "views-20", model)[0][0].id)[1]["score:nll"]

    assert not np.allclose(scores("plain"), scores("remove"))
    abstained = search_of(finished, "views-00", "abstaining")
    assert (
        abstained["cross_fit"]["budget"] == 0 and abstained["weights"] == {} and not abstained["quality"].get("recall")
    )
    # No weight was changed, so the model is the one without a search, to the bit.
    clean = [store.read(cells(finished, "views-00", model)[0][0].id)[1] for model in ("plain", "abstaining")]
    pd.testing.assert_frame_equal(*clean)


def test_the_test_against_verified_parts_acts_where_there_is_noise(finished: Path) -> None:
    noisy, clean = (search_of(finished, board, "abstaining")["cross_fit"] for board in ("views-20", "views-00"))
    assert noisy["p"] <= 0.05 < clean["p"]
    assert noisy["budget"] == 0.2 and noisy["verified_parts"] >= 10
    estimated = search_of(finished, "views-20", "estimated")["cross_fit"]
    assert estimated["budget"] == estimated["estimated_share"] == noisy["estimated_share"] > 0


def test_uses_and_seeds_share_one_search(finished: Path) -> None:
    # Two boards; with and without verified parts; three folds each.
    assert len(list((finished / "cache/suspicion").glob("*/suspicion.csv"))) == 4
    assert (finished / "contrast.fits").read_text(encoding="utf-8").count("fit") == 12
    one, other = (record.refinement for _, record in cells(finished, "views-20", "remove"))
    assert one == other


def test_the_identity_names_ranker_and_use_and_is_as_before_without_a_search(finished: Path) -> None:
    ((plain, _), _) = cells(finished, "views-20", "plain")
    assert "cross_fit" not in plain.identity
    ((remove, _), _), ((negative, _), _) = (cells(finished, "views-20", name) for name in ("remove", "negative"))
    assert remove.identity["cross_fit"]["search"] == negative.identity["cross_fit"]["search"]
    assert remove.identity["cross_fit"]["search"]["model"]["class"] == "Contrast"
    assert remove.id != negative.id


def test_plan_says_what_the_search_is(finished: Path) -> None:
    notes = json.loads((finished / "runs/mine/plan.json").read_text(encoding="utf-8"))["notes"]
    (note,) = [line for line in notes if line.startswith("abstaining: ")]
    assert "the top 20 % of the training images" in note and "3 cross-fits of" in note and "stands at 0.05" in note


def test_verified_parts_must_be_there(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = yaml.safe_load((finished / "mine.yaml").read_text(encoding="utf-8"))
    noise = {key: value for key, value in NOISE.items() if key != "verified"}
    raw["protocols"] = [{"use": "contamination", "args": noise}]
    (finished / "bare.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    assert main(["run", "--preset", "bare.yaml", "--dry-run"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "model abstaining on board contamination, split rate=0/repeat=0" in error
    assert "take protocol contamination_verified" in error


def test_a_ranker_of_other_rows_is_refused(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = yaml.safe_load((finished / "mine.yaml").read_text(encoding="utf-8"))
    raw["models"][1]["cross_fit"]["ranker"]["use"] = f"{finished / 'contrast.py'}:Parts"
    (finished / "parts.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    assert main(["run", "--preset", "parts.yaml", "--dry-run"]) == 2
    assert "model remove: its rows are views 'one' and those of ranker" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folds": 1}, "1 folds, 1 repeats; at least 2 and 1 are needed"),
        ({"budget": 0.0}, "budget is 0.0; give a share above 0 and below 1, or null"),
        ({"alpha": 1.0}, "alpha is 1.0; give a share above 0 and below 1, or null"),
        ({"use": "invert"}, "use"),
    ],
)
def test_a_search_that_cannot_be_is_refused_by_key(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    raw = preset(tmp_path / "parts.csv", tmp_path / "contrast.py")
    raw["models"][1]["cross_fit"] |= change
    with pytest.raises(PresetError, match="preset mine") as caught:
        parse_preset(raw, "mine")
    assert message in str(caught.value)


def test_refinement_and_search_exclude_each_other(tmp_path: Path) -> None:
    raw = preset(tmp_path / "parts.csv", tmp_path / "contrast.py")
    raw["models"][1]["refinement"] = {"policy": {"class_path": "reshift.refinement.policies.KeepAll"}}
    with pytest.raises(PresetError, match="a model has either refinement or cross_fit"):
        parse_preset(raw, "mine")
