"""How fast pictures reach the network once they are cached, against decoding every one of them every time."""

from __future__ import annotations

from pathlib import Path

import albumentations as A
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision.transforms import v2

from reshift.benchmark.speed.measurement import Measurement, SideBySide, side_by_side
from reshift.benchmark.speed.pictures import write_pictures
from reshift.datamodules.dataset import Dataset
from reshift.datamodules.inspection_data import InspectionData
from reshift.datamodules.manifest import Manifest
from reshift.models.simclr_augmentation import simclr_augmentation
from reshift.splits.protocol import Split

FILE_SIDE, SIDE, PICTURES, BATCH, ROUNDS = 512, 224, 64, 32, 7
SMALLEST_CROP = 0.5


def measure(scratch: Path) -> Measurement:
    """Images a second: training batches of 224 px from JPEGs of 512 px, one process on both sides, files in memory."""
    data = Manifest(write_pictures(scratch / "pictures", PICTURES, FILE_SIDE)).read()
    flips = _compare(data, SIDE, A.Compose([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)]), plain_flips(SIDE))
    crops = _compare(data, SIDE, simclr_augmentation(SIDE, SMALLEST_CROP), plain_crops(SIDE, SMALLEST_CROP))
    rates = {
        f"{side}_{name}_images_per_s": PICTURES / times.detail[f"{side}_s"]
        for name, times in (("flips", flips), ("crops", crops))
        for side in ("ours", "theirs")
    }
    return Measurement(
        what="images into the network, warm",
        against="PIL decode and torchvision v2 transforms of each image, same augmentation",
        value=min(flips.speedup, crops.speedup),
        unit="x",
        bound="at least",
        target=5,
        detail={"flips_x": flips.speedup, "crops_x": crops.speedup, **rates, "rounds": ROUNDS},
        note="the lower of two augmentations: flips, and SimCLR's crops, flips, brightness and blur",
    )


class PlainPictures(TorchDataset[tuple[Tensor, int]]):
    """The data set as most projects write it: open, convert, transform."""

    def __init__(self, data: Dataset, transform: v2.Transform) -> None:
        self.paths = [data.root / sample for sample in data.table["sample"]]
        self.labels = data.table["label"].tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        with Image.open(self.paths[row]) as file:
            image: Tensor = self.transform(file.convert("RGB"))
        return image, self.labels[row]


def plain_flips(side: int) -> v2.Transform:
    """The classifier's flips, in the order torchvision recommends: uint8 tensor, resize, flip, float last."""
    return v2.Compose(
        [
            v2.ToImage(),
            v2.Resize((side, side), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )


def plain_crops(side: int, smallest_crop: float) -> v2.Transform:
    """The nearest to `simclr_augmentation` that torchvision has; its brightness scales where ours adds."""
    return v2.Compose(
        [
            v2.ToImage(),
            v2.RandomResizedCrop((side, side), scale=(smallest_crop, 1.0), ratio=(0.8, 1.25), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomApply([v2.ColorJitter(brightness=0.3, contrast=0.3)], p=0.8),
            v2.RandomApply([v2.GaussianBlur(3)], p=0.3),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )


def _compare(data: Dataset, side: int, augmentation: A.Compose, plain: v2.Transform) -> SideBySide:
    everything = Split("all", train=tuple(data.table["sample"]), val=(), test=())
    suite = InspectionData(data, everything, size=side, augmentation=augmentation, batch_size=BATCH)
    loader = DataLoader(PlainPictures(data, plain), batch_size=BATCH, shuffle=True)
    steps = len(data.table) // BATCH
    return side_by_side(
        lambda: [batch["image"] for batch in suite.train_loader(steps=steps)],
        lambda: [images for images, _ in loader],
        ROUNDS,
    )
