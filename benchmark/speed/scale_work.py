"""Unit costs of a model of the study."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from reshift.benchmark.flops import flops

ENOUGH, MOST = 1.0, 5
"""Seconds after which no further timed call starts, and most of them."""


@dataclass(frozen=True)
class Work:
    """Floating point operations as `benchmark.flops` counts them, and seconds on one core."""

    flops: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.seconds + other.seconds)

    def __mul__(self, times: float) -> Work:
        return Work(self.flops * times, self.seconds * times)


def work_of(call: Callable[[], object]) -> Work:
    """Operations of a first call, and the median seconds of some more."""
    counted = flops(call)
    seconds: list[float] = []
    while not seconds or (sum(seconds) < ENOUGH and len(seconds) < MOST):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return Work(float(counted), statistics.median(seconds))


@dataclass(frozen=True)
class ModelUnits:
    """Unit costs of one model, and what they are to be multiplied with.

    Attributes:
        good: only images observed as good are learned from and watched in validation.
        select_after: share of the steps before which validation is not looked at.
        row_images: images behind a row of scores.
        step_images: images that go through the network in a step, copies and views included; 0 for closed forms.
        features: key of its cached features, "" where batches hold images; models of one key share them.
        width: numbers in the features of one image.
        copies: how many copies of an image are kept, one entry of the cache each; 1 is the image itself.
        extract: features of one image.
        step: forward and backward of one image of a step.
        update: the optimiser's part of a step, whatever the batch.
        watch: one image's part of a look at validation.
        score: one image under all its copies, from features where there are any; against a bank of `bank` patches.
        fit: one training image of a closed form, in seconds only: operations outside torch cannot be counted. For
            PatchCore one patch in one pass of its choice.
        bank, patches, share: PatchCore's; patches in the measured bank, patches of an image, and how many of all stay.
    """

    model: str
    trained_by: Literal["gradient", "fit", "nothing"]
    good: bool
    select_after: float
    row_images: int
    step_images: int
    features: str = ""
    width: int = 0
    copies: tuple[int, ...] = ()
    extract: Work = Work()
    step: Work = Work()
    update: Work = Work()
    watch: Work = Work()
    score: Work = Work()
    fit: Work = Work()
    bank: int = 0
    patches: int = 0
    share: float = 0.0
