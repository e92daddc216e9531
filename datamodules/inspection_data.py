"""The LightningDataModule over a data set and a split: training, fitting, validation and scoring batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import albumentations as A
import numpy as np
import pandas as pd
import torch
from lightning import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from reshift.datamodules.dataset import DataError, Dataset
from reshift.datamodules.feature_cache import FrozenFeatures
from reshift.datamodules.feature_source import FeatureSource
from reshift.datamodules.image_cache import CachedImages, cached_images
from reshift.datamodules.image_file import Pixels
from reshift.datamodules.image_source import ImageSource
from reshift.datamodules.mask_cache import CachedMasks, cached_masks, disturbed_masks
from reshift.datamodules.order import RowStream
from reshift.datamodules.progress import Progress, StderrProgress
from reshift.datamodules.rows import ABSENT, Role, Views
from reshift.datamodules.split_rows import Index, LearnsFrom, SplitRows
from reshift.datamodules.test_shift import disturbed
from reshift.splits.protocol import Split
from reshift.splits.samples import DEFECTIVE

Batch = dict[str, Tensor]

_BATCHES_A_WORKER = 4


class NumberedBatches(TorchDataset[Batch]):
    """Batches by number, so that any worker builds any of them alike."""

    def __init__(self, count: int, build: Callable[[int], Batch]) -> None:
        self.count = count
        self.build = build

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Batch:
        if not 0 <= number < self.count:
            raise IndexError(number)
        return self.build(number)


class InspectionData(LightningDataModule):
    """Batches as `models.base` promises them. `index` in every batch is the row number in `rows(role)`.

    Scoring batches carry no label, whatever their role: nothing a model is handed could leak the answer.

    Args:
        size: side of the square images.
        views: "one" image a row or "all" views of a part a row.
        learns_from: "good" leaves observed-defective rows out of training and of the validation loss.
        train_copies, score_copies: rows a sample fills in training and in scoring batches.
        augmentation: of training copies. score_augmentation: of scoring copies beyond the first.
        batch_size: samples a batch; rows are that many times the copies.
        seed_order, seed_augmentation: of the drawing order and of the training copies, nothing else.
        features: batches carry this frozen network's features instead of images.
        workers: processes that prepare image batches while the model works, at most; their number changes no value.
        masks: training, fitting and validation batches hold `mask`; single images only, no `features`.

    Raises:
        ValueError: masks are asked for with all views or with features.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: Split,
        *,
        size: int,
        views: Views = "one",
        learns_from: LearnsFrom = "labels",
        train_copies: int = 1,
        score_copies: int = 1,
        augmentation: A.Compose | None = None,
        score_augmentation: A.Compose | None = None,
        batch_size: int = 32,
        seed_order: int = 0,
        seed_augmentation: int = 0,
        features: FrozenFeatures | None = None,
        workers: int = 0,
        progress: Progress | None = None,
        masks: bool = False,
    ) -> None:
        super().__init__()
        if masks and (views != "one" or features is not None):
            raise ValueError("masks go with single images: a model that needs them has views 'one' and no extractor")
        self.dataset = dataset
        self.split = split
        self.size = size
        self.views = views
        self.learns_from = learns_from
        self.train_copies = train_copies
        self.score_copies = score_copies
        self.augmentation = augmentation
        self.score_augmentation = score_augmentation
        self.batch_size = batch_size
        self.seed_order = seed_order
        self.seed_augmentation = seed_augmentation
        self.features = features
        self.workers = workers
        self.progress = progress
        self.masks = masks
        self._rows = SplitRows(dataset, split, views, learns_from)

    # What a role holds.

    def rows(self, role: Role) -> pd.DataFrame:
        """`rows.ROW_COLUMNS` of every row of the role, in the order of `score_loader(role)`."""
        return self._rows.of(role).frame

    def row_images(self, role: Role) -> Index:
        """Row numbers of the data set's table behind every row of the role, (R, V); negative where a view is absent."""
        return self._rows.of(role).images

    @property
    def class_counts(self) -> tuple[int, int]:
        """Observed (good, defective) rows that training draws from, before refinement."""
        return self._rows.class_counts

    @property
    def n_groups(self) -> int:
        """Number of component x transmission pairs among the training rows."""
        return int(self._rows.groups.max(initial=-1)) + 1

    @property
    def n_views(self) -> int:
        """V of the batches, the most images any part of the data set has; 1 where a row is an image."""
        return int(self._rows.of("train").images.shape[1])

    # Loaders.

    def train_loader(
        self, weights: Mapping[str, float] | None = None, start_step: int = 0, steps: int = 1
    ) -> DataLoader[Batch]:
        """Batches `start_step` .. `start_step + steps` of the endless training stream.

        Any division of a training into such pieces gives the same batches, to the bit. Samples of weight 0 are left
        out; a small training set repeats within a batch rather than shrink it.

        Raises:
            NoRowsError: no row is left to learn from, or masks are asked for and a defective row has none.
        """
        rows = self._rows.of("train")
        weight, kept = self._rows.weighted(weights)
        stream = RowStream(kept, len(rows), self.seed_order)
        source, copies = self._source, self.train_copies
        masked = self._masked("train")

        def build(number: int) -> Batch:
            first = (start_step + number) * self.batch_size
            epochs, index = stream.at(first, first + self.batch_size)
            masks: Batch = {}
            if masked is None:
                values = source.training(rows.images[index], epochs, index, copies)
            else:
                drawn = (rows.images[index], masked(index), epochs, index, copies)
                values, masks["mask"] = self._image_source.training_with_masks(*drawn)
            batch = self._batch("train", source.key, values, np.repeat(index, copies))
            return {**batch, **self._rows.training_labels(batch["index"], weight), **masks}

        return self._loader(steps, build)

    def fit_loader(self, weights: Mapping[str, float] | None = None) -> DataLoader[Batch]:
        """One pass over the training rows in their fixed order, one copy each, not augmented.

        Raises:
            NoRowsError: no row is left to learn from, or masks are asked for and a defective row has none.
        """
        weight, kept = self._rows.weighted(weights)
        return self._labelled_pass("train", kept, lambda index: self._rows.training_labels(index, weight))

    def val_loader(self) -> DataLoader[Batch]:
        """The rows whose loss is watched, with observed labels: all validation rows, or the observed-good ones.

        Raises:
            NoRowsError: there is none, or masks are asked for and a defective row has none.
        """
        return self._labelled_pass("val", self._rows.learned("val"), self._rows.validation_labels)

    def score_loader(
        self, role: Role, samples: Sequence[str] | None = None, *, images: bool = False
    ) -> DataLoader[Batch]:
        """Batches without labels, every row `score_copies` times.

        Args:
            role: whose rows.
            samples: these rows only, by the `sample` column of `rows(role)`, in this order; None for all.
            images: one copy each, as images even where the model works on features, for anomaly maps.

        Raises:
            NoRowsError: there is no row.
            DataError: a sample the role does not hold.
        """
        everyone = self.rows(role)["sample"]
        index = np.arange(len(everyone), dtype=np.int64)
        if samples is not None:
            index = pd.Index(everyone).get_indexer(pd.Index(list(samples))).astype(np.int64)
            if (index < 0).any():
                missing = list(samples)[int((index < 0).argmax())]
                raise DataError(
                    f"{missing!r} is no {role} row of split {self.split.name}; take ids from rows({role!r})"
                )
        return self._pass(role, index, 1 if images else self.score_copies, lambda _: {}, images=images)

    def train_dataloader(self) -> DataLoader[Batch]:
        """About one epoch of the training stream, for a plain Trainer."""
        return self.train_loader(steps=-(-len(self._rows.learned("train")) // self.batch_size))

    def val_dataloader(self) -> DataLoader[Batch]:
        """As `val_loader`."""
        return self.val_loader()

    def predict_dataloader(self) -> DataLoader[Batch]:
        """The test rows, to be scored."""
        return self.score_loader("test")

    def true_masks(self, role: Role) -> Pixels:
        """Where every row of the role shows a defect, (R, size, size) uint8 in {0, 1}: for judging, never for a model.

        Test masks move as the split's disturbance moves their pictures. Good rows, and defective ones whose mask file
        is absent or empty, are all 0.

        Raises:
            ValueError: rows are parts.
            DataError: a mask cannot be used.
        """
        if self.views != "one":
            raise ValueError("masks belong to images: a row that holds all views of a part has no single mask")
        rows = self._rows.of(role).images[:, 0]
        found = self._mask_cache.of(rows)
        if role == "test" and self.split.test_shift:
            found = disturbed_masks(self.images, rows, found, self.split.test_shift)
        return found

    # How they are made.

    @cached_property
    def images(self) -> CachedImages:
        """The decoded images; the first access may take long."""
        return cached_images(self.dataset, self.size, self.progress or StderrProgress(f"{self.dataset.name}: images"))

    @cached_property
    def _image_source(self) -> ImageSource:
        return self._images_of(self.images)

    @cached_property
    def _source(self) -> ImageSource | FeatureSource:
        return self._image_source if self.features is None else self._features_of(self.images, self.features)

    def _disturbed(self, images: bool) -> tuple[ImageSource | FeatureSource, NDArray[np.int64]]:
        """What test pictures look like after the split's disturbance, and where each slot's picture lies in it."""
        assert self.split.test_shift is not None
        slots = self._rows.of("test").images
        rows = np.unique(slots[slots != ABSENT])
        moved = np.where(slots == ABSENT, ABSENT, np.searchsorted(rows, slots))
        shown = disturbed(self.images, rows, self.split.test_shift)
        if images or self.features is None:
            return self._images_of(shown), moved
        return self._features_of(shown, self.features), moved

    def _images_of(self, images: CachedImages) -> ImageSource:
        return ImageSource(images, self.augmentation, self.score_augmentation, self.seed_augmentation)

    def _features_of(self, images: CachedImages, features: FrozenFeatures) -> FeatureSource:
        return FeatureSource(
            images,
            features,
            self.augmentation,
            self.score_augmentation,
            self.score_copies,
            self.seed_augmentation,
            self.progress or StderrProgress(f"{self.dataset.name}: features"),
        )

    @cached_property
    def _mask_cache(self) -> CachedMasks:
        return cached_masks(self.dataset, self.images, self.progress or StderrProgress(f"{self.dataset.name}: masks"))

    def _masked(self, role: Role) -> Callable[[Index], Pixels] | None:
        """Gives rows of the role their masks, (R, size, size), where masks are asked for."""
        if not self.masks:
            return None
        self._rows.all_masked(role)
        rows, cache = self._rows.of(role).images[:, 0], self._mask_cache
        # A defect that hides under the label good stays hidden: its mask would tell.
        known = (self._rows.observed(role) == DEFECTIVE).astype(np.uint8)[:, None, None]
        return lambda index: cache.of(rows[index]) * known[index]

    def _labelled_pass(self, role: Role, kept: Index, labels: Callable[[Tensor], Batch]) -> DataLoader[Batch]:
        masked = self._masked(role)
        if masked is None:
            return self._pass(role, kept, 1, labels)

        def with_masks(index: Tensor) -> Batch:
            return {**labels(index), "mask": torch.from_numpy(masked(index.numpy())).float()}

        return self._pass(role, kept, 1, with_masks)

    def _pass(
        self, role: Role, kept: Index, copies: int, labels: Callable[[Tensor], Batch], images: bool = False
    ) -> DataLoader[Batch]:
        self._rows.some(role, kept)
        source, slots = (
            self._disturbed(images)
            if role == "test" and self.split.test_shift
            else (
                self._image_source if images else self._source,
                self._rows.of(role).images,
            )
        )

        def build(number: int) -> Batch:
            index = kept[number * self.batch_size : (number + 1) * self.batch_size]
            values = source.scoring(slots[index], copies)
            batch = self._batch(role, source.key, values, np.repeat(index, copies))
            return {**batch, **labels(batch["index"])}

        return self._loader(-(-len(kept) // self.batch_size), build)

    def _batch(self, role: Role, key: str, values: Tensor, index: Index) -> Batch:
        slots = self._rows.of(role).images[index]
        extent = torch.from_numpy(np.where((slots == ABSENT)[..., None], np.float32(0), self.images.extent[slots]))
        if self.views == "one":
            return {key: values[:, 0], "extent": extent[:, 0], "index": torch.from_numpy(index)}
        present = torch.from_numpy(slots != ABSENT)
        return {key: values, "extent": extent, "present": present, "index": torch.from_numpy(index)}

    def _loader(self, count: int, build: Callable[[int], Batch]) -> DataLoader[Batch]:
        # Forked workers share the memory maps, pickling would copy every pixel; a row of features is not worth a hop,
        # and a few batches are not worth a process.
        workers = 0 if self.features is not None else min(self.workers, count // _BATCHES_A_WORKER)
        return DataLoader(
            NumberedBatches(count, build),
            batch_size=None,
            num_workers=workers,
            multiprocessing_context="fork" if workers else None,
            pin_memory=torch.cuda.is_available(),
        )
