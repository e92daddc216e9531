"""The canary: other test pictures, labels and names move nothing that is settled before a test picture is scored."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lightning import LightningModule
from small_cells import (
    ARMS,
    VERIFIED,
    Outcome,
    SmallRun,
    catalogue,
    changed,
    one_thread,
    row,
    small_preset,
)
from small_world import SIZE, disguised, write_picture, write_world

from reshift.benchmark.catalog import own_classes
from reshift.benchmark.preset import ORACLE
from reshift.benchmark.world import MODELS
from reshift.models.base import InspectionModule

ROWS = {**catalogue(), **ARMS, **VERIFIED}
TUNED = ["classifier", "differnet", "logistic_probe"]
BLIND_TO_PICTURES = {"class_prior", "n_views"}

CLOSED_FORMS = [
    name
    for name, cls in own_classes(MODELS, InspectionModule).items()
    if cls.training_step is LightningModule.training_step
]
BLIND_TO_VALIDATION = [
    *CLOSED_FORMS,
    *(["anomalib"] if "anomalib" in ROWS else []),
    "gaussian, iterative",
    "gaussian, suspects",
    "classifier, last state",
]
"""What selects nothing: by `models.base` a closed form is handed its training rows, and validation only to be scored;
anomalib's row is its closed-form PaDiM."""

LEAKY = Path(__file__).parent / "leaky_models.py"
ORACLE_ROW = "classifier, state"
CHOSEN_ON_TEST = {"use": "classifier", "selection": "best_test"}

USES = ["ClosedForm", "Trained"]
LEAKS = ["nowhere", "all pictures", "test files", "test labels", "names", "validation"]


