"""AUROC, and the variance of AUROCs and their differences when several images belong to one part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reshift.results.scored_units import Floats, Labels, Mask, Texts, Units


def auroc(label: Labels, score: Floats) -> float:
    """P(a defective unit scores above a good one), ties counting half; both classes must be present."""
    good, bad = np.sort(score[label == 0]), score[label == 1]
    # Counts and halves add up exactly, in whatever order.
    above = (np.searchsorted(good, bad, side="left") + np.searchsorted(good, bad, side="right")).sum() / 2
    return float(above / (len(bad) * len(good)))


@dataclass(frozen=True)
class Components:
    """An AUROC and what each part (cluster) contributes to it.

    Attributes:
        value: the AUROC.
        parts: part names, sorted.
        of_defective, of_good: the part's sum of placement values less its expectation, over the number of defective
            (good) units; 0 for a part without any.
        has_defective, has_good: which parts have such units.
    """

    value: float
    parts: Texts
    of_defective: Floats
    of_good: Floats
    has_defective: Mask
    has_good: Mask


@dataclass(frozen=True)
class Estimate:
    """A weighted sum of AUROCs, its variance, and the number of parts per class it rests on."""

    value: float
    variance: float
    defective_parts: int
    good_parts: int


def components(units: Units) -> Components:
    """Structural components of the AUROC by part (Obuchowski 1997, Biometrics 53:567, section 2).

    Raises:
        ValueError: a class is missing.
    """
    if not units.both_classes:
        raise ValueError(f"AUROC needs good and defective units; got {len(units.label)} of one class")
    bad = units.label == 1
    scores_bad, scores_good = units.score[bad], units.score[~bad]
    value = auroc(units.label, units.score)
    placement = np.empty(len(units.label))
    sorted_good, sorted_bad = np.sort(scores_good), np.sort(scores_bad)
    placement[bad] = _share_below(sorted_good, scores_bad)
    placement[~bad] = 1 - _share_below(sorted_bad, scores_good)
    parts, code = np.unique(units.part, return_inverse=True)
    deviation = placement - value
    n = len(parts)
    return Components(
        value=value,
        parts=parts,
        of_defective=np.bincount(code[bad], deviation[bad], n) / len(scores_bad),
        of_good=np.bincount(code[~bad], deviation[~bad], n) / len(scores_good),
        has_defective=np.bincount(code[bad], minlength=n) > 0,
        has_good=np.bincount(code[~bad], minlength=n) > 0,
    )


def combine(terms: Sequence[tuple[float, Components]]) -> Estimate:
    """The weighted sum of AUROCs with its variance, parts that occur in several terms counted as the same parts.

    One term of weight 1 is Obuchowski's variance of an AUROC; weights 1 and -1 on the same units give that of the
    paired difference; the mean over seeds, halves or splits works alike, because contributions add part by part. With
    one unit a part it is DeLong's.

    Returns:
        Variance 0 where fewer than two parts of a class exist: look at the counts before using it.
    """
    parts, code = np.unique(np.concatenate([c.parts for _, c in terms]), return_inverse=True)
    weights = np.concatenate([np.full(len(c.parts), weight) for weight, c in terms])

    def total(field: str) -> Floats:
        values = np.concatenate([getattr(c, field) for _, c in terms]).astype(np.float64)
        return np.asarray(np.bincount(code, weights * values, len(parts)), dtype=np.float64)

    def present(field: str) -> Mask:
        return np.bincount(code, np.concatenate([getattr(c, field) for _, c in terms]), len(parts)) > 0

    defective, good = total("of_defective"), total("of_good")
    has_defective, has_good = present("has_defective"), present("has_good")
    variance = (
        _correction(int(has_defective.sum())) * float(defective @ defective)
        + _correction(int(has_good.sum())) * float(good @ good)
        + _correction(len(parts)) * 2 * float(defective @ good)
    )
    value = sum(weight * c.value for weight, c in terms)
    return Estimate(value, max(variance, 0.0), int(has_defective.sum()), int(has_good.sum()))


def _share_below(sorted_scores: Floats, x: Floats) -> Floats:
    below = np.searchsorted(sorted_scores, x, side="left") + np.searchsorted(sorted_scores, x, side="right")
    return np.asarray(below / (2 * len(sorted_scores)), dtype=np.float64)


def _correction(n: int) -> float:
    return n / (n - 1) if n > 1 else 0.0
