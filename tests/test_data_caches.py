"""Caches hold what the files hold, notice any change, and are built once by however many processes."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import albumentations as A
import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from reshift.datamodules.cache_folder import build_once, cache_root
from reshift.datamodules.check_data import check_data
from reshift.datamodules.dataset import DataError, Dataset
from reshift.datamodules.feature_cache import FrozenFeatures, cached_features
from reshift.datamodules.image_cache import cached_images, content_hash
from reshift.datamodules.image_file import read_image, read_mask, to_square
from reshift.datamodules.magnetic_tiles import MagneticTiles
from reshift.splits.samples import validate_table

DATA = Path(__file__).parents[2] / "shared" / "data"
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESHIFT_CACHE", str(tmp_path / "cache"))


def noise(seed: int, shape: tuple[int, ...] = (20, 30, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def dataset_of(root: Path, count: int = 5) -> Dataset:
    root.mkdir(exist_ok=True)
    for number in range(count):
        path = root / f"{number}.png"
        if not path.exists():
            cv2.imwrite(str(path), noise(number))
    paths = sorted(root.glob("*.png"))
    table = pd.DataFrame({"sample": [p.name for p in paths], "label": [i % 2 for i in range(len(paths))]})
    table["content"] = [content_hash(path) for path in paths]
    return Dataset("tiny", 1, root, validate_table(table, "test"))


# One file.


def test_read_image_gives_rgb_and_keeps_grey(tmp_path: Path) -> None:
    colour = noise(1)
    cv2.imwrite(str(tmp_path / "c.png"), colour[..., ::-1])
    cv2.imwrite(str(tmp_path / "g.png"), colour[..., 0])
    opaque = np.dstack([colour[..., ::-1], np.full(colour.shape[:2], 255, np.uint8)])
    cv2.imwrite(str(tmp_path / "a.png"), opaque)
    assert np.array_equal(read_image(tmp_path / "c.png"), colour)
    assert np.array_equal(read_image(tmp_path / "a.png"), colour)
    assert np.array_equal(read_image(tmp_path / "g.png"), colour[..., 0])
    assert np.array_equal(to_square(read_image(tmp_path / "g.png"), 8)[..., 0], to_square(colour[..., 0], 8)[..., 2])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tiff", ".webp"])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 0.95])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), noise(2, (120, 150, 3)))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match=rf"a{suffix}: is not a whole image .*copy the file again"):
        read_image(path)


def test_missing_deep_and_transparent_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png: cannot be read"):
        read_image(tmp_path / "gone.png")
    cv2.imwrite(str(tmp_path / "deep.png"), np.zeros((4, 4), np.uint16))
    with pytest.raises(DataError, match="uint16 pixels, not 8-bit"):
        read_image(tmp_path / "deep.png")
    cv2.imwrite(str(tmp_path / "clear.png"), np.zeros((4, 4, 4), np.uint8))
    with pytest.raises(DataError, match="partly transparent"):
        read_image(tmp_path / "clear.png")


def test_masks_are_cut_at_127(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "m.png"), np.array([[0, 127, 128, 255]], np.uint8))
    assert read_mask(tmp_path / "m.png").tolist() == [[False, False, True, True]]


def test_squares_lose_nothing_at_the_border() -> None:
    image = np.zeros((100, 300, 3), np.uint8)
    image[:, -3:] = 255
    square = to_square(image, 50)
    assert square.shape == (50, 50, 3) and square[:, -1].max() > 100
    block = noise(3, (40, 60, 3)).astype(float)
    means = block.reshape(20, 2, 20, 3, 3).mean(axis=(1, 3))
    assert np.abs(to_square(block.astype(np.uint8), 20) - means).max() <= 0.5 + 1e-9


# Images.


def test_cached_images_equal_the_files(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "data")
    cached = cached_images(dataset, 16)
    for row, sample in enumerate(dataset.table["sample"]):
        assert np.array_equal(cached.pixels[row], to_square(read_image(dataset.root / sample), 16))
    assert cached.extent.tolist() == [[20, 30]] * 5
    with pytest.raises(ValueError, match="read-only"):
        cached.pixels[0] = 0


def test_key_follows_content_not_place(tmp_path: Path) -> None:
    first = cached_images(dataset_of(tmp_path / "data"), 16)
    (tmp_path / "data").rename(tmp_path / "moved")
    assert cached_images(dataset_of(tmp_path / "moved"), 16).key == first.key
    assert cached_images(dataset_of(tmp_path / "moved"), 17).key != first.key
    changed = noise(3)
    changed[0, 0, 0] ^= 1
    cv2.imwrite(str(tmp_path / "moved" / "3.png"), changed)
    again = cached_images(dataset_of(tmp_path / "moved"), 30)
    assert again.key != cached_images(dataset_of(tmp_path / "other"), 30).key
    assert cached_images(dataset_of(tmp_path / "moved"), 16).key != first.key


def test_a_bad_image_leaves_no_cache(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "data")
    (dataset.root / "3.png").write_bytes((dataset.root / "3.png").read_bytes()[:100])
    with pytest.raises(DataError, match=r"3\.png: is not a whole image"):
        cached_images(dataset, 16)
    cv2.imwrite(str(dataset.root / "3.png"), noise(3))
    assert cached_images(dataset, 16).pixels.shape == (5, 16, 16, 3)


def test_a_killed_build_is_not_taken_for_whole(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "data")
    folder = cache_root() / "images" / cached_images(dataset, 16).key
    folder.rename(folder.with_name(folder.name + ".partial"))
    (folder.with_name(folder.name + ".partial") / "pixels.npy").write_bytes(b"half")
    assert np.array_equal(cached_images(dataset, 16).pixels[0], to_square(read_image(dataset.root / "0.png"), 16))


def _build_slowly(root: Path, started: object) -> None:
    started.wait()  # type: ignore[attr-defined]

    def build(folder: Path) -> None:
        with (root / "builds").open("a") as handle:
            handle.write("x")
        (folder / "a").write_text("whole")

    assert (build_once(root / "entry", build) / "a").read_text() == "whole"


def test_two_processes_build_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    started = context.Barrier(4)
    workers = [context.Process(target=_build_slowly, args=(tmp_path, started)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert (tmp_path / "builds").read_text() == "x"


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = dataset_of(tmp_path / "data")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RESHIFT_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"cannot be written .* RESHIFT_CACHE"):
        cached_images(dataset, 16)


# Features.


class Mean(nn.Module):
    """Mean colour and the corner's, so that a flip shows."""

    calls = 0

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        Mean.calls += 1
        return torch.cat([image.mean(dim=(2, 3)), image[:, :, 0, 0]], dim=1)


