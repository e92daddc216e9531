"""Features of frozen networks on disk: computed once per images, network and augmentation, shared by all cells."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import albumentations as A
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reshift.datamodules.array_file import open_array, write_array
from reshift.datamodules.augment import COPIES_SEED, augmentation_key, kept_copy
from reshift.datamodules.cache_limit import open_limited
from reshift.datamodules.dataset import PIPELINE_VERSION
from reshift.datamodules.image_cache import CachedImages
from reshift.datamodules.progress import Progress

BATCH = 32
"""Every forward pass has this many images, the last one padded: convolutions may round differently at other sizes."""


@dataclass(frozen=True)
class FrozenFeatures:
    """The frozen network whose features replace images in batches.

    Attributes:
        extractor: images (B, 3, H, W) float32 in [0, 1] to features (B, D); put into evaluation mode.
        key: names architecture and weights; the same key must mean the same network.
        device: where it runs; the extractor is moved there and back.
        train_copies_kept: K, how many augmented copies of a sample exist for training to draw from.
    """

    extractor: nn.Module
    key: str
    device: torch.device
    train_copies_kept: int = 16


def cached_features(
    images: CachedImages,
    frozen: FrozenFeatures,
    augmentation: A.Compose | None,
    copies: int,
    first_is_identity: bool,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Features of every image and copy, (N, copies, D) float32, a read-only memory map.

    Copy c of an image is drawn from (content hash, c) and nothing else; with `first_is_identity` copy 0 is the image
    itself, as scoring wants it.

    Raises:
        ValueError: the extractor's output is not (B, D) or not finite; an augmentation that cannot be keyed.
        DataError: the cache cannot be written.
    """
    identity = {
        "version": PIPELINE_VERSION,
        "images": images.key,
        "extractor": frozen.key,
        "augmentation": augmentation_key(augmentation),
        "copies": copies,
        "first_is_identity": first_is_identity,
        "seed": COPIES_SEED,
        # A GPU rounds differently: its features are not those of a CPU's cells.
        **({"device": "cuda"} if frozen.device.type == "cuda" else {}),
    }
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    def batches() -> Iterator[NDArray[np.float32]]:
        total = len(images.contents) * copies
        for start in range(0, total, BATCH):
            jobs = [divmod(job, copies) for job in range(start, min(start + BATCH, total))]
            batch = np.zeros((BATCH, *images.pixels.shape[1:]), dtype=np.uint8)
            for place, (row, copy) in enumerate(jobs):
                drawn = None if first_is_identity and copy == 0 else augmentation
                batch[place] = kept_copy(images.pixels[row], drawn, images.contents[row], copy)
            features = _forward(frozen, batch)[: len(jobs)]
            if not np.isfinite(features).all():
                raise ValueError(f"extractor {frozen.key}: features are not finite; check its weights")
            yield features
            if progress is not None:
                progress(start + len(jobs), total)

    def build(folder: Path) -> None:
        parameter = next(frozen.extractor.parameters(), None)
        home = parameter.device if parameter is not None else frozen.device
        frozen.extractor.eval().to(frozen.device)
        try:
            later = batches()
            first = next(later)  # it tells D
            shape = (len(images.contents), copies, first.shape[1])
            write_array(folder / "features.npy", "<f4", shape, chain([first], later))
        finally:
            frozen.extractor.to(home)

    return open_limited("features", key, build, lambda folder: open_array(folder / "features.npy"))


def _forward(frozen: FrozenFeatures, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.inference_mode():
        image = torch.from_numpy(pixels).to(frozen.device).permute(0, 3, 1, 2).float().div(255).contiguous()
        features = frozen.extractor(image)
    if features.ndim != 2 or len(features) != len(pixels):
        raise ValueError(
            f"extractor {frozen.key} gave shape {tuple(features.shape)} for {len(pixels)} images; expected (B, D)"
        )
    return np.asarray(features.float().cpu().numpy())
