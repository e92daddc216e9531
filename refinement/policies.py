"""Which training samples to keep, as pure functions of their scores."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reshift.refinement.threshold import Threshold

Floats = NDArray[np.floating]


class Policy(ABC):
    """Says which candidates leave training.

    Attributes:
        rounds: how often the loop asks, each time after more training.
        oracle: whether it is handed the truth; such a policy is a bound, not a method.
    """

    rounds: int
    oracle: bool = False

    @abstractmethod
    def reweight(self, scores: Floats, weights: Floats, truth: NDArray[np.integer] | None) -> Floats:
        """New weights from scores, current weights and (oracles only) true labels, all of shape (n,).

        Weight 1 trains, 0 is removed, -1 is known to be bad. A candidate once out stays out.
        """


@dataclass(frozen=True)
class KeepAll(Policy):
    """The vanilla arm: nothing is ever removed."""

    rounds: int = 0

    def reweight(self, scores: Floats, weights: Floats, truth: NDArray[np.integer] | None) -> Floats:
        return weights


@dataclass(frozen=True)
class OneShot(Policy):
    """Train, remove once what lies above the threshold, go on (OSR, DELTA 2024).

    How many the paper removes is not stated; `most` bounds it as a share of the candidates at the start.
    """

    threshold: Threshold
    most: float = 0.2
    rounds: int = 1

    def reweight(self, scores: Floats, weights: Floats, truth: NDArray[np.integer] | None) -> Floats:
        return _remove_highest(scores, weights, self.threshold, math.ceil(self.most * len(scores)))


@dataclass(frozen=True)
class Iterative(Policy):
    """Iterative refinement (Aqeel et al.): after each round remove the maximum, if it lies above the threshold
    (`remove="maximum"`, Algorithm 1), or all that do (`remove="above"`, Eq. 6).

    `most` bounds a round's removals as a share of the candidates at the start.
    """

    threshold: Threshold
    remove: Literal["maximum", "above"] = "above"
    rounds: int = 10
    most: float = 1.0

    def reweight(self, scores: Floats, weights: Floats, truth: NDArray[np.integer] | None) -> Floats:
        most = 1 if self.remove == "maximum" else math.ceil(self.most * len(scores))
        return _remove_highest(scores, weights, self.threshold, most)


@dataclass(frozen=True)
class Oracle(Policy):
    """The bound: the truly bad candidates leave before training (`use="remove"`), or train as known bad ones
    (`use="negative"`, for models that accept negative weights)."""

    use: Literal["remove", "negative"] = "remove"
    rounds: int = 0
    oracle: bool = True

    def reweight(self, scores: Floats, weights: Floats, truth: NDArray[np.integer] | None) -> Floats:
        if truth is None:
            raise ValueError("an oracle policy needs the true labels of its candidates")
        return np.where(truth == 1, 0.0 if self.use == "remove" else -1.0, weights)


def _remove_highest(scores: Floats, weights: Floats, threshold: Threshold, most: int) -> Floats:
    inside = np.flatnonzero(weights > 0)
    if len(inside) == 0:
        return weights
    cut = threshold.value(scores[inside])
    # A stable sort on the negated score: equal scores leave in the candidates' order, so a rerun agrees.
    suspects = inside[np.argsort(-scores[inside], kind="stable")]
    leaving = [i for i in suspects if scores[i] > cut][:most]
    changed = weights.copy()
    changed[leaving] = 0.0
    return changed
