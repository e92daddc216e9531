"""Scores of pictures that are in memory, by a model folder through torch or by an exported file through onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reshift.benchmark.deploy.model_file import ModelFile
from reshift.benchmark.explain import attribution_map
from reshift.benchmark.training import to_device
from reshift.datamodules.feature_cache import BATCH
from reshift.datamodules.image_cache import CachedImages
from reshift.datamodules.image_source import ImageSource
from reshift.datamodules.rows import ABSENT
from reshift.models.base import Batch, InspectionModule

Slots = NDArray[np.int64]
Scores = NDArray[np.float64]


class Scorer(Protocol):
    """Gives every row of `slots` (R, V) a score, (R,): higher is more defective, as the model's threshold has it."""

    def scores(self, images: CachedImages, slots: Slots) -> Scores: ...


class TorchScorer:
    """A model as the benchmark scores it: all its copies, the headline score.

    Frozen features come in batches of `feature_cache.BATCH`, as they did in training, so that they round alike.
    """

    def __init__(self, module: InspectionModule, batch_size: int, device: torch.device) -> None:
        self.module = module.to(device).eval()
        self.batch_size = batch_size
        self.device = device

    def scores(self, images: CachedImages, slots: Slots) -> Scores:
        """See `Scorer`.

        Raises:
            ValueError: see `InspectionModule.predict_step`.
        """
        found = [np.empty(0)]
        with torch.no_grad():
            for batch in self._batches(images, slots):
                named = self.module.predict_step(to_device(batch, self.device))
                found.append(next(iter(named.values())).double().cpu().numpy())
        return np.concatenate(found)

    def maps(self, images: CachedImages, slots: Slots) -> NDArray[np.float32] | None:
        """Anomaly maps of the rows' pictures, (R, V, H, W), or where a model has none, attribution maps of its score.

        A model of whole parts has one score a part: the map of a view is what that view's picture adds to it, zeros
        where the view is absent, see `attribution_map`. None for a model that has neither.
        """
        one = self.module.views == "one"
        found = []
        source = ImageSource(images, None, None, 0)
        with torch.no_grad():
            for some in _pieces(slots, self.batch_size):
                image = source.scoring(some, 1)
                batch = to_device(
                    self._described(images, some, 1) | {"image": image[:, 0] if one else image}, self.device
                )
                maps = self._maps(batch)
                if maps is None:
                    return None
                found.append((maps[:, None] if one else maps).float().cpu().numpy())
        return np.concatenate(found)

    def _maps(self, batch: Batch) -> Tensor | None:
        if self.module.views == "one":  # `anomaly_map` is of single pictures, by contract
            try:
                return self.module.anomaly_map(batch)
            except NotImplementedError:
                pass
        return attribution_map(self.module, batch)

    def _batches(self, images: CachedImages, slots: Slots) -> Iterator[Batch]:
        copies, extractor = self.module.score_copies, self.module.extractor()
        source = ImageSource(images, None, self.module.score_augmentation(images.size), 0)
        one = self.module.views == "one"
        for some in _pieces(slots, self.batch_size):
            if extractor is None:
                key, values = "image", source.scoring(some, copies)
            else:
                # So many rows at a time as fill a batch of the extractor: copies of all of them may not fit.
                rows = max(1, BATCH // (copies * some.shape[1]))
                pieces = [self._features(extractor, source.scoring(few, copies)) for few in _pieces(some, rows)]
                key, values = "feature", torch.cat(pieces)
                values[torch.from_numpy(np.repeat(some == ABSENT, copies, axis=0))] = 0
            yield self._described(images, some, copies) | {key: values[:, 0] if one else values}

    def _described(self, images: CachedImages, slots: Slots, copies: int) -> Batch:
        repeated = np.repeat(slots, copies, axis=0)
        extent = torch.from_numpy(np.where((repeated == ABSENT)[..., None], np.float32(0), images.extent[repeated]))
        index = torch.arange(len(slots)).repeat_interleave(copies)
        if self.module.views == "one":
            return {"extent": extent[:, 0], "index": index}
        return {"extent": extent, "index": index, "present": torch.from_numpy(repeated != ABSENT)}

    def _features(self, extractor: nn.Module, image: Tensor) -> Tensor:
        single = image.flatten(0, 1)
        found = []
        for start in range(0, len(single), BATCH):
            piece = single[start : start + BATCH]
            batch = piece.new_zeros(BATCH, *piece.shape[1:])
            batch[: len(piece)] = piece
            found.append(extractor(batch.to(self.device)).float().cpu()[: len(piece)])
        return torch.cat(found).reshape(*image.shape[:2], -1)


class OnnxScorer:
    """An exported file: squares of uint8 pixels in, scores out."""

    def __init__(self, content: bytes) -> None:
        import onnxruntime

        self.session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def scores(self, images: CachedImages, slots: Slots) -> Scores:
        """See `Scorer`; one picture a row."""
        found = [np.empty(0)]
        for some in _pieces(slots[:, 0], BATCH):
            (scores,) = self.session.run(None, {"pixels": np.ascontiguousarray(images.pixels[some])})
            found.append(np.asarray(scores, dtype=np.float64))
        return np.concatenate(found)


def torch_scorer(model: ModelFile, module: InspectionModule, device: torch.device) -> TorchScorer:
    """The scorer of a model folder, in batches as large as those of its training."""
    return TorchScorer(module, int(model.identity["budget"]["batch_size"]), device)


def _pieces(slots: Slots, rows: int) -> Iterator[Slots]:
    return (slots[start : start + rows] for start in range(0, len(slots), rows))
