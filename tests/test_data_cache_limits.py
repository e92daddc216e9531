"""Caches stay within their limit and within memory, and survive kills, damage and processes that meet in them."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import albumentations as A
import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from reshift.benchmark.cell_data import picture_features
from reshift.benchmark.suspects import _read_suspicion
from reshift.datamodules.array_file import open_array, write_array
from reshift.datamodules.cache_folder import DamagedError, build_once, cache_root
from reshift.datamodules.cache_limit import cache_limit, open_limited
from reshift.datamodules.dataset import DataError, Dataset
from reshift.datamodules.feature_cache import FrozenFeatures, cached_features
from reshift.datamodules.image_cache import CachedImages, cached_images, content_hash
from reshift.datamodules.image_file import read_image, to_square
from reshift.datamodules.mask_cache import cached_masks
from reshift.splits.samples import validate_table

FORK = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESHIFT_CACHE", str(tmp_path / "cache"))


def entry(key: int, kilobytes: int = 10) -> np.ndarray:
    """An entry of the image cache that holds its key over and over."""

    def build(folder: Path) -> None:
        write_array(folder / "a.npy", "|u1", (kilobytes * 1000 - 128,), [np.full(kilobytes * 1000 - 128, key)])

    return open_limited("images", str(key), build, lambda folder: open_array(folder / "a.npy"))


def kept() -> set[str]:
    return {path.name for path in (cache_root() / "images").iterdir()}


def used_ago(seconds: float, *keys: int) -> None:
    for place, key in enumerate(keys):
        at = time.time() - seconds + place
        os.utime(cache_root() / "images" / str(key), (at, at))


def dataset_of(root: Path, count: int = 5) -> Dataset:
    root.mkdir(exist_ok=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        cv2.imwrite(str(root / f"{number}.png"), pixels)
        cv2.imwrite(str(root / f"{number}.mask.bmp"), pixels[..., 0])
    paths = [root / f"{number}.png" for number in range(count)]
    table = pd.DataFrame({"sample": [path.name for path in paths], "label": [n % 2 for n in range(count)]})
    table["mask"] = [f"{n}.mask.bmp" if n % 2 else "" for n in range(count)]
    table["content"] = [content_hash(path) for path in paths]
    return Dataset("tiny", 1, root, validate_table(table, "test"))


# The limit.


@pytest.mark.parametrize(
    ("text", "size"), [("20GB", 20e9), ("1.5 tb", 1.5e12), ("500MB", 5e8), ("7KB", 7e3), ("", 50e9)]
)
def test_the_limit_is_read(monkeypatch: pytest.MonkeyPatch, text: str, size: float) -> None:
    monkeypatch.setenv("RESHIFT_CACHE_LIMIT", text)
    assert cache_limit() == size


@pytest.mark.parametrize("text", ["20", "GB", "-1GB", "20GiB", "many", "1e3MB"])
def test_a_limit_that_is_none_is_one_line_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("RESHIFT_CACHE_LIMIT", text)
    with pytest.raises(DataError, match=rf"RESHIFT_CACHE_LIMIT: '{text}' is no size; .* such as 20GB"):
        cached_images(dataset_of(tmp_path / "data"), 16)
    assert not cache_root().exists()


def test_the_least_recently_used_leave(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RESHIFT_CACHE_LIMIT", "35KB")
    for key in (1, 2, 3):
        entry(key)
    assert kept() == {"1", "2", "3"}
    used_ago(9000, 1, 2, 3)
    assert (entry(1) == 1).all(), "a hit is a use"
    entry(4)
    assert kept() == {"1", "3", "4"} and capfd.readouterr().err == ""
    entry(5, 20)
    assert kept() == {"4", "5"}
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and "images/1 (1e-05 GB) had to leave 0 minutes after its last use" in said
    assert "RESHIFT_CACHE_LIMIT (now 3.5e-05GB)" in said


def test_what_was_just_built_stays_even_alone_above_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESHIFT_CACHE_LIMIT", "5KB")
    entry(1)
    used_ago(-60, 1)  # even where clocks disagree
    entry(2)
    assert kept() == {"2"}


def test_only_arrays_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESHIFT_CACHE_LIMIT", "1KB")

    def fill(folder: Path) -> None:
        (folder / "file").write_bytes(bytes(9000))

    for kind in ("synthetic_gearbox", "suspicion"):
        build_once(cache_root() / kind / "a", fill)
    entry(1)
    assert [path.name for path in cache_root().glob("s*/*")] == ["a", "a"]


def test_an_entry_in_use_stays_as_long_as_a_piece_of_its_map_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESHIFT_CACHE_LIMIT", "15KB")
    piece = entry(1)[5:50]
    used_ago(9000, 1)
    entry(2)
    assert kept() == {"1", "2"}
    del piece
    entry(3)
    assert kept() == {"3"}


def _hold(opened: object, done: object) -> None:
    held = entry(1)
    opened.set()  # type: ignore[attr-defined]
    done.wait(30)  # type: ignore[attr-defined]
    assert (held == 1).all()


def test_another_process_keeps_its_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESHIFT_CACHE_LIMIT", "5KB")
    opened, done = FORK.Event(), FORK.Event()
    holder = FORK.Process(target=_hold, args=(opened, done))
    holder.start()
    assert opened.wait(30)
    entry(2)
    assert kept() == {"1", "2"}
    done.set()
    holder.join(30)
    entry(3)
    assert holder.exitcode == 0 and kept() == {"3"}


def _churn(seed: int, start: object) -> None:
    start.wait()  # type: ignore[attr-defined]
    draw = np.random.default_rng(seed)
    held = [entry(0)]
    for key in draw.integers(0, 8, 60).tolist():
        held = [*held[-1:], entry(key)]
        assert len(held[-1]) == 9872 and (held[-1] == key).all() and len(np.unique(held[0])) == 1


def test_processes_that_build_read_and_remove_at_once_see_whole_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESHIFT_CACHE_LIMIT", "25KB")
    start = FORK.Barrier(4)
    workers = [FORK.Process(target=_churn, args=(seed, start)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    entry(9)
    assert len(kept()) <= 2 and all(name.isdigit() for name in kept()), "nothing is left but entries"


# Kills and damage.


def _decode_and_count(dataset: Dataset, start: object, builds: Path) -> None:
    start.wait()  # type: ignore[attr-defined]

    def progress(done: int, total: int) -> None:
        with builds.open("a") as handle:
            handle.write("x")

    cached = cached_images(dataset, 16, progress)
    assert np.array_equal(cached.pixels[4], to_square(read_image(dataset.root / "4.png"), 16))


def test_two_processes_decode_once(tmp_path: Path) -> None:
    dataset, start = dataset_of(tmp_path / "data"), FORK.Barrier(2)
    workers = [FORK.Process(target=_decode_and_count, args=(dataset, start, tmp_path / "n")) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert (tmp_path / "n").read_text() == "x" * 5


def _decode_and_die(dataset: Dataset) -> None:
    def progress(done: int, total: int) -> None:
        if done == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    cached_images(dataset, 16, progress)


def test_a_build_killed_in_the_middle_leaves_nothing_for_long(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "data")
    worker = FORK.Process(target=_decode_and_die, args=(dataset,))
    worker.start()
    worker.join(30)
    assert worker.exitcode == -signal.SIGKILL
    assert sorted(Path(name).suffix for name in kept()) == [".lock", ".partial"]
    other = cached_images(dataset, 8)
    assert kept() == {other.key}, "the next build of any entry sweeps"
    again = cached_images(dataset, 16)
    assert np.array_equal(again.pixels[3], to_square(read_image(dataset.root / "3.png"), 16))


def test_a_build_that_goes_on_is_not_swept(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        entry(2)  # of the same kind
        (folder / "a").write_text("whole")

    assert (build_once(cache_root() / "images" / "1", build) / "a").read_text() == "whole"


def _damages(content: bytes) -> dict[str, bytes]:
    return {"cut": content[:-1], "half": content[: len(content) // 2], "long": content + b"x", "head": content[:40]} | {
        "empty": b"",
        "other": bytes(len(content)),
        "no header": content[:6] + b"\xff" * 122 + content[128:],
    }


@pytest.mark.parametrize("damage", _damages(b""))
@pytest.mark.parametrize("file", ["images/*/pixels.npy", "images/*/extent.npy", "masks/*/masks.npy", "features/*/*"])
def test_a_damaged_file_is_built_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], file: str, damage: str
) -> None:
    def everything() -> tuple[CachedImages, list[np.ndarray]]:
        images = cached_images(dataset, 16)
        frozen = FrozenFeatures(nn.Flatten(), "flat", torch.device("cpu"))
        features = cached_features(images, frozen, None, 1, True)
        return images, [
            np.array(a) for a in (images.pixels, images.extent, cached_masks(dataset, images).stored, features)
        ]

    dataset = dataset_of(tmp_path / "data")
    _, before = everything()
    (path,) = cache_root().glob(file)
    path.write_bytes(_damages(path.read_bytes())[damage])
    _, after = everything()
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and f"cache: {path}: " in said and said.endswith("; it is built again\n")
    path.unlink()
    assert np.array_equal(everything()[1][3], before[3]) and path.exists()


def test_a_suspicion_file_cut_short_or_with_a_flipped_bit_is_damaged(tmp_path: Path) -> None:
    whole = b"sample,part,verified,suspicion,spread\na.png,1,False,0.5,\nb.png,2,True,-1.25,\n"
    path = tmp_path / "suspicion.csv"
    (tmp_path / "suspicion.sha256").write_text(hashlib.sha256(whole).hexdigest())
    path.write_bytes(whole)
    assert _read_suspicion(tmp_path, {"a.png", "b.png"})["suspicion"].tolist() == [0.5, -1.25]
    flipped = (whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :] for at in range(len(whole)))
    for damaged in (*(whole[:cut] for cut in (0, 1, 12, 40, 60)), *flipped):
        path.write_bytes(damaged)
        with pytest.raises(DamagedError, match=r"suspicion\.csv: "):
            _read_suspicion(tmp_path, {"a.png", "b.png"})


# Never stale.


def test_a_changed_weight_or_transform_is_computed_anew(tmp_path: Path) -> None:
    dataset, cpu = dataset_of(tmp_path / "data"), torch.device("cpu")
    linear = nn.Linear(3 * 8 * 8, 2)
    network = nn.Sequential(nn.Flatten(), linear)
    before = np.array(picture_features(dataset, 8, network, cpu))
    with torch.no_grad():
        linear.weight[0, 0] += 1
    after = picture_features(dataset, 8, network, cpu)
    corner = to_square(read_image(dataset.root / "1.png"), 8)[0, 0, 0] / 255
    assert np.isclose(after[1, 0] - before[1, 0], corner, atol=1e-5)
    images, frozen = cached_images(dataset, 8), FrozenFeatures(nn.Flatten(), "flat", cpu)
    dark, bright = (
        cached_features(images, frozen, A.Compose([A.RandomBrightnessContrast((by, by), (0, 0), p=1)]), 1, False)
        for by in (-0.5, 0.5)
    )
    assert dark.mean() < bright.mean()


def test_an_image_that_changed_since_its_table_was_read_is_refused(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "data")
    (dataset.root / "2.png").write_bytes((dataset.root / "0.png").read_bytes())
    with pytest.raises(DataError, match=r"2\.png: its sha256 is not the content hash in the table; .* start again"):
        cached_images(dataset, 16)
    assert not kept()


def test_an_image_without_a_content_hash_is_hashed(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "data")
    key = cached_images(dataset, 16).key
    dataset.table["content"] = ""
    assert cached_images(dataset, 16).key == key


# Memory.

BOUNDED = """
import resource, sys
from pathlib import Path
import albumentations as A, cv2, numpy as np, pandas as pd, torch
from torch import nn
from reshift.datamodules.dataset import Dataset
from reshift.datamodules.feature_cache import FrozenFeatures
from reshift.datamodules.inspection_data import InspectionData
from reshift.splits.protocol import Split
from reshift.splits.samples import validate_table