FLIP = A.Compose([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)])


def test_features_are_the_extractors(tmp_path: Path) -> None:
    images = cached_images(dataset_of(tmp_path / "data", 40), 16)
    stored = cached_features(images, FrozenFeatures(Mean(), "mean", CPU), None, 1, True)
    assert stored.shape == (40, 1, 6) and stored.dtype == np.float32
    assert np.allclose(stored[:, 0, :3], np.asarray(images.pixels).mean(axis=(1, 2)) / 255, atol=1e-6)


def test_features_are_computed_once_per_key(tmp_path: Path) -> None:
    images = cached_images(dataset_of(tmp_path / "data"), 16)
    frozen = FrozenFeatures(Mean(), "mean", CPU)
    cached_features(images, frozen, FLIP, 4, True)
    calls = Mean.calls
    cached_features(images, frozen, A.Compose([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)]), 4, True)
    assert Mean.calls == calls
    for other in (
        (images, FrozenFeatures(Mean(), "other", CPU), FLIP, 4, True),
        (images, frozen, A.Compose([A.HorizontalFlip(p=0.6), A.VerticalFlip(p=0.5)]), 4, True),
        (images, frozen, FLIP, 5, True),
        (images, frozen, FLIP, 4, False),
    ):
        calls = Mean.calls
        cached_features(*other)
        assert Mean.calls > calls


def test_copies_belong_to_the_content(tmp_path: Path) -> None:
    frozen = FrozenFeatures(Mean(), "mean", CPU)
    whole = cached_images(dataset_of(tmp_path / "data", 9), 16)
    (tmp_path / "data" / "0.png").unlink()
    (tmp_path / "data" / "9.png").unlink(missing_ok=True)
    paths = sorted((tmp_path / "data").glob("*.png"))[3:]
    table = pd.DataFrame({"sample": [p.name for p in paths], "label": 0})
    table["content"] = [content_hash(path) for path in paths]
    some = cached_images(Dataset("some", 1, tmp_path / "data", validate_table(table, "test")), 16)
    of_whole = cached_features(whole, frozen, FLIP, 8, True)
    of_some = cached_features(some, frozen, FLIP, 8, True)
    for row, content in enumerate(some.contents):
        assert np.array_equal(of_some[row], of_whole[whole.contents.index(content)])
    assert np.array_equal(of_whole[:, 0], cached_features(whole, frozen, None, 1, True)[:, 0])
    assert len({of_whole[0, copy].tobytes() for copy in range(8)}) > 1


def test_a_wrong_extractor_is_named(tmp_path: Path) -> None:
    images = cached_images(dataset_of(tmp_path / "data"), 16)
    with pytest.raises(ValueError, match=r"extractor id gave shape \(32, 3, 16, 16\)"):
        cached_features(images, FrozenFeatures(nn.Identity(), "id", CPU), None, 1, True)


# The check.


def test_check_reports_duplicates_unreadable_files_and_small_defects(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "data")
    (tmp_path / "data" / "1.png").write_bytes((tmp_path / "data" / "0.png").read_bytes())
    mask = np.zeros((20, 30), np.uint8)
    mask[2:5, 2:5] = mask[10:14, 10:14] = 255  # pieces of 9 and 16 pixels: the larger counts
    cv2.imwrite(str(tmp_path / "data" / "mask.bmp"), mask)
    table = dataset.table.assign(mask=["", "mask.bmp", "", "mask.bmp", ""])
    table["content"] = [content_hash(dataset.root / sample) for sample in table["sample"]]
    (tmp_path / "data" / "4.png").write_bytes(b"nothing")
    lines = check_data(Dataset("tiny", 1, dataset.root, validate_table(table, "test")), 16)
    text = "\n".join(lines)
    assert "identical images: 1 pictures" in text
    assert "WARNING: one picture under several parts or labels: 0.png (0), 1.png (1)" in text
    assert "WARNING: 1 images cannot be used" in text and "4.png: is not a whole image" in text
    assert f"at most {4 * (16 / 20 * 16 / 30) ** 0.5:.1f} pixels at size 16, under 6" in text


@pytest.mark.skipif(not (DATA / "magnetic_tiles").is_dir(), reason="../shared/data has no magnetic tiles")
def test_check_of_the_tiles_names_the_four_empty_masks() -> None:
    lines = check_data(MagneticTiles(DATA / "magnetic_tiles").read(), 128)
    (line,) = [line for line in lines if "empty mask" in line]
    assert line.startswith("WARNING: 4 defective images") and line.count("MT_Uneven") == 4
