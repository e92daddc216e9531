"""The check finds what it says it finds, stays quiet where nothing is wrong, and says what the columns cannot carry."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import cv2
import imagehash
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import StandardScaler

from reshift.datamodules import near_duplicates as module
from reshift.datamodules.check_data import check_data
from reshift.datamodules.column_claims import column_claims
from reshift.datamodules.dataset import Dataset, Parts
from reshift.datamodules.frame_order import frame_order
from reshift.datamodules.image_cache import content_hash
from reshift.datamodules.magnetic_tiles import MagneticTiles
from reshift.datamodules.manifest import Manifest
from reshift.datamodules.near_duplicate_lines import near_duplicate_lines
from reshift.datamodules.near_duplicates import MOST_BITS, alike_by_features, alike_by_hash
from reshift.datamodules.overview_sheet import overview_sheet
from reshift.datamodules.survey import Survey, survey_pictures
from reshift.splits.samples import validate_table


def surface(seed: int, side: int = 64) -> np.ndarray:
    """A grey surface with structure of its own at every scale."""
    draw = np.random.default_rng(seed)
    sheets = [cv2.resize(draw.normal(0, 40, (n, n)), (side, side), interpolation=cv2.INTER_CUBIC) for n in (4, 8, 16)]
    return (128 + sum(sheets)).clip(0, 255).astype(np.uint8)


def dataset_of(root: Path, pictures: dict[str, np.ndarray], parts: Parts = "given", **columns: list[object]) -> Dataset:
    for name, pixels in pictures.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(root / name), pixels)
    table = pd.DataFrame({"sample": list(pictures), "label": 0, **columns})
    table["content"] = [content_hash(root / sample) for sample in table["sample"]]
    return Dataset("tiny", 1, root, validate_table(table, "test"), parts)


def hashed(hashes: np.ndarray, parts: Parts = "assumed", **columns: object) -> tuple[Dataset, Survey]:
    """A data set without files and its survey, for what is decided by hashes alone."""
    names = [f"{row:04d}.png" for row in range(len(hashes))]
    table = validate_table(pd.DataFrame({"sample": names, "label": 0, **columns}), "test")
    survey = Survey(((64, 64),) * len(names), hashes.astype(np.int8), ())
    return Dataset("hashed", 1, Path(), table, parts), survey


def signs(seed: int, count: int) -> np.ndarray:
    return np.where(np.random.default_rng(seed).random((count, 256)) < 0.5, 1, -1)


# Near-duplicates by hash.


def test_alterations_of_a_picture_are_found_and_other_pictures_are_not(tmp_path: Path) -> None:
    pictures = {f"{seed:02d}.png": surface(seed) for seed in range(30)}
    first = pictures["00.png"]
    pictures["darker.png"] = (first * 0.8).astype(np.uint8)
    pictures["small.png"] = cv2.resize(first, (40, 40), interpolation=cv2.INTER_AREA)
    pictures["coarse.jpg"] = first
    pictures["inside.png"] = np.clip(pictures["01.png"] + 5.0, 0, 255).astype(np.uint8)
    part = [name if name != "inside.png" else "01.png" for name in pictures]
    dataset = dataset_of(tmp_path, pictures, part=part)
    near = alike_by_hash(dataset, survey_pictures(dataset))
    copies = {"00.png", "coarse.jpg", "darker.png", "small.png"}
    assert set(near.pairs) == {(a, b) for a in copies for b in copies if a < b}
    assert (near.within, near.alike, near.groups, near.tells_parts_apart) == (1, 4, (4,), True)


def test_pairs_equal_those_of_imagehash_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Blends, so that distances lie on both sides of the line.
    shares = np.linspace(0, 1, 12)
    pictures = {
        f"{seed}_{i:02d}.png": (s * surface(seed) + (1 - s) * surface(seed + 1)).astype(np.uint8)
        for seed in (0, 2, 4)
        for i, s in enumerate(shares)
    }
    dataset = dataset_of(tmp_path, pictures, parts="assumed")
    monkeypatch.setattr(module, "LUMP", 100)
    monkeypatch.setattr(module, "_BLOCK", 5 * len(pictures))  # several blocks, the last one smaller
    near = alike_by_hash(dataset, survey_pictures(dataset))
    hashes = {name: imagehash.phash(Image.open(tmp_path / name), hash_size=16) for name in dataset.table["sample"]}
    expected = {(a, b): hashes[a] - hashes[b] for a in hashes for b in hashes if a < b}
    found = {pair for pair, bits in expected.items() if bits <= MOST_BITS}
    assert set(near.pairs) == found and 10 < len(found) < len(expected) / 2
    assert [expected[pair] for pair in near.pairs] == sorted(expected[pair] for pair in found)


def test_identical_files_and_unreadable_ones_are_no_near_duplicates(tmp_path: Path) -> None:
    pictures = {"a.png": surface(0), "b.png": surface(0), "c.png": surface(1), "d.png": surface(2), "e.png": surface(3)}
    dataset = dataset_of(tmp_path, pictures)
    for name in ("d.png", "e.png"):
        (tmp_path / name).write_bytes(b"")
    survey = survey_pictures(dataset)
    assert alike_by_hash(dataset, survey).pairs == ()
    assert survey.extents == ((64, 64),) * 3 + (None, None) and len(survey.unreadable) == 2


def test_a_measure_that_lumps_parts_says_so_and_warns_of_nothing() -> None:
    chain = signs(0, 60)
    for row in range(1, 40):  # each differs from the last in 20 bits, from the next but one in 40
        chain[row] = chain[row - 1]
        chain[row, 20 * (row % 12) : 20 * (row % 12) + 20] *= -1
    dataset, survey = hashed(chain)
    near = alike_by_hash(dataset, survey)
    assert not near.tells_parts_apart and near.pairs == () and near.groups == (40,)
    (line,) = near_duplicate_lines(dataset, near)
    assert "40 of 60 parts look like another, 40 of them in one chain: this measure cannot tell" in line
    assert "or the pictures show few objects" in line and not line.startswith("WARNING")


def test_twins_of_most_parts_mean_something_only_where_parts_are_assumed() -> None:
    twins = np.repeat(signs(0, 40), 2, axis=0)
    for parts, tells in (("assumed", True), ("given", False)):
        near = alike_by_hash(*hashed(twins, parts))  # type: ignore[arg-type]
        assert near.tells_parts_apart is tells and near.alike == 80 and near.groups == (2,) * 40
    few = alike_by_hash(*hashed(np.repeat(signs(0, 2), 2, axis=0), "given"))
    assert few.tells_parts_apart, "two pairs in four parts are no crowd"


def test_the_search_ends_where_everything_is_alike() -> None:
    near = alike_by_hash(*hashed(np.ones((500, 256))))
    assert not near.tells_parts_apart and near.pairs == () and near.groups == (500,)


def test_near_duplicate_lines_name_parts_labels_and_remedy() -> None:
    rows = signs(0, 20)
    rows[7], rows[9], rows[12] = rows[3], rows[3], rows[11]
    dataset, survey = hashed(rows, "inferred", label=[int(row == 7) for row in range(20)])
    lines = near_duplicate_lines(dataset, alike_by_hash(dataset, survey))
    assert all(line.startswith("WARNING: ") for line in lines) and len(lines) == 5
    assert "4 pairs of pictures across parts, 2 of them good with defective: 5 of 20 parts" in lines[0]
    assert "2 groups of 2 to 3; 0 more pairs lie within parts; where a group shows one object" in lines[0]
    assert lines[1] == "WARNING: alike: 0003.png and 0007.png (parts 0003.png and 0007.png)"


@pytest.fixture(scope="module")
def cracked_tiles() -> tuple[Dataset, Survey]:
    root = Path(__file__).parents[2] / "shared" / "data" / "magnetic_tiles"
    if not root.is_dir():
        pytest.skip(f"the magnetic tiles are not at {root}")
    tiles = MagneticTiles(root).read()
    chosen = tiles.table["defect"].isin(["crack", "blowhole"])
    dataset = replace(tiles, table=tiles.table[chosen].reset_index(drop=True))
    return dataset, survey_pictures(dataset)


def test_tiles_that_were_photographed_twice_are_found(cracked_tiles: tuple[Dataset, Survey]) -> None:
    """One cracked tile was photographed in five turns, which file names cannot tell; no tile is mixed with another."""
    near = alike_by_hash(*cracked_tiles)
    part = cracked_tiles[0].table.set_index("sample")["part"]
    joined = {frozenset((part[one], part[other])) for one, other in near.pairs}
    same = {"crack-85602", "crack-85781", "crack-85998", "crack-86828", "crack-88149"}
    assert {frozenset(("crack-85602", "crack-85998")), frozenset(("crack-85781", "crack-86828"))} <= joined
    assert all(pair <= same for pair in joined if any("crack" in name for name in pair))
    assert near.tells_parts_apart and near.within > len(near.pairs)


# Near-duplicates by features.


def test_features_are_compared_standardised() -> None:
    features = np.random.default_rng(0).normal(0, 1, (40, 16))
    features[20:30] = features[:10] + np.random.default_rng(1).normal(0, 0.15, (10, 16))
    dataset, _ = hashed(signs(0, 40))
    # A mean and scales that make all raw cosines large.
    shown = (features * np.geomspace(0.01, 5, 16) + 200).astype(np.float32)
    near = alike_by_features(dataset, shown, "net")
    similarity = cosine_similarity(StandardScaler().fit_transform(features))
    rows = [(a, b) for a in range(40) for b in range(a + 1, 40) if similarity[a, b] >= module.LEAST_COSINE]
    assert set(near.pairs) == {(f"{a:04d}.png", f"{b:04d}.png") for a, b in rows}
    assert {b - a for a, b in rows} == {20} and len(rows) >= 8
    assert cosine_similarity(shown).min() > 0.95
    assert "features of net, standardised" in near_duplicate_lines(dataset, near)[0]


def test_features_that_do_not_vary_or_do_not_fit() -> None:
    dataset, _ = hashed(signs(0, 40))
    assert alike_by_features(dataset, np.ones((40, 4), np.float32), "net").pairs == ()
    with pytest.raises(ValueError, match=r"net: features of shape \(39, 4\) for 40 pictures"):
        alike_by_features(dataset, np.ones((39, 4), np.float32), "net")


# The order of frames.


def wandering(seed: int, count: int) -> np.ndarray:
    rows = signs(seed, count)
    for row in range(1, count):
        flipped = np.random.default_rng(row).permutation(256)[:20]
        rows[row] = rows[row - 1]
        rows[row, flipped] *= -1
    return rows


def test_frames_of_one_object_betray_themselves_by_their_numbers() -> None:
    frames = wandering(0, 120)
    dataset, survey = hashed(frames)
    # Several numbers: the running one is neither the first nor the last, and 9 comes before 10.
    names = [f"cam1/exp2_num_{row + 5}_crop_{row % 3}.png" for row in range(120)]
    order = sorted(range(120), key=lambda row: names[row])
    named = replace(dataset, table=dataset.table.assign(sample=[names[row] for row in order]))
    found = frame_order(named, replace(survey, hashes=survey.hashes[order]))
    assert (found.by, found.neighbours, found.close, found.suspect) == ("number", 119, 119, True)
    shuffled = replace(survey, hashes=survey.hashes[np.random.default_rng(0).permutation(120)])
    assert not frame_order(named, shuffled).suspect
    assert not frame_order(*hashed(signs(1, 120))).suspect


def test_frames_are_ordered_by_time_where_it_is_given() -> None:
    frames, order = wandering(0, 80), np.random.default_rng(3).permutation(80)
    for clock in (lambda row: str(row), lambda row: f"2026-01-{1 + row // 24:02d}T{row % 24:02d}:00"):
        dataset, survey = hashed(frames[order], time=[clock(int(row)) for row in order])
        found = frame_order(dataset, survey)
        assert (found.by, found.neighbours, found.close) == ("time", 79, 79)
    assert not frame_order(*hashed(frames[order])).suspect


def test_frame_order_needs_numbers_and_enough_frames() -> None:
    dataset, survey = hashed(wandering(0, 20))
    assert frame_order(dataset, survey).close == 19 and not frame_order(dataset, survey).suspect
    letters = dataset.table.assign(sample=[chr(97 + row) + ".png" for row in range(20)])
    assert frame_order(replace(dataset, table=letters), survey).neighbours == 0


# The whole report.


def test_check_of_assumed_parts_warns_of_twins_and_of_neighbours(tmp_path: Path) -> None:
    pictures = {}
    for object_ in range(20):
        for frame in range(3):
            pixels = np.clip(surface(object_) * 0.9 + 4.0 * frame, 0, 255).astype(np.uint8)
            pictures[f"frame{3 * object_ + frame:03d}.png"] = pixels
    table = {"label": [int(row % 2) for row in range(60)]}
    dataset = dataset_of(tmp_path, pictures, "assumed", **table)
    text = "\n".join(check_data(dataset, 64))
    assert "parts: assumed, one per image; 1 to 1 images each, 1 in the median, 60 with a single image" in text
    assert "60 of 60 pictures fall into 20 groups of 3 to 3, and each counts as its own part" in text
    # 40 neighbours show one object; a few more are close by chance.
    assert re.search(r"WARNING: frame order: 4\d of 59 pictures that follow each other by number", text)
    assert "cannot show: new parts: no part column, so every picture counts as its own part" in text


def test_check_of_sound_data_has_no_warning_and_reuses_what_it_is_given(parts_manifest: Path) -> None:
    dataset = Manifest(parts_manifest).read()
    calls: list[tuple[int, int]] = []
    lines = check_data(dataset, 32, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (120, 120) and not [line for line in lines if line.startswith("WARNING")]
    assert "parts: given by the data; 2 to 2 images each, 2 in the median, 0 with a single image" in lines
    assert not [line for line in lines if line.startswith("frame order")]
    survey = survey_pictures(dataset)
    for path in parts_manifest.parent.glob("*.png"):
        path.unlink()
    near = alike_by_hash(dataset, survey)
    again = check_data(dataset, 32, survey=survey, near=[near, replace(near, measure="again")])
    (second,) = set(again) - set(lines)
    assert [line for line in again if line != second] == lines and "near-duplicates (again)" in second


# What the columns carry.


def claims_of(parts: Parts = "given", count: int = 60, **columns: object) -> list[str]:
    frame = pd.DataFrame(
        {"sample": [f"{row:03d}.png" for row in range(count)], "label": [row % 2 for row in range(count)]}
    )
    table = validate_table(frame.assign(**columns), "test")
    return column_claims(Dataset("tiny", 1, Path(), table, parts))


def test_claims_of_a_bare_table() -> None:
    lines = claims_of("assumed")
    text = "\n".join(lines)
    assert (
        "can show: how models do on held-out pictures of kinds that training has seen (in_distribution, 5 splits)"
        in lines
    )
    assert "no number here shows how a model does on new parts" in text
    for column in ("component", "transmission", "acquisition", "time", "official_split"):
        assert f"column '{column}' has no value" in text
    assert "defects that training has not seen: column 'defect' names nothing" in text
    assert "30 of 30 defective pictures name none" in text and "every part has one picture" in text
    assert "no masks" in text and "no content hash" in text
    # 30 defective parts of 59; a fold tests 6 of them: 1 - .05 ** (1 / 6) = .393.
    assert "takes 59 defective parts that nothing else uses, and there are 30" in text
    assert "an escape rate under 39% in one split of in_distribution: the smallest tests 6 defective" in text
    assert "an interval over parts (takes 10 good and 10 defective test parts): in_distribution, 5 of 5" in text
    # 24 good parts outside a fold, a fifth of them validates.
    assert "takes 19 good validation parts): in_distribution, 5 of 5 splits (fold=0: 5)" in text


def test_claims_that_a_table_carries() -> None:
    thirds = [row % 3 for row in range(600)]
    lines = claims_of(
        count=600,
        component=[f"c{value}" for value in thirds],
        defect=[f"d{row % 4}" if row % 2 else "" for row in range(600)],
        part=[f"p{row // 6}{row % 6}" for row in range(600)],
        mask="m.png",
        content=[str(row) for row in range(600)],
        time=[str(row) for row in range(600)],
    )
    text = "\n".join(lines)
    assert "can show: how models do on components that training has not seen (unseen_component, 3 splits)" in lines
    assert "can show: how models do on defects that training has not seen (unseen_defect, 2 splits)" in lines
    assert "can show: how models do on parts later than those of training (chronological, 1 split)" in lines
    for absent in (
        "59 defective parts",
        "an interval",
        "a 5 % threshold",
        "a gap",
        "no masks",
        "no content",
        "name none",
    ):
        assert absent not in text


def test_no_control_means_no_gap() -> None:
    lines = claims_of(count=60, component=["rare" if row < 3 else f"c{row % 2}{row % 3}" for row in range(60)])
    (gap,) = [line for line in lines if line.startswith("cannot show: a gap")]
    assert "unseen_component" in gap and "component=rare" in gap


def test_the_bound_on_escapes_follows_the_smallest_test() -> None:
    text = "\n".join(claims_of(label=[int(row % 3 == 0) for row in range(60)]))
    # 20 defective parts in five folds: 1 - .05 ** (1 / 4) = .527.
    assert "an escape rate under 53% in one split of in_distribution: the smallest tests 4 defective" in text


def test_one_class_shows_nothing() -> None:
    lines = claims_of(label=1)
    assert lines == ["cannot show: anything: all 60 parts are defective, and every figure compares good and defective"]


# The overview.


def test_overview_shows_every_component_label_and_kind_of_defect(tmp_path: Path) -> None:
    shades = {"g": (0, 90, 0), "pit": (0, 0, 130), "chip": (0, 80, 80), "dent": (140, 0, 0)}
    pictures, rows = {}, []
    for component in ("hub", "ring"):
        for number, kind in enumerate(["g"] * 9 + ["pit"] * 5 + ["chip"] * 2 + ["dent"]):
            name = f"{component}{number}.png"
            pictures[name] = np.full((50, 80, 3), shades[kind][::-1], np.uint8)
            rows.append((component, int(kind != "g"), "" if kind == "g" else kind))
    component, label, defect = (list(values) for values in zip(*rows, strict=True))
    dataset = dataset_of(tmp_path, pictures, component=component, label=label, defect=defect)
    sheet = np.array(overview_sheet(dataset, columns=4, size=96))
    assert np.array_equal(sheet, np.array(overview_sheet(dataset, columns=4, size=96)))
    areas = {kind: int((sheet == colour).all(axis=2).sum()) / 96**2 for kind, colour in shades.items()}
    assert {kind: round(area) for kind, area in areas.items()} == {"g": 8, "pit": 4, "chip": 2, "dent": 2}
    with pytest.raises(ValueError, match="at least 2 columns and squares of 96 pixels"):
        overview_sheet(dataset, columns=1)


def test_overview_picks_the_view_that_shows_the_defect_and_frames_it(tmp_path: Path) -> None:
    plain, marked = (np.full((100, 200, 3), colour, np.uint8) for colour in ((90, 20, 60), (10, 20, 90)))
    mask = np.zeros((100, 200), np.uint8)
    mask[50:60, 100:120] = mask[99, 0] = 255  # the second piece is one pixel in the corner
    pictures = {"p/0.png": plain, "p/1.png": marked, "p/2.png": plain, "q/0.png": plain}
    (tmp_path / "m").mkdir()
    cv2.imwrite(str(tmp_path / "m" / "1.png"), mask)
    cv2.imwrite(str(tmp_path / "m" / "0.png"), np.zeros_like(mask))
    masks = ["m/0.png", "m/1.png", "m/gone.png", ""]
    dataset = dataset_of(tmp_path, pictures, part=["p", "p", "p", "q"], label=[1, 1, 1, 0], mask=masks)
    (tmp_path / "q" / "0.png").write_bytes(b"")
    sheet = np.array(overview_sheet(dataset, columns=2, size=100)).astype(int)
    seen = np.nonzero((sheet == (90, 20, 10)).all(axis=2))
    top, left = seen[0].min(), seen[1].min()
    assert (seen[0].max() - top, seen[1].max() - left) == (99, 99), "the square of the view with the mask"
    yellow = (sheet[top : top + 100, left : left + 100] == (255, 220, 0)).all(axis=2)
    rows, columns = np.nonzero(yellow[:80])
    # The defect covers rows 50-59 and columns 50-59 of the square; its frame stands 4 pixels off.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (46, 63, 46, 63)
    assert yellow[90:, :10].any(), "a single pixel of a mask is framed too"
    assert (sheet == 205).all(axis=2).sum() > 5000, "what cannot be read is a grey square"
    assert not (sheet == (60, 20, 90)).all(axis=2).any()
