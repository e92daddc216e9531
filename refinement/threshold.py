"""Above which training score a sample counts as suspicious."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


class Threshold(ABC):
    """A cut computed from the scores of the samples still in training."""

    @abstractmethod
    def value(self, scores: NDArray[np.floating]) -> float:
        """The cut for scores of shape (n,), n >= 1, higher = more suspicious."""


@dataclass(frozen=True)
class MedianTimes(Threshold):
    """`factor * median`, the paper's T * M (Aqeel et al., Alg. 1 and Eq. 6). Only for positive scores.

    The published T belongs to one kind of score: on z^2 with median 1, T = 1.25 on the latent -log p of Eq. 4
    is T = 1.71, so a rule that is free of scale (`MedianMAD`) travels better between models.
    """

    factor: float

    def value(self, scores: NDArray[np.floating]) -> float:
        """Raises ValueError where a score is not positive: a multiple of the median then means nothing."""
        lowest = float(scores.min())
        if lowest <= 0:
            raise ValueError(
                f"threshold {self.factor} * median needs positive scores, but the lowest is {lowest:.4g}; "
                f"score with z2 (refine_by: z2) or use median + k * MAD"
            )
        return self.factor * float(np.median(scores))


@dataclass(frozen=True)
class MedianMAD(Threshold):
    """`median + k * MAD`, the median absolute deviation unscaled; does not depend on the scores' origin or unit."""

    k: float

    def value(self, scores: NDArray[np.floating]) -> float:
        """The cut; equal to the median where all scores are the same."""
        median = np.median(scores)
        return float(median + self.k * np.median(np.abs(scores - median)))
