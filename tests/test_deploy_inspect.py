"""Inspecting pictures: a CSV with a decision each, one clear line for what cannot be read, overlays, parts."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from deployed import finished, inspect_arguments, refitted

from reshift.benchmark.deploy.commands import inspect
from reshift.benchmark.deploy.model_file import ModelFileError
from reshift.benchmark.deploy.overlay import write_overlay
from reshift.benchmark.deploy.units import part_units
from reshift.datamodules.dataset import DataError
from reshift.datamodules.manifest import Manifest
from reshift.datamodules.rows import rows_of
from reshift.splits.protocol import Split

__all__ = ["finished"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_becomes_a_csv_with_a_decision_for_every_picture(finished: Path, tmp_path: Path) -> None:
    model = refitted(finished, "gaussian")
    out = tmp_path / "found.csv"
    assert inspect(inspect_arguments(model, Path("photos"), out=out)) == 0
    found, said = rows(out), json.loads((model / "model.json").read_text())
    assert [row["file"] for row in found] == sorted(p.name for p in Path("photos").glob("*.png"))
    assert {row["model"] for row in found} == {said["id"]}
    for row in found:
        assert float(row["threshold"]) == said["threshold"]["value"]
        assert row["decision"] == ("defective" if float(row["score"]) > float(row["threshold"]) else "good")
    by_file = {row["file"]: float(row["score"]) for row in found}
    assert all(by_file[entry["sample"]] == pytest.approx(entry["score"], rel=1e-6) for entry in said["check"])


def test_one_picture_is_printed(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = refitted(finished, "gaussian")
    capsys.readouterr()
    assert inspect(inspect_arguments(folder, Path("photos/p000_0.png"))) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0] == "file,score,decision,threshold,model"
    assert printed.out.splitlines()[1].startswith("p000_0.png,") and "1 scored" in printed.err


def test_hostile_pictures_are_one_line_each_and_the_rest_goes_on(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, photos = refitted(finished, "gaussian"), tmp_path / "photos"
    photos.mkdir()
    shutil.copy("photos/p000_0.png", photos / "whole.png")
    (photos / "cut.png").write_bytes((photos / "whole.png").read_bytes()[:200])
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "text\nwith \x1b[31m.png").write_text("no picture")
    cv2.imwrite(str(photos / "deep.png"), np.zeros((8, 8), np.uint16))
    cv2.imwrite(str(photos / "clear.png"), np.zeros((8, 8, 4), np.uint8))
    header = b"P6\n70000 70000\n255\n"
    (photos / "huge.png").write_bytes(header)
    os.mkfifo(photos / "pipe.png")
    (photos / "notes.txt").write_text("not asked for")
    capsys.readouterr()
    assert inspect(inspect_arguments(model, photos, out=tmp_path / "found.csv")) == 1
    assert [row["file"] for row in rows(tmp_path / "found.csv")] == ["whole.png"]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 7 and lines[-1].startswith("1 scored, ") and lines[-1].endswith("6 refused")
    for name in ("cut.png", "empty.jpg", "deep.png", "clear.png", "huge.png"):
        assert sum(name in line for line in lines) == 1
    assert not any("\x1b" in line for line in lines)


@pytest.mark.parametrize(("wanted", "error"), [("nothing", DataError), ("empty", DataError)])
def test_where_there_is_no_picture_says_so(finished: Path, tmp_path: Path, wanted: str, error: type) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(error, match=f"{wanted}: (no such picture|holds no picture)"):
        inspect(inspect_arguments(refitted(finished, "gaussian"), tmp_path / wanted))


def test_what_is_no_model_is_refused(finished: Path, tmp_path: Path) -> None:
    for path in (Path("photos"), Path("photos/nothing"), tmp_path / "no.onnx"):
        with pytest.raises(ModelFileError):
            inspect(inspect_arguments(path, Path("photos")))


def test_parts_are_put_together_as_a_manifest_says(finished: Path, tmp_path: Path) -> None:
    model, out = refitted(finished, "multiview_classifier"), tmp_path / "found.csv"
    with pytest.raises(DataError, match="say which belong together with --manifest"):
        inspect(inspect_arguments(model, Path("photos")))
    assert inspect(inspect_arguments(model, Path("photos"), manifest=Path("photos/parts.csv"), out=out)) == 0
    said = json.loads((model / "model.json").read_text())
    by_part = {row["file"]: float(row["score"]) for row in rows(out)}
    assert len(by_part) == 60
    assert all(by_part[entry["part"]] == pytest.approx(entry["score"], rel=1e-6) for entry in said["check"])


def test_views_take_the_slots_that_training_gave_them(finished: Path, tmp_path: Path) -> None:
    frame = pd.read_csv("photos/parts.csv", keep_default_na=False)
    dataset = Manifest(Path("photos/parts.csv")).read()
    everyone = Split("all", train=tuple(dataset.table["sample"]), val=(), test=())
    trained = rows_of(dataset.table, everyone, "train", "all")
    of_part = dict(zip(trained.frame["part"], trained.images.tolist(), strict=True))
    # Only the second view of one part, and another part whose views come in the other order.
    asked = pd.concat([frame[frame["image"] == "p000_1.png"], frame[frame["part"] == "p7"].iloc[::-1]])
    asked.to_csv(tmp_path / "asked.csv", index=False)
    units = {unit.name: unit.files for unit in part_units(Path("photos"), tmp_path / "asked.csv", ["v0", "v1"], 2)}
    assert units["p0"] == (None, Path("photos/p000_1.png"))
    names = dataset.table["sample"].tolist()
    assert units["p7"] == tuple(Path("photos") / names[row] for row in of_part["p7"])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["image,part,view", "p000_0.png,p0,v9"], "view 'v9' was not in the training data, which had v0, v1"),
        (["image,part", "a.png,p0", "b.png,p0", "c.png,p0"], "had v0, v1"),
        (["image,part,view", "a.png,p0,v0", "b.png,p0,v1", "c.png,p0,v1"], "part 'p0' has 3 pictures"),
        (["image,part,view", "../a.png,p0,v0"], "line 2: give a part, and an image by its path"),
        (["image,part,view", "a.png,,v0"], "line 2: give a part"),
        (["image,view", "a.png,v0"], "no column 'part'"),
        (["image,part,view", "a.png,p0,v0", "a.png,p0,v1"], "'a.png' is listed twice"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    (tmp_path / "parts.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(DataError) as error:
        part_units(tmp_path, tmp_path / "parts.csv", ["v0", "v1"], 2)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("model", ["differnet", "classifier"])  # by its anomaly maps; by what moved its score
def test_overlays_are_drawn_for_every_picture(model: str, finished: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos" / "below"
    photos.mkdir(parents=True)
    shutil.copy("photos/p002_0.png", photos / "a.png")
    shutil.copy("photos/p000_0.png", photos / "a.jpg")
    asked = inspect_arguments(
        refitted(finished, model), tmp_path / "photos", overlays=tmp_path / "seen", out=tmp_path / "x.csv"
    )
    assert inspect(asked) == 0
    assert sorted(p.name for p in (tmp_path / "seen" / "below").iterdir()) == ["a.jpg.png", "a.png.png"]


def test_a_part_has_an_overlay_for_each_of_its_views(finished: Path, tmp_path: Path) -> None:
    model = refitted(finished, "multiview_classifier")
    assert json.loads((model / "model.json").read_text())["map_scale"] > 0
    frame = pd.read_csv("photos/parts.csv", keep_default_na=False)
    asked = frame[frame["part"].isin(["p2", "p7"]) & (frame["image"] != "p007_0.png")]
    asked = asked.assign(part="../" + asked["part"])  # a part's name leads nowhere
    asked.to_csv(tmp_path / "asked.csv", index=False)
    manifest, seen = tmp_path / "asked.csv", tmp_path / "below" / "seen"
    arguments = inspect_arguments(model, Path("photos"), manifest=manifest, overlays=seen, out=tmp_path / "x.csv")
    assert inspect(arguments) == 0
    drawn = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    assert drawn == [f"below/seen/{name}.png" for name in ("p002_0.png", "p002_1.png", "p007_1.png")]


def test_overlays_are_refused_of_a_model_without_a_network_to_look_into(finished: Path, tmp_path: Path) -> None:
    asked = inspect_arguments(refitted(finished, "two_faced"), finished / "photos", overlays=tmp_path / "none")
    asked.model_class = f"{finished / 'own_model.py'}:TwoFaced"
    with pytest.raises(DataError, match="draws no anomaly maps"):
        inspect(asked)


def test_an_overlay_is_orange_where_the_map_is_high_and_grey_elsewhere(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((20, 40, 3), 100, np.uint8))
    heat = np.zeros((4, 8), np.float32)
    heat[1, 2] = 5.0
    write_overlay(tmp_path / "hot.png", tmp_path / "a.png", heat, scale=1.0)
    write_overlay(tmp_path / "faint.png", tmp_path / "a.png", heat, scale=500.0)
    hot, faint = (np.asarray(cv2.imread(str(tmp_path / name))) for name in ("hot.png", "faint.png"))
    assert hot.shape == (20, 40, 3) and (hot[15, 35] == 100).all()
    assert hot[7, 12, 2] > 200 and hot[7, 12, 0] < 20  # BGR
    assert np.abs(faint.astype(int) - 100).max() <= 3
