"""From suspicion and a budget to training weights, and how well suspicion found the injected noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.metrics import roc_auc_score

Use = Literal["remove", "half", "posterior", "negative", "signed"]

# Of the budget, how much trains as known bad; the doubtful rest is only left out.
_CONFIDENT = 0.5


def most_suspicious(suspicion: Mapping[str, float], share: float) -> list[str]:
    """The top `share` of the samples, rounded to whole ones, most suspicious first; equal ones by name.

    Raises:
        ValueError: a share outside [0, 1).
    """
    if not 0 <= share < 1:
        raise ValueError(f"budget {share!r} is not a share of the candidates; give a number from 0 to below 1")
    ranked = sorted(suspicion, key=lambda name: (-suspicion[name], name))
    return ranked[: int(share * len(ranked) + 0.5)]


def weights_from_suspicion(suspicion: Mapping[str, float], share: float, use: Use) -> dict[str, float]:
    """A training weight for every sample, as the loop's `fit` takes them; a budget of 0 leaves all at 1.

    - "remove": the top share gets 0.
    - "half": the top share gets .5, as the soft variant of latent outlier exposure weighs the loss of a normal sample
      (Qiu et al., ICML 2022); its other half, an outlier loss on the same sample, weights cannot carry.
    - "posterior": the probability of being good, falling with suspicion as 1 / (1 + exp(suspicion - c)), c such that
      the expected number of bad ones meets the budget. One per MAD is the slope between two normals of one width that
      separate at AUROC .85.
    - "signed": the expected label under that probability, P(good) - P(bad): below 0 where a sample is more likely bad,
      for models that accept it. Each trains by both losses' difference in weight, in the spirit of the soft variant.
    - "negative": the upper half of the top share gets -1, known bad, for models that accept it; the rest of it 0.

    Args:
        suspicion: by sample, in MADs, higher = more suspicious.
        share: of the samples that is taken to be bad.

    Raises:
        ValueError: a share outside [0, 1), or an unknown use.
    """
    top = most_suspicious(suspicion, share)
    weights = dict.fromkeys(suspicion, 1.0)
    if use == "remove":
        return {**weights, **dict.fromkeys(top, 0.0)}
    if use == "half":
        return {**weights, **dict.fromkeys(top, 0.5)}
    if use == "negative":
        confident = top[: int(_CONFIDENT * len(top) + 0.5)]
        return {**weights, **dict.fromkeys(top, 0.0), **dict.fromkeys(confident, -1.0)}
    if use == "posterior":
        return _posterior(suspicion, share) if share else weights
    if use == "signed":
        return {name: 2 * good - 1 for name, good in _posterior(suspicion, share).items()} if share else weights
    raise ValueError(f"use={use!r} is not known; give 'remove', 'half', 'posterior', 'negative' or 'signed'")


def suspicion_quality(
    suspicion: Mapping[str, float], truth: Mapping[str, int], component: Mapping[str, str]
) -> dict[str, Any]:
    """How well suspicion separates injected defects from good samples, over all and within each component.

    Args:
        suspicion: by candidate.
        truth: true label of every candidate, 0 good, 1 defective.
        component: component of every candidate ("" where unknown).

    Returns:
        `candidates`, `bad_injected`; `separation`, the AUROC of suspicion (absent without both classes);
        `precision_at_injected`, the share of bad ones among the top as many as were injected (absent when none was);
        `precision_at_half`, the same among the top half as many, rounded up, where a careful budget would stop; and
        the same within each component under `by_component`.
    """
    by_component = {
        kind: _quality({name: s for name, s in suspicion.items() if component[name] == kind}, truth)
        for kind in sorted({component[name] for name in suspicion})
    }
    return {**_quality(suspicion, truth), "by_component": by_component}


def _posterior(suspicion: Mapping[str, float], share: float) -> dict[str, float]:
    values = np.array(list(suspicion.values()))

    def surplus(centre: float) -> float:
        return float(expit(values - centre).mean() - share)

    # Beyond its 40 logits from all values the mean is 0 or 1 to rounding, so that the root lies between.
    centre = brentq(surplus, values.min() - 40, values.max() + 40)
    return dict(zip(suspicion, expit(centre - values).tolist(), strict=True))


def _quality(suspicion: Mapping[str, float], truth: Mapping[str, int]) -> dict[str, Any]:
    names = sorted(suspicion)
    labels = [truth[name] for name in names]
    injected = sum(labels)
    quality: dict[str, Any] = {"candidates": len(names), "bad_injected": injected}
    if 0 < injected < len(names):
        quality["separation"] = float(roc_auc_score(labels, [suspicion[name] for name in names]))
    if injected:
        ranked = sorted(names, key=lambda name: (-suspicion[name], name))
        for key, count in (("precision_at_injected", injected), ("precision_at_half", (injected + 1) // 2)):
            quality[key] = sum(truth[name] for name in ranked[:count]) / count
    return quality