torch.set_num_threads(1)
cv2.setNumThreads(0)
FLIP = A.Compose([A.HorizontalFlip(p=0.5)])
ALLOWED = 48 * 2**20

def dataset(root, count):
    root.mkdir()
    names = [f"{number}.png" for number in range(count)]
    for number, name in enumerate(names):
        cv2.imwrite(str(root / name), np.full((8, 8, 3), number % 251, np.uint8))
    return Dataset("flat", 1, root, validate_table(pd.DataFrame({"sample": names, "label": 0}), "test"))

def read(dataset, size, features):
    names = list(dataset.table["sample"])
    split = Split("only", tuple(names[: len(names) // 2]), (names[-1],), tuple(names[len(names) // 2 : -1]))
    data = InspectionData(
        dataset, split, size=size, augmentation=FLIP, batch_size=4, features=features, score_augmentation=FLIP,
        score_copies=2 if features else 1, train_copies=2, progress=lambda done, total: None,
    )
    for loader in (data.train_loader(steps=len(names) // 8), data.score_loader("test")):
        for batch in loader:
            assert 0 <= batch["feature" if features else "image"].mean() < 1
    return data

def frozen(key):
    return FrozenFeatures(nn.Flatten(), key, torch.device("cpu"), train_copies_kept=4)

root = Path(sys.argv[1])
small = dataset(root / "small", 40)
large = dataset(root / "large", 640)
read(small, 256, None)
read(small, 64, frozen("flat"))  # now everything is imported and has its buffers
used = 1024 * int(next(s for s in open("/proc/self/status") if s.startswith("VmData")).split()[1])
resource.setrlimit(resource.RLIMIT_DATA, (used + ALLOWED,) * 2)
data = read(large, 256, None)
assert data.images.pixels.nbytes > 2 * ALLOWED
data = read(large, 64, frozen("flat"))
assert data._source._train.nbytes > 2 * ALLOWED
try:
    np.array(data._source._train)
except MemoryError:
    print("bounded")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts private memory on Linux only")
def test_sets_larger_than_the_allowed_memory_are_built_and_read(tmp_path: Path) -> None:
    # Freed batches go back at once: the allocator keeps up to seven in its heap otherwise, more or fewer by chance.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**20)}
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(tmp_path)], capture_output=True, text=True, env=environment
    )
    assert done.stdout == "bounded\n", done.stderr
