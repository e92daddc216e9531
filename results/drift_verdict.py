"""Whether re-training is due: new parts against those that a model was judged on, in a few lines for a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reshift.results.drift import (
    LEVEL,
    POWER,
    DriftTest,
    feature_test,
    holm,
    more_rejects,
    moved_scores,
    parts_needed,
    power,
    reject_test,
    score_test,
)
from reshift.results.scored_units import Floats
from reshift.results.thresholds import ALPHA

SHIFT = 0.5
"""The change of scores whose detection is foretold, in standard deviations of the reference's."""
MORE_REJECTS = 3 * ALPHA
"""The share of rejects whose detection is foretold, where `ALPHA` was meant."""


@dataclass(frozen=True)
class Observed:
    """One side of the comparison; every entry a part of its own.

    Attributes:
        scores: (N,).
        features: (M, D), not necessarily of the same parts; None without a frozen network.
    """

    scores: Floats
    features: Floats | None = None


def drift_tests(reference: Observed, new: Observed, cut: float, same_model: bool, seed: int = 0) -> list[DriftTest]:
    """Every comparison that can be made, adjusted for their number.

    Rejects always: more of them than were foretold are a reason to act, whoever's fault they are. Scores only where one
    model gave both sides: models trained on other parts, a run's folds for one, differ in scale without any drift.

    Args:
        cut: scores above it are called defective.

    Raises:
        ValueError: too few parts on a side, or a value that is not finite.
    """
    tests = [reject_test(reference.scores, new.scores, cut)]
    if same_model:
        tests.append(score_test(reference.scores, new.scores))
    if reference.features is not None and new.features is not None:
        tests.append(feature_test(reference.features, new.features, seed))
    return holm(tests)


def drift_lines(tests: Sequence[DriftTest], reference: Observed, new: Observed) -> list[str]:
    """The verdict in one line, then what it rests on, and which change would have been found."""
    parts, made = len(new.scores), {test.what for test in tests}
    if drifted := [test for test in tests if test.drifted]:
        why = "; ".join(f"{test.what} differ, {test.said} (p = {test.adjusted:.2g})" for test in drifted)
        lines = [f"re-training is due: {why}"]
    else:
        least = min(test.adjusted for test in tests)
        lines = [f"no sign of drift in {parts} parts: the smallest p, of {', '.join(sorted(made))}, is {least:.2g}"]
    lines += [f"{test.what:9} {test.said}; p = {test.p:.2g}, {test.adjusted:.2g} after Holm" for test in tests]
    known = len(reference.scores)
    if "scores" in made:
        change, study = f"scores moved by {SHIFT:g} standard deviations", moved_scores(reference.scores, SHIFT)
    else:
        change = f"a share of rejects that rises from {ALPHA:.0%} to {MORE_REJECTS:.0%}"
        study = more_rejects(known, ALPHA, MORE_REJECTS)
    # What Holm asks of the smallest p: what is foretold needs no other test's help.
    level = LEVEL / len(tests)
    needed = parts_needed(study, level, most=10 * known)
    enough = "more reference parts" if needed is None else f"about {needed} new parts"
    share = power(study, parts, level)
    return [
        *lines,
        f"power     {change}: found in {share:.0%} of cases with {parts} new parts against {known}; {POWER:.0%} takes "
        f"{enough}",
    ]
