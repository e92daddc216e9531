"""Tiers: models that the shared test parts cannot tell apart share one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reshift.results.clustered_auroc import Components, combine
from reshift.results.statistics import normal_interval

_ROUNDING = 1e-9
"""Two models with the same scores differ by rounding, with no variance to hide it."""

Terms = Sequence[tuple[float, Components]]


def separable(better: Terms, worse: Terms) -> bool:
    """Whether the paired 95 % interval of the AUROC difference lies above zero; never on too few parts."""
    difference = combine([*better, *((-weight, part) for weight, part in worse)])
    interval = normal_interval(difference)
    return interval is not None and interval[0] > _ROUNDING


def tiers(models: Mapping[str, Terms]) -> dict[str, int]:
    """The tier of each model, 1 for the best.

    From the best AUROC downwards a model joins the current tier unless its tier's leader is separably better; then it
    leads the next. Models of one tier are not ranked: their order on a board is no finding.

    Args:
        models: for each model the weighted AUROC components whose sum is its mean over splits and seeds.
    """
    values = {name: sum(weight * part.value for weight, part in terms) for name, terms in models.items()}
    found: dict[str, int] = {}
    leader, tier = "", 0
    for name in sorted(models, key=lambda n: (-round(values[n], 12), n)):
        if not leader or separable(models[leader], models[name]):
            leader, tier = name, tier + 1
        found[name] = tier
    return found
