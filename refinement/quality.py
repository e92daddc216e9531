"""How well a trace found the injected noise: Table 2 of Aqeel et al. (arXiv 2408.11561), precision and recall."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any


def removal_quality(removed: Iterable[str], truth: Mapping[str, int], component: Mapping[str, str]) -> dict[str, Any]:
    """Count good and bad removals among the candidates.

    Args:
        removed: samples that left training.
        truth: true label of every candidate, 0 good, 1 defective.
        component: component of every candidate ("" where unknown).

    Returns:
        `good_removed`, `bad_removed`, `bad_injected`; `precision` (absent when nothing was removed) and `recall`
        (absent when nothing was injected); `good_removed_by_component`, since rules over folds can punish rare parts.
    """
    gone = sorted(set(removed))
    bad = [name for name in gone if truth[name] == 1]
    good = [name for name in gone if truth[name] == 0]
    injected = sum(truth.values())
    quality: dict[str, Any] = {
        "good_removed": len(good),
        "bad_removed": len(bad),
        "bad_injected": injected,
        "good_removed_by_component": dict(sorted(Counter(component[name] for name in good).items())),
    }
    if gone:
        quality["precision"] = len(bad) / len(gone)
    if injected:
        quality["recall"] = len(bad) / injected
    return quality
