"""DifferNet that leaves the least likely part of every batch out of its loss."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from torch import Tensor

from reshift.models.base import Batch
from reshift.models.differnet import DifferNet


class TrimmedFlow(DifferNet):
    """DifferNet by trimmed likelihood: the pictures of a batch that fit worst teach nothing in it.

    Maximum trimmed likelihood (Hadi and Luceno, Computational Statistics & Data Analysis 1997), batch by batch. A
    picture is judged by the mean over its neighbouring copies, so that they stay or go together. Known bad pictures
    (negative weight) train as in `DifferNet` and count as trimmed.

    Args:
        trimmed: share of a batch's pictures that are left out, in [0, 1); whole pictures, rounded up.
        flow: all arguments of `DifferNet`.
    """

    name: ClassVar[str] = "trimmed_flow"

    def __init__(self, *, trimmed: float = 0.2, **flow: Any) -> None:
        if not 0 <= trimmed < 1:
            raise ValueError(f"trimmed {trimmed}: the share of a batch that is left out is at least 0 and below 1")
        super().__init__(**flow)
        self.trimmed = trimmed

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        nll = self.likelihood(batch["feature"])[0].detach().view(-1, self.train_copies).mean(dim=1)
        good = batch["weight"].view(-1, self.train_copies)[:, 0] > 0
        # Rounded first: .28 * 25 is 7.000000000000001 in floating point, and 7 pictures are meant.
        leaving = math.ceil(round(self.trimmed * len(nll), 9)) - int((~good).sum())
        weight = batch["weight"].clone()
        if leaving > 0:
            worst = nll.masked_fill(~good, -math.inf).topk(min(leaving, int(good.sum()) - 1)).indices
            weight.view(-1, self.train_copies)[worst] = 0
        return super().training_step({**batch, "weight": weight}, batch_idx)
