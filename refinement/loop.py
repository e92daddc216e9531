"""The refinement loop: train, score the training samples, drop some, train on, within one budget of steps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reshift.refinement.policies import Policy

_log = logging.getLogger(__name__)

Fit = Callable[[Mapping[str, float], int, bool], None]
Score = Callable[[Sequence[str]], NDArray[np.floating]]


@dataclass(frozen=True)
class Round:
    """What one look at the scores changed: step it happened at, the scores' median, who left."""

    step: int
    median: float | None
    removed: tuple[str, ...]


@dataclass(frozen=True)
class Trace:
    """Who was removed when.

    Attributes:
        rounds: in order; the first may be at step 0 (oracles).
        weights: final weight of every candidate that is not 1.
        steps: optimiser steps over all phases, the same for every policy.
    """

    rounds: tuple[Round, ...]
    weights: dict[str, float] = field(default_factory=dict)
    steps: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a record."""
        return asdict(self)


def refine(
    fit: Fit,
    score: Score,
    candidates: Sequence[str],
    policy: Policy,
    *,
    steps: int,
    first: int,
    start: Literal["warm", "scratch"] = "warm",
    truth: Mapping[str, int] | None = None,
) -> Trace:
    """Train with a policy between the phases; every policy gets the same `steps` in all.

    Args:
        fit: trains on with the given weight per candidate for a number of steps; its flag asks for a fresh model.
        score: anomaly scores of candidates, (n,), from the model as it stands.
        candidates: observed-good training samples; nobody else may be removed.
        steps: the whole budget.
        first: steps before the first look at the scores, the prefix every non-oracle policy shares.
        start: "warm" goes on with the model, "scratch" begins each phase with a fresh one (within the budget).
        truth: true labels of the candidates, handed to oracle policies only.

    Raises:
        ValueError: a budget that leaves a phase without a step, or an oracle without truth.
    """
    rounds = policy.rounds
    if not 0 < first <= steps or steps - first < rounds:
        raise ValueError(f"{steps} steps cannot hold a first phase of {first} and {rounds} more; raise the budget")
    names = list(candidates)
    weights: NDArray[np.floating] = np.ones(len(names))
    history: list[Round] = []
    if policy.oracle:
        labels = None if truth is None else np.array([truth[name] for name in names])
        before, weights = weights, policy.reweight(np.zeros(len(names)), weights, labels)
        history.append(Round(0, None, _left(names, before, weights)))
        _log.info("refinement by true labels: %d of %d removed", len(history[-1].removed), len(names))
    fit(_as_map(names, weights), first, True)
    done = first
    for number in range(rounds):
        scores = np.asarray(score(names), dtype=float)
        before, weights = weights, policy.reweight(scores, weights, None)
        history.append(Round(done, float(np.median(scores[before > 0])), _left(names, before, weights)))
        _log.info(
            "refinement round %d at step %d: %d removed, %d of %d stay",
            number + 1,
            done,
            len(history[-1].removed),
            int((weights > 0).sum()),
            len(names),
        )
        if not history[-1].removed and start == "warm":
            break  # nothing above the threshold: Algorithm 1 stops here, and the budget is used up below
        share = (steps - first) * (number + 1) // rounds - (steps - first) * number // rounds
        fit(_as_map(names, weights), share, start == "scratch")
        done += share
    if done < steps:
        fit(_as_map(names, weights), steps - done, False)
    final = {name: float(w) for name, w in zip(names, weights, strict=True) if w != 1}
    return Trace(tuple(history), final, steps)


def _as_map(names: list[str], weights: NDArray[np.floating]) -> dict[str, float]:
    return dict(zip(names, map(float, weights), strict=True))


def _left(names: list[str], before: NDArray[np.floating], after: NDArray[np.floating]) -> tuple[str, ...]:
    return tuple(name for name, b, a in zip(names, before, after, strict=True) if b > 0 >= a)
