"""Adam under a cosine schedule that follows the model's own count of steps."""

from __future__ import annotations

import math
from collections.abc import Iterable

from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR


def adam_with_cosine(
    parameters: Iterable[nn.Parameter], lr: float, weight_decay: float, done: Tensor, total: int
) -> OptimizerLRScheduler:
    """Adam whose rate falls from `lr` to 0 over `total` steps along half a cosine.

    Args:
        done: int64 (), how many steps the model has made; the model counts it up. A buffer, not the Trainer's count:
            refinement trains one model in several Trainer runs, and the schedule must go on where it stood.
    """
    optimizer = Adam(parameters, lr=lr, weight_decay=weight_decay)

    def share(_: int) -> float:
        return 0.5 * (1 + math.cos(math.pi * min(1.0, int(done) / max(1, total))))

    return {
        "optimizer": optimizer,
        "lr_scheduler": {"scheduler": LambdaLR(optimizer, share), "interval": "step"},
    }
