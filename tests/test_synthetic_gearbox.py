"""The synthetic parts: determinism, the label rule, the design, the knobs."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

import reshift.datamodules.synthetic_gearbox as module
from reshift.datamodules.gearbox.components import COMPONENTS
from reshift.datamodules.gearbox.knobs import REFERENCE_PIXELS, Knobs
from reshift.datamodules.gearbox.plan import DEFECTS, NEAR, TOLERANCE, TRANSMISSIONS, plan_part
from reshift.datamodules.gearbox.scene import Scene, build_scene
from reshift.datamodules.image_file import read_image, read_mask
from reshift.datamodules.synthetic_gearbox import SyntheticGearbox

PARTS = 12


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """A small world with twins: its folder and parts.csv."""
    root = tmp_path_factory.mktemp("world")
    data = SyntheticGearbox(root=str(root), parts=PARTS, counterfactuals=True).read()
    return data.root, pd.read_csv(data.root / "parts.csv", keep_default_na=False)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def scene_of(index: int, **knobs: object) -> Scene:
    chosen = Knobs(parts=40, views=2, **knobs)  # type: ignore[arg-type]
    return build_scene(chosen, plan_part(chosen, index))


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    def made(where: str, seed: int) -> dict[str, bytes]:
        return files_of(SyntheticGearbox(root=str(tmp_path / where), parts=3, views=2, seed=seed).read().root)

    first = made("a", 3)
    assert first == made("b", 3)
    assert not set(first.values()) & set(made("c", 4).values())


def test_a_part_does_not_depend_on_how_many_there_are(world: tuple[Path, pd.DataFrame], tmp_path: Path) -> None:
    fewer = SyntheticGearbox(root=str(tmp_path), parts=4).read().root
    for kind in ("images", "masks"):
        for path in (fewer / kind).iterdir():
            assert path.read_bytes() == (world[0] / kind / path.name).read_bytes()
    assert len(list((fewer / "images").iterdir())) == 20


def test_labels_follow_mask_pixels_at_the_reference_size(world: tuple[Path, pd.DataFrame]) -> None:
    folder, rows = world
    for row in rows.to_dict("records"):
        assert row["label"] == int(row["mask_pixels"] >= REFERENCE_PIXELS)
        assert bool(row["mask"]) == bool(row["label"]) == bool(row["defect"])
        if row["mask"]:
            assert int(read_mask(folder / row["mask"]).sum()) == row["mask_pixels"]
    assert {p.name for p in (folder / "masks").iterdir()} == {Path(m).name for m in rows["mask"] if m}


@pytest.mark.parametrize("size", [64, 160])
def test_the_size_of_the_pictures_changes_no_label(world: tuple[Path, pd.DataFrame], tmp_path: Path, size: int) -> None:
    data = SyntheticGearbox(root=str(tmp_path), parts=5, size=size).read()
    rows = pd.read_csv(data.root / "parts.csv", keep_default_na=False)
    columns = ["sample", "label", "defect", "mask", "mask_pixels", "severity"]
    pd.testing.assert_frame_equal(rows[columns], world[1][columns].head(len(rows)))
    for row in rows.itertuples():
        assert read_image(data.root / str(row.sample)).shape == (size, size, 3)
        if row.mask:
            small = read_mask(data.root / str(row.mask))
            assert small.shape == (size, size)
            assert small.any()


def test_the_table_says_what_the_files_say(world: tuple[Path, pd.DataFrame]) -> None:
    table = SyntheticGearbox(root=str(world[0].parent.parent), parts=PARTS, counterfactuals=True).read().table
    assert set(table["component"]) == set(COMPONENTS)
    assert set(table["transmission"]) == set(TRANSMISSIONS)
    assert table["content"].is_unique
    crossed = table.groupby("part")["acquisition"].nunique()
    assert (crossed == 2).all()


def test_every_defective_part_shows_its_defect_and_no_good_part_does(world: tuple[Path, pd.DataFrame]) -> None:
    _, rows = world
    shown = rows.groupby("part")["label"].max()
    planned = rows.groupby("part")["part_defect"].first() != ""
    assert (shown.astype(bool) == planned).all()
    assert planned.sum() >= 3


def test_one_tolerance_decides_for_all_components_and_kinds() -> None:
    knobs = Knobs(parts=600)
    for plan in (plan_part(knobs, i) for i in range(knobs.parts)):
        assert (plan.severity > TOLERANCE) == bool(plan.defect)
        assert all(severity < TOLERANCE for _, severity in plan.slight)
        assert plan.near_tolerance == (abs(plan.severity - TOLERANCE) <= NEAR * TOLERANCE)
    for index in range(0, 12):
        for mark in scene_of(index).marks:
            if mark.kind in DEFECTS:
                plan = plan_part(Knobs(), index)
                allowed = [severity for _, severity in plan.slight] + [plan.severity]
                assert min(abs(mark.size * mark.depth - severity) for severity in allowed) < 1e-9


def test_every_defect_occurs_in_every_component_and_transmission() -> None:
    plans = [plan_part(Knobs(), i) for i in range(200)]
    seen = {(p.component, p.transmission, p.defect) for p in plans}
    assert seen == set(itertools.product(COMPONENTS, TRANSMISSIONS, ("", *DEFECTS)))
    shares = Counter((p.component, p.transmission) for p in plans if p.defect)
    assert all(7 <= count <= 9 for count in shares.values())


def test_marks_and_the_dot_do_not_tell_the_label_by_default() -> None:
    plans = [plan_part(Knobs(parts=4000), i) for i in range(4000)]
    bad, good = [p for p in plans if p.defect], [p for p in plans if not p.defect]
    assert abs(np.mean([p.dot for p in bad]) - np.mean([p.dot for p in good])) < 0.05
    assert abs(np.mean([len(p.slight) for p in bad]) - np.mean([len(p.slight) for p in good])) < 0.1


def test_the_shortcut_reverses_between_the_transmissions() -> None:
    knobs = Knobs(parts=4000, shortcut=0.9)
    shares = (
        pd.DataFrame(
            [(p.transmission, bool(p.defect), p.dot) for p in (plan_part(knobs, i) for i in range(knobs.parts))],
            columns=["transmission", "defective", "dot"],
        )
        .groupby(["transmission", "defective"])["dot"]
        .mean()
    )
    for key, expected in {
        ("automatic", True): 0.95,
        ("automatic", False): 0.05,
        ("manual", True): 0.05,
        ("manual", False): 0.95,
    }.items():
        assert abs(float(shares[key]) - expected) < 0.03


def test_a_twin_differs_only_where_the_defect_is(world: tuple[Path, pd.DataFrame]) -> None:
    folder, rows = world
    defective = rows[rows["label"] == 1]
    assert {p.name for p in (folder / "counterfactuals").iterdir()} == {Path(s).name for s in defective["sample"]}
    for row in defective.itertuples():
        picture = read_image(folder / str(row.sample)).astype(int)
        twin = read_image(folder / "counterfactuals" / Path(str(row.sample)).name).astype(int)
        changed = np.abs(picture - twin).max(2) > 0
        covered = read_mask(folder / str(row.mask))
        around = cv2.dilate(covered.astype(np.uint8), np.ones((9, 9), np.uint8))
        assert changed[covered].mean() > 0.5
        # what little changes farther off belongs to the defect too: fading ends and parts seen too flatly to count
        assert (changed & ~around.astype(bool)).sum() <= 0.1 * changed.sum() + 3


@pytest.mark.parametrize("shift", ["geometry", "finish", "light", "none", "all"])
def test_each_switch_changes_what_it_says_between_transmissions(shift: str) -> None:
    index = 5  # the first manual part
    scene, none = scene_of(index, transmission_shift=shift), scene_of(index, transmission_shift="none")
    probe = [np.float32(value) for value in (36.0, 1.0, 2.0)]
    points = [torch.linspace(-40, 40, 200) * 0 + torch.linspace(float(p) - 6, float(p) + 6, 200) for p in probe]
    same = {
        "geometry": bool((scene.solid.distance(*points) == none.solid.distance(*points)).all()),
        "finish": scene.finish == none.finish,
        "light": all(a.light == b.light for a, b in zip(scene.views, none.views, strict=True)),
    }
    assert same == {what: shift not in (what, "all") for what in same}


def test_switches_leave_the_automatic_transmission_alone(tmp_path: Path) -> None:
    made = [
        files_of(SyntheticGearbox(root=str(tmp_path), parts=2, views=2, transmission_shift=shift).read().root)
        for shift in ("all", "none")
    ]
    assert made[0] == made[1]


def test_a_second_read_renders_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = SyntheticGearbox(root=str(tmp_path), parts=2, views=2).read()

    def refuse(*_: object) -> None:
        raise AssertionError("rendered again")

    monkeypatch.setattr(module, "build_world", refuse)
    again = SyntheticGearbox(root=str(tmp_path), parts=2, views=2).read()
    pd.testing.assert_frame_equal(first.table, again.table)
    with pytest.raises(AssertionError, match="rendered again"):
        SyntheticGearbox(root=str(tmp_path), parts=2, views=2, seed=1).read()


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"parts": 0}, "parts=0"),
        ({"views": 1}, "views=1"),
        ({"size": 16}, "size=16"),
        ({"seed": -1}, "seed=-1"),
        ({"defective": 1.0}, "defective=1.0"),
        ({"shortcut": 1.5}, "shortcut=1.5"),
        ({"transmission_shift": "colour"}, "transmission_shift='colour'"),
    ],
)
def test_a_bad_parameter_is_named_with_its_remedy(arguments: dict[str, object], names: str) -> None:
    with pytest.raises(ValueError, match=names) as error:
        SyntheticGearbox(**arguments)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    assert "give" in str(error.value) or "choose" in str(error.value)
