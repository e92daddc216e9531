"""The verifier refuses a split for every invariant that somebody might break."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from reshift.splits.protocol import Split
from reshift.splits.samples import validate_table
from reshift.splits.verify import SplitError, verify


@pytest.fixture
def table() -> pd.DataFrame:
    """Twelve parts of two views: g* good, p* pitted (the second view looks good), s* scratched."""
    rows = []
    for part in ("g0", "g1", "g2", "g3", "g4", "g5", "p0", "p1", "s0", "s1", "s2", "s3"):
        for view in (0, 1):
            bad = part[0] == "s" or (part[0] == "p" and view == 0)
            defect = {"g": "", "p": "pit", "s": "scratch"}[part[0]] if bad else ""
            rows.append((f"{part}/{view}.png", int(bad), "gear", defect, part, f"{part}{view}"))
    columns = ["sample", "label", "component", "defect", "part", "content"]
    return validate_table(pd.DataFrame(rows, columns=columns), "test")


def views(*parts: str) -> tuple[str, ...]:
    return tuple(sorted(f"{part}/{view}.png" for part in parts for view in (0, 1)))


@pytest.fixture
def sound() -> Split:
    return Split(
        name="defect=pit",
        train=views("g0", "g1", "s0", "s1"),
        val=views("g2", "s2"),
        test=views("g3", "p0", "p1"),
        held_out=("defect", "pit"),
        dropped=6,
    )


def noisy(kind: str, unit: str, rate: float, labels: dict[str, int]) -> dict[str, Any]:
    return {"noise": {"kind": kind, "unit": unit, "rate": rate}, "train_labels": labels}


HALF_FLIPPED = {s: 1 for s in views("g0")} | {s: 0 for s in views("s0")}


def test_a_sound_split_passes(table: pd.DataFrame, sound: Split) -> None:
    verify(sound, table)


SABOTAGE: dict[str, tuple[dict[str, Any], str]] = {
    "empty train": ({"train": (), "dropped": 14}, "train is empty"),
    "empty val": ({"val": (), "dropped": 10}, "val is empty"),
    "empty test": ({"test": (), "dropped": 12}, "test is empty"),
    "unsorted": ({"train": views("g0", "g1", "s0", "s1")[::-1]}, "train is not sorted"),
    "unknown id": ({"val": (*views("g2", "s2"), "x.png")}, "'x.png', which the table does not have"),
    "id twice in a role": ({"val": tuple(sorted((*views("g2"), "g2/0.png")))}, "is in val and in val"),
    "id in two roles": ({"val": views("g0", "g2", "s2")}, "'g0/0.png' is in train and in val"),
    "wrong count of dropped": ({"dropped": 0}, "0 samples are dropped, but 6"),
    "unknown invariant": ({"breaks": ("everything",)}, "breaks 'everything'"),
    "part in train and test": (
        {
            "train": views("g0", "g1", "s0"),
            "test": tuple(sorted((*views("g3", "p0", "p1"), "s1/0.png"))),
            "val": tuple(sorted((*views("g2", "s2"), "s1/1.png"))),
            "dropped": 6,
        },
        "part 's1' is in val and in test",
    ),
    "part in calibration and test": (
        {"test": tuple(sorted((*views("p0", "p1"), "g3/0.png"))), "calibration": ("g3/1.png",)},
        "part 'g3' is in calibration and in test",
    ),
    "held-out part in train": (
        {"train": views("g0", "p0", "s0", "s1"), "test": views("g3", "p1"), "dropped": 8},
        "held-out defect='pit' is in train: sample 'p0/0.png'",
    ),
    "good-looking view of a held-out defect in val": (
        {"val": tuple(sorted((*views("g2", "s2"), "p1/1.png"))), "test": views("g3", "p0"), "dropped": 7},
        "held-out defect='pit' is in val: sample 'p1/1.png'",
    ),
    "held-out value not tested": ({"held_out": ("defect", "notch")}, "test holds no sample with defect='notch'"),
    "held-out column missing": ({"held_out": ("colour", "red")}, "column 'colour'"),
    "one class in test": ({"test": views("p0", "p1"), "dropped": 8}, "all 2 test parts are defective"),
    "silent noise": ({"train_labels": {"s0/0.png": 0}}, "no noise is stated"),
    "altered test label": (noisy("label_flips", "image", 0.1, {"p0/0.png": 0}), "test sample 'p0/0.png' is altered"),
    "label of a dropped sample": (noisy("label_flips", "image", 0.1, {"s3/0.png": 0}), "in neither train nor val"),
    "label equal to the truth": (noisy("label_flips", "image", 0.1, {"s0/0.png": 1}), "not the other one"),
    "unknown kind of noise": (noisy("gossip", "part", 0.1, {"s0/0.png": 0}), "no known kind"),
    "unknown unit of noise": (noisy("contamination", "pixel", 0.1, {"s0/0.png": 0}), "no known kind"),
    "too little contamination": (noisy("contamination", "view", 0.5, {"s0/0.png": 0}), "train: 1 of 5 observed-good"),
    "too much contamination": (
        noisy("contamination", "part", 0.1, dict.fromkeys(views("s0", "s1"), 0)),
        "train: 4 of 8 observed-good images are defective; stated is 0.1, within 2",
    ),
    "contamination at rate zero": (noisy("contamination", "part", 0.0, {"s0/0.png": 0}), "stated is 0, within 0"),
    "contamination of train only": (
        {
            **noisy("contamination", "view", 0.5, dict.fromkeys(views("s0", "s1"), 0)),
            "val": views("g2", "g4", "s2"),
            "dropped": 4,
        },
        "val: 0 of 4 observed-good",
    ),
    "contamination that raises labels": (noisy("contamination", "view", 0.2, {"g0/0.png": 1}), "makes good sample"),
    "flips of one class only": (
        noisy("label_flips", "image", 0.4, dict.fromkeys(views("s0"), 0)),
        "train: 0 of 4 good samples are flipped",
    ),
    "part flips at rate zero": (noisy("label_flips", "part", 0.0, HALF_FLIPPED), "stated is 0"),
}


@pytest.mark.parametrize("sabotage", SABOTAGE.values(), ids=SABOTAGE.keys())
def test_sabotage_is_found(table: pd.DataFrame, sound: Split, sabotage: tuple[dict[str, Any], str]) -> None:
    change, message = sabotage
    with pytest.raises(SplitError) as caught:
        verify(replace(sound, **change), table)
    assert message in str(caught.value)
    assert str(caught.value).startswith("split 'defect=pit': ") and "\n" not in str(caught.value)


def test_identical_pictures_in_two_roles_are_found(table: pd.DataFrame, sound: Split) -> None:
    table.loc[table["sample"].isin(["g0/0.png", "g3/1.png"]), "content"] = "same"
    with pytest.raises(SplitError, match="content 'same' is in train and in test"):
        verify(sound, table)
    verify(replace(sound, breaks=("content",)), table)


def test_controls_and_declared_breaks_may_train_on_the_value(table: pd.DataFrame, sound: Split) -> None:
    change: dict[str, Any] = {"train": views("g0", "p0", "s0", "s1"), "test": views("g3", "p1"), "dropped": 8}
    verify(replace(sound, control_of="defect=pit", **change), table)
    verify(replace(sound, breaks=("absence",), **change), table)


def test_noise_at_its_rate_passes(table: pd.DataFrame, sound: Split) -> None:
    verify(replace(sound, **noisy("label_flips", "part", 0.4, HALF_FLIPPED)), table)
    labels = dict.fromkeys(("s0/0.png", "s0/1.png", "s2/0.png"), 0)
    verify(replace(sound, **noisy("contamination", "view", 0.33, labels)), table)
