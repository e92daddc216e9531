"""How fast a trained model scores, and what it computes for one image."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor

from reshift.benchmark.flops import flops
from reshift.benchmark.training import to_device
from reshift.datamodules.feature_cache import BATCH as PIECE
from reshift.datamodules.inspection_data import InspectionData
from reshift.models.base import Batch, InspectionModule

SAMPLES = (1, 32)
"""Batch sizes that are timed."""

_REPEATS, _ENOUGH = 20, 0.2
"""Most timed calls of a kind, and seconds after which no further one starts."""

_LONGEST = 1.0
"""Seconds a call may be expected to take."""

_measured: dict[str, dict[str, float]] = {}


def inference_cost(model: InspectionModule, data: InspectionData, device: torch.device, key: str) -> dict[str, float]:
    """`images_per_second_1`, `images_per_second_32` and `flops` of a trained model; what cannot be measured is absent.

    Timed is the way of a batch of samples from images in the host's memory to scores there, in float32 as the
    benchmark scores: all rows of the `score_copies` the model asks for (drawing them is not timed), its frozen
    extractor included, which gets 32 images at a time as when features are cached. A sample of a model with all views
    is a part, and each of its images counts. Each figure is the median after a warm-up. To bound what measuring costs,
    one piece of 32 images stands for all, and of a call expected to take over a second the largest half, quarter, ...
    that does not is timed and scaled up.

    `flops` are of one image with all its copies: two a multiply-add of convolutions, matrix products and attention, as
    `torch.utils.flop_counter` counts them; what is done element by element is not counted.

    Random states and the model's mode stay as they were.

    Args:
        data: gives one validation sample, taken as if none of its views were missing.
        key: what is measured once a process; a memory bank's size is that of the first model of the key.
    """
    if key not in _measured:
        modes = [(module, module.training) for module in model.modules()]
        with _random_states_kept(device), torch.no_grad():
            model.to(device).eval()
            _measured[key] = _figures(_Scoring(model, _one_sample(data), device))
        for module, mode in modes:
            module.training = mode
    return _measured[key]


class _Scoring:
    """Scores any number of copies of one sample, on its way through the extractor and through the model."""

    def __init__(self, model: InspectionModule, sample: Batch, device: torch.device) -> None:
        self.model, self.device = model, device
        self.extractor = model.extractor()
        self.sample = dict(sample)
        self.images = sample["image"].flatten(end_dim=-4)
        if self.extractor is not None:
            features = self.extractor.to(device)(self.images.to(device)).float().cpu()
            self.sample["feature"] = features.view(*self.sample.pop("image").shape[:-3], -1)
        self._extraction_seconds, self._scoring_seconds = _Timing(self.extraction), _Timing(self.scoring)

    def extraction(self, count: int) -> Callable[[], object]:
        """Features of `count` images, ready to be computed."""
        assert self.extractor is not None
        extractor, images = self.extractor, self._repeated(self.images[:1], count)
        return lambda: extractor(images.to(self.device)).float().cpu()

    def scoring(self, samples: int) -> Callable[[], object]:
        """Scores of `samples` samples under all their copies, ready to be computed."""
        copies = self.model.score_copies
        batch = {key: self._repeated(value, samples * copies) for key, value in self.sample.items()}
        batch["index"] = torch.arange(samples).repeat_interleave(copies)
        return lambda: [s.cpu() for s in self.model.predict_step(to_device(batch, self.device)).values()]

    def images_per_second(self, samples: int) -> float:
        images = samples * len(self.images)
        seconds = self._scoring_seconds(samples)
        if self.extractor is not None:
            pieces, rest = divmod(images * self.model.score_copies, PIECE)
            seconds += pieces * self._extraction_seconds(PIECE) if pieces else 0.0
            seconds += self._extraction_seconds(rest) if rest else 0.0
        return images / seconds

    def flops(self) -> int:
        """Of one image under all its copies; what a sample's views share is divided evenly."""
        extracted = 0
        if self.extractor is not None:
            extracted = flops(self.extraction(1)) * self.model.score_copies
        return extracted + round(flops(self.scoring(1)) / len(self.images))

    def _repeated(self, value: Tensor, rows: int) -> Tensor:
        """A batch of (1, ...) as a loader hands it over: pinned where a GPU waits for it."""
        batch = value.expand(rows, *value.shape[1:]).contiguous()
        return batch.pin_memory() if self.device.type == "cuda" else batch


class _Timing:
    """Seconds of the call that is prepared for a count, or what its largest affordable part says they are."""

    def __init__(self, prepare: Callable[[int], Callable[[], object]]) -> None:
        self._median = cache(lambda count: _median_seconds(prepare(count)))

    def __call__(self, count: int) -> float:
        part = count
        while part > 1 and part * self._median(1) > _LONGEST:
            part //= 2
        return self._median(part) * count / part


def _median_seconds(call: Callable[[], object]) -> float:
    call()
    seconds: list[float] = []
    while not seconds or (len(seconds) < _REPEATS and sum(seconds) < _ENOUGH):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _figures(scoring: _Scoring) -> dict[str, float]:
    measures: dict[str, Callable[[], float]] = {"flops": scoring.flops}
    measures |= {f"images_per_second_{n}": partial(scoring.images_per_second, n) for n in SAMPLES}
    found: dict[str, float] = {}
    for name, measure in measures.items():
        # Anybody's model may stand here, and a figure is no reason to lose a trained cell.
        with suppress(Exception):
            found[name] = measure()
    return found


def _one_sample(data: InspectionData) -> Batch:
    first = data.rows("val")["sample"].tolist()[:1]
    # By number: iterating over a loader would draw from torch's generator.
    sample = data.score_loader("val", first, images=True).dataset[0]
    return {key: torch.ones_like(value) if key == "present" else value for key, value in sample.items()}


@contextmanager
def _random_states_kept(device: torch.device) -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng([torch.cuda.current_device()] if device.type == "cuda" else []):
        yield
    random.setstate(python)
    np.random.set_state(numpy)