class Worlds:
    """One world, and two that differ from it in what nobody who trains may see; outcomes by model and world."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        frame = write_world(folder / "same")
        planted = {f"{use}, {at}": {"use": f"{LEAKY}:{use}", "args": {"at": at}} for use, at in product(USES, LEAKS)}
        self._rows = [row(name, spec) for name, spec in {**ROWS, ORACLE_ROW: CHOSEN_ON_TEST, **planted}.items()]
        self._tuned = [row(name, {"use": name}) for name in TUNED]
        self._runs: dict[tuple[str, int], SmallRun] = {}
        self._outcomes: dict[tuple[str, str, int], Outcome] = {}
        shown = frame["image"].isin(self.run("same").split.calibration)
        self._write("other tests", disguised(frame, frame["split"] == "test"), frame["split"] == "test")
        unseen = disguised(disguised(frame, frame["split"] == "val"), shown, keep=("label", "defect", "part", "mask"))
        self._write("other validation", unseen, (frame["split"] == "val") | shown)

    def run(self, world: str, trials: int = 1) -> SmallRun:
        """All models in a world; with more than one trial those that are tuned."""
        if (world, trials) not in self._runs:
            rows = self._rows if trials == 1 else self._tuned
            preset = small_preset(self.folder / world / "parts.csv", rows, trials)
            self._runs[world, trials] = SmallRun(preset, self.folder / "runs" / world)
        return self._runs[world, trials]

    def outcomes(self, model: str, other: str, trials: int = 1) -> tuple[Outcome, Outcome]:
        """What a model makes of the one world and of another."""
        for world in ("same", other):
            if (model, world, trials) not in self._outcomes:
                self._outcomes[model, world, trials] = self.run(world, trials).outcome(model)
        return self._outcomes[model, "same", trials], self._outcomes[model, other, trials]

    def _write(self, world: str, frame: pd.DataFrame, rows: pd.Series) -> None:
        folder = self.folder / world
        shutil.copytree(self.folder / "same", folder)
        draw = np.random.default_rng(7)
        for picture, mask in frame.loc[rows, ["image", "mask"]].itertuples(index=False):
            # Of another size as well: models may look at the extent of a file.
            write_picture(folder / picture, draw.uniform(0, 255, (SIZE + 8, SIZE - 8, 3)))
            if mask:
                write_picture(folder / mask, 255 * draw.integers(0, 2, (SIZE + 8, SIZE - 8)))
        frame.to_csv(folder / "parts.csv", index=False)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    with one_thread():
        yield Worlds(tmp_path_factory.mktemp("canary"))


def test_the_worlds_differ_in_what_is_hidden_and_in_nothing_else(worlds: Worlds) -> None:
    runs = {name: worlds.run(name) for name in ("same", "other tests", "other validation")}
    tables = {name: next(run.world.places()).dataset.table.set_index("sample") for name, run in runs.items()}
    split, same = runs["same"].split, tables["same"]
    hidden = {"other tests": [*split.test], "other validation": [*split.val, *split.calibration]}
    assert min(map(len, (split.train, split.val, split.test, split.calibration))) >= 10
    for name, samples in hidden.items():
        assert runs[name].split.digest == split.digest
        differs = (tables[name] != same).any(axis=1)
        assert set(differs.index[differs]) == set(samples)
        assert (tables[name].loc[samples, "content"] != same.loc[samples, "content"]).all()
    labels, before = (table.loc[list(split.test), "label"] for table in (tables["other tests"], same))
    assert (labels != before).any() and labels.sum() == before.sum()


@pytest.mark.parametrize("name", ROWS)
def test_nothing_knows_the_test(worlds: Worlds, name: str) -> None:
    before, after = worlds.outcomes(name, "other tests")
    assert changed(before.before_test(), after.before_test()) == []
    moved = changed(before.everything(), after.everything())
    assert bool(moved) == (name not in BLIND_TO_PICTURES), "the pictures that are scored should be others"
    rules = {what.rpartition(", ")[2] for what in before.before_test() if what.startswith("threshold")}
    assert rules >= ({"alpha=0.05", "max_f1"} if before.record.unit == "image" else {"max_f1"})


@pytest.mark.parametrize("name", TUNED)
def test_the_chosen_configuration_does_not_know_the_test(worlds: Worlds, name: str) -> None:
    before, after = worlds.outcomes(name, "other tests", trials=2)
    assert before.record.training is not None and len(before.record.training["trials"]) == 2
    assert changed(before.before_test(), after.before_test()) == []


@pytest.mark.parametrize("name", BLIND_TO_VALIDATION)
def test_what_selects_nothing_does_not_know_validation(worlds: Worlds, name: str) -> None:
    before, after = worlds.outcomes(name, "other validation")
    moved = changed(before.everything(), after.everything())
    assert [what for what in moved if what.startswith(("weights", "training", "refinement", "test"))] == []
    assert bool(moved) == (name not in BLIND_TO_PICTURES), "the pictures that thresholds come from should be others"


@pytest.mark.parametrize(("use", "found"), [("ClosedForm", "weights: centre"), ("Trained", "training")])
@pytest.mark.parametrize("at", ["all pictures", "test files", "test labels", "names"])
def test_a_leak_is_caught(worlds: Worlds, use: str, found: str, at: str) -> None:
    before, after = worlds.outcomes(f"{use}, {at}", "other tests")
    assert found in changed(before.before_test(), after.before_test())


@pytest.mark.parametrize("use", USES)
def test_the_same_model_without_its_leak_passes(worlds: Worlds, use: str) -> None:
    before, after = worlds.outcomes(f"{use}, nowhere", "other tests")
    assert changed(before.before_test(), after.before_test()) == []


def test_a_state_that_is_chosen_on_test_is_caught(worlds: Worlds) -> None:
    before, after = worlds.outcomes(ORACLE_ROW + ORACLE, "other tests")
    assert "training" in changed(before.before_test(), after.before_test())


def test_a_closed_form_that_looks_at_validation_is_caught(worlds: Worlds) -> None:
    before, after = worlds.outcomes("ClosedForm, validation", "other validation")
    assert "weights: centre" in changed(before.before_test(), after.before_test())
