"""Readers keep to their layout, infer parts by their stated rule, and say what is wrong with bad input."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import pair_confusion_matrix

from reshift.datamodules.dataset import DataError
from reshift.datamodules.draft_manifest import draft_manifest
from reshift.datamodules.magnetic_tiles import MagneticTiles, sessions, tiles
from reshift.datamodules.manifest import Manifest
from reshift.datamodules.mvtec_ad import MVTecAD

DATA = Path(__file__).parents[2] / "shared" / "data"
needs_tiles = pytest.mark.skipif(not (DATA / "magnetic_tiles").is_dir(), reason="../shared/data has no magnetic tiles")


def picture(path: Path, value: int = 100, shape: tuple[int, ...] = (12, 16)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full(shape, value, np.uint8))
    return path


# Magnetic tiles.


@needs_tiles
def test_tiles_agree_with_the_given_groups() -> None:
    dataset = MagneticTiles(DATA / "magnetic_tiles").read()
    given = pd.read_csv(DATA / "magnetic_tiles_groups.csv").set_index("path")["group"].astype(str)
    inferred = dataset.table.set_index("sample")["part"].loc[given.index]
    (_, wrong), (missed, right) = pair_confusion_matrix(given, inferred)
    precision, recall = right / (right + wrong), right / (right + missed)
    assert precision >= 0.95 and recall >= 0.95
    assert 2 * precision * recall / (precision + recall) >= 0.95
    assert adjusted_rand_score(given, inferred) >= 0.95


@needs_tiles
def test_tiles_have_the_published_counts() -> None:
    dataset = MagneticTiles(DATA / "magnetic_tiles").read()
    assert dataset.table["defect"].value_counts().to_dict() == {
        "": 952, "blowhole": 115, "uneven": 103, "break": 85, "crack": 57, "fray": 32,
    }  # fmt: skip
    assert dataset.table["label"].sum() == 392
    assert dataset.parts == "inferred" and "inferred from file names" in dataset.notes[0]


@needs_tiles
def test_a_tile_never_crosses_sessions() -> None:
    tile = MagneticTiles(DATA / "magnetic_tiles").read().table.set_index("sample")["part"]
    session = MagneticTiles(DATA / "magnetic_tiles", group="session").read().table.set_index("sample")["part"]
    assert session.groupby(tile).nunique().max() == 1
    assert session.nunique() < tile.nunique()


def test_tile_and_session_rules_by_hand() -> None:
    frames = pd.DataFrame(
        [
            ("Free", 1, 1000, "free-1000", "session-1000"),
            ("Free", 2, 1020, "free-1000", "session-1000"),
            ("Crack", 1, 1030, "crack-1030", "session-1000"),
            ("Free", 2, 1040, "free-1040", "session-1000"),  # the exposure does not rise
            ("Free", 3, 1120, "free-1040", "session-1000"),  # 80 frames later is still the same tile
            ("Free", 4, 1201, "free-1201", "session-1000"),  # 81 is not
            ("Free", 5, 1401, "free-1401", "session-1401"),  # 200 frames later is another session
        ],
        columns=["class", "exposure", "num", "tile", "session"],
    ).sample(frac=1, random_state=0)
    assert tiles(frames).tolist() == frames["tile"].tolist()
    assert sessions(frames).tolist() == frames["session"].tolist()


def test_tiles_refuse_another_layout(tmp_path: Path) -> None:
    picture(tmp_path / "good" / "1.png")
    with pytest.raises(DataError, match=r"expected MT_Blowhole.*found good"):
        MagneticTiles(tmp_path).read()


# MVTec AD.


def mvtec(root: Path) -> Path:
    for path in ("train/good/000", "train/good/001", "test/good/000", "test/hole/000", "ground_truth/hole/000_mask"):
        picture(root / "nut" / f"{path}.png", value=len(path))
    return root


def test_mvtec_layout(tmp_path: Path) -> None:
    dataset = MVTecAD(mvtec(tmp_path), "nut").read()
    table = dataset.table.set_index("sample")
    assert dataset.name == "mvtec_ad:nut" and dataset.parts == "assumed"
    assert table["official_split"].to_dict() == {
        "test/good/000.png": "test", "test/hole/000.png": "test",
        "train/good/000.png": "train", "train/good/001.png": "train",
    }  # fmt: skip
    hole = table.loc["test/hole/000.png"]
    assert (hole["label"], hole["defect"], hole["mask"]) == (1, "hole", "ground_truth/hole/000_mask.png")
    assert table["label"].sum() == 1


def test_mvtec_says_what_it_expected_and_found(tmp_path: Path) -> None:
    mvtec(tmp_path)
    with pytest.raises(DataError, match="expected a category folder 'screw'; found nut"):
        MVTecAD(tmp_path, "screw").read()
    picture(tmp_path / "nut" / "train" / "hole" / "0.png")
    with pytest.raises(DataError, match=r"not the layout of MVTec AD.*\['good', 'hole'\]"):
        MVTecAD(tmp_path, "nut").read()


# Manifest.


def manifest(folder: Path, *lines: str, header: str = "image,label") -> Manifest:
    (folder / "parts.csv").write_text("\n".join((header, *lines)) + "\n")
    return Manifest(folder / "parts.csv")


def test_manifest_reads_labels_columns_and_notes(tmp_path: Path) -> None:
    for number in range(8):
        picture(tmp_path / f"{number}.png", value=number)
    picture(tmp_path / "m.png")
    words = ["0", "Good", "oK", "1", "DEFECTIVE", "nOK", "ng", "NK"]
    lines = [f"{i}.png,{word},gear,p{i // 2},{'m.png' if i > 2 else ''},train,x" for i, word in enumerate(words)]
    dataset = manifest(tmp_path, *lines, header="image,label,component,part,mask,split,operator").read()
    assert dataset.table["label"].tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    assert dataset.table["part"].tolist() == [f"p{i // 2}" for i in range(8)]
    assert set(dataset.table["official_split"]) == {"train"} and dataset.table["content"].nunique() == 8
    assert dataset.name == "parts" and dataset.parts == "given" and "operator" in dataset.notes[0]


def test_manifest_without_parts_assumes_them(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    dataset = manifest(tmp_path, "a.png,0").read()
    assert dataset.parts == "assumed" and dataset.notes == ("Parts: one per image, assumed.",)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a.png,0", "a.png,maybe"], r"parts.csv, row 2, column label: 'maybe' is no label; write 0, good"),
        (["a.png,"], r"row 1, column label: '' is no label"),
        (["a.png,0", "gone.png,1"], r"row 2, column image: 'gone.png' is no file below .*; correct the path"),
        (["a.png,0", "./a.png,1"], r"row 2, column image: 'a.png' is listed in row 1 already; keep one"),
        (["../a.png,0"], r"row 1, column image: '../a.png' is not a path below"),
        (["/etc/passwd,0"], r"row 1, column image: '/etc/passwd' is not a path below"),
        (["out.png,0"], r"row 1, column image: 'out.png' is a link that leaves"),
        ([], r"has a header and no row"),
    ],
)
def test_manifest_names_row_column_and_remedy(tmp_path: Path, lines: list[str], message: str) -> None:
    picture(tmp_path / "data" / "a.png")
    outside = picture(tmp_path / "elsewhere.png")
    (tmp_path / "data" / "out.png").symlink_to(outside)
    with pytest.raises(DataError, match=message) as caught:
        manifest(tmp_path / "data", *lines).read()
    assert "\n" not in str(caught.value)


def test_manifest_names_a_missing_column_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column 'label'; found image, verdict"):
        manifest(tmp_path, "a.png,0", header="image,verdict").read()
    with pytest.raises(DataError, match=r"none.csv: cannot be read"):
        Manifest(tmp_path / "none.csv").read()
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(DataError, match="no UTF-8 CSV"):
        Manifest(tmp_path / "binary.csv").read()


# Drafting.


def written(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    table.to_csv(folder / "draft.csv", index=False)
    return Manifest(folder / "draft.csv", root=folder).read().table.set_index("sample")


@needs_tiles
def test_tiles_as_a_strangers_folder(tmp_path: Path) -> None:
    root = DATA / "magnetic_tiles"
    table, report = draft_manifest(root)
    table.to_csv(tmp_path / "draft.csv", index=False)
    drafted = Manifest(tmp_path / "draft.csv", root=root).read().table
    expected = MagneticTiles(root).read().table
    assert drafted["sample"].tolist() == expected["sample"].tolist()
    assert drafted["label"].tolist() == expected["label"].tolist()
    assert drafted["mask"].tolist() == expected["mask"].tolist()
    assert drafted["defect"].str.lower().tolist() == expected["defect"].tolist()
    assert any("1344 .png files beside an image" in line for line in report)


def test_draft_of_a_tree_like_mvtec(tmp_path: Path) -> None:
    table, report = draft_manifest(mvtec(tmp_path) / "nut")
    drafted = written(table, tmp_path / "nut")
    expected = MVTecAD(tmp_path, "nut").read().table.set_index("sample")
    for column in ("label", "defect", "mask", "official_split"):
        assert drafted[column].to_dict() == expected[column].to_dict()
    assert any(line.startswith("folder level 1 (test, train): taken as the split") for line in report)


def test_draft_of_good_and_bad_folders(tmp_path: Path) -> None:
    for path in ("good/a.jpg", "bad/b.jpg", "bad/.hidden.jpg", "notes/c.jpg"):
        picture(tmp_path / path)
    table, report = draft_manifest(tmp_path)
    assert table.set_index("image")["label"].to_dict() == {
        "bad/b.jpg": "defective", "good/a.jpg": "good", "notes/c.jpg": "defective",
    }  # fmt: skip
    assert "'notes': taken as a defect's name, so defective" in report
    assert "'bad': defective, kind not said" in report


def test_draft_does_not_guess(tmp_path: Path) -> None:
    for path in ("north/1/x.jpg", "south/2/y.jpg"):
        picture(tmp_path / path)
    table, report = draft_manifest(tmp_path)
    assert set(table["label"]) == {""} and "part" not in table
    assert sum("could not tell" in line for line in report) == 3
    with pytest.raises(DataError, match="column label: ''"):
        written(table, tmp_path)


def test_draft_keeps_pictures_that_only_share_a_stem(tmp_path: Path) -> None:
    for path in ("good/a.jpg", "good/a.png", "bad/b.jpg"):
        picture(tmp_path / path, value=100)
    table, report = draft_manifest(tmp_path)
    assert len(table) == 3 and "mask" not in table
    assert any("are no black and white masks" in line for line in report)


def test_draft_by_pattern(tmp_path: Path) -> None:
    for path in ("OK/gear/g_1_left.png", "OK/gear/g_1_right.png", "nOK/ring/r_2_left.png", "other.png"):
        picture(tmp_path / path)
    table, report = draft_manifest(tmp_path, "{label}/{component}/{part}_{view}.png")
    rows = table.set_index("image")
    assert rows.loc["OK/gear/g_1_right.png", ["label", "component", "part", "view"]].tolist() == [
        "good", "gear", "g_1", "right",
    ]  # fmt: skip
    assert rows["label"].tolist() == ["good", "good", "defective"]
    assert any("1 images do not match and are left out, such as other.png" in line for line in report)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{label}/{colour}.png", r"\{colour\} is no field"),
        ("{part}/{part}.png", r"\{part\} is named twice"),
        ("*.png", "names no field"),
        ("{label/x.png", "names no field"),
        ("{label}/{part}.tiff", "matches none of 1 images, such as 'good/a.png'"),
    ],
)
def test_wrong_patterns(tmp_path: Path, pattern: str, message: str) -> None:
    picture(tmp_path / "good" / "a.png")
    with pytest.raises(DataError, match=message):
        draft_manifest(tmp_path, pattern)
