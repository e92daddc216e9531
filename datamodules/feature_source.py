"""What models with a frozen extractor see: stored features of a finite set of copies."""

from __future__ import annotations

import random
from functools import cached_property
from typing import ClassVar

import albumentations as A
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reshift.datamodules.feature_cache import FrozenFeatures, cached_features
from reshift.datamodules.image_cache import CachedImages
from reshift.datamodules.progress import Progress
from reshift.datamodules.rows import ABSENT


class FeatureSource:
    """Features (R * copies, V, D) float32 for `slots` (R, V) of table rows; zeros for a missing view.

    Which sets of copies are computed depends on what is asked for: a closed-form model never waits for training
    copies.
    """

    key: ClassVar[str] = "feature"

    def __init__(
        self,
        images: CachedImages,
        frozen: FrozenFeatures,
        augmentation: A.Compose | None,
        score_augmentation: A.Compose | None,
        score_copies: int,
        seed: int,
        progress: Progress | None = None,
    ) -> None:
        self.images = images
        self.frozen = frozen
        self.augmentation = augmentation
        self.score_augmentation = score_augmentation
        self.score_copies = score_copies
        self.seed = seed
        self.progress = progress

    def training(
        self, slots: NDArray[np.int64], epochs: NDArray[np.int64], index: NDArray[np.int64], copies: int
    ) -> Tensor:
        """`copies` of the K kept ones, drawn without repetition from (seed, epoch, index, slot).

        Raises:
            ValueError: more copies are asked for than are kept.
        """
        kept, views = self._train.shape[1], slots.shape[1]
        chosen = np.zeros((len(slots), copies, views), dtype=np.int64)
        if self.augmentation is not None:
            if copies > kept:
                raise ValueError(f"{copies} training copies of {kept} kept ones; raise train_copies_kept")
            for row, (epoch, sample) in enumerate(zip(epochs.tolist(), index.tolist(), strict=True)):
                for slot in range(views):
                    draw = random.Random(f"{self.seed}\x1f{epoch}\x1f{sample}\x1f{slot}")
                    chosen[row, :, slot] = draw.sample(range(kept), copies)
        return _gather(self._train, np.repeat(slots, copies, axis=0), chosen.reshape(-1, views))

    def scoring(self, slots: NDArray[np.int64], copies: int) -> Tensor:
        """The image itself, then copies that belong to its content: the same in every cell."""
        stored = self._score if copies > 1 else self._plain
        copy = np.minimum(np.tile(np.arange(copies), len(slots)), stored.shape[1] - 1)
        return _gather(stored, np.repeat(slots, copies, axis=0), np.repeat(copy[:, None], slots.shape[1], axis=1))

    @cached_property
    def _train(self) -> NDArray[np.float32]:
        if self.augmentation is None:
            return self._plain
        kept = self.frozen.train_copies_kept
        return cached_features(self.images, self.frozen, self.augmentation, kept, False, self.progress)

    @cached_property
    def _plain(self) -> NDArray[np.float32]:
        return cached_features(self.images, self.frozen, None, 1, True, self.progress)

    @cached_property
    def _score(self) -> NDArray[np.float32]:
        if self.score_augmentation is None:
            return self._plain
        copies = self.score_copies
        return cached_features(self.images, self.frozen, self.score_augmentation, copies, True, self.progress)


def _gather(features: NDArray[np.float32], slots: NDArray[np.int64], copies: NDArray[np.int64]) -> Tensor:
    values = features[slots, copies]
    values[slots == ABSENT] = 0
    return torch.from_numpy(values)
