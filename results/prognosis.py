"""One finished prognosis cell, judged: metrics of each sequence, metrics of the set, and pairs in order of failure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from reshift.results.forecast_sequence import ForecastSequence, forecast_sequences
from reshift.results.prognosis_index import monotonicity, prognosability, trendability
from reshift.results.remaining_life import (
    alpha_lambda,
    cumulative_relative_accuracy,
    interval_coverage,
    interval_width,
    mae,
    phm08_score,
    prognostic_horizon,
)
from reshift.results.statistics import Interval, t_interval
from reshift.results.survival import Concordance, concordance, contradicted
from reshift.results.view_hits import exact_interval

MIN_SEQUENCES = 10
"""Fewest sequences an interval over sequences is given for."""

CONE = 0.2
"""Half width of the alpha-lambda cone, as a share of the true remaining life."""

LAMBDAS = (0.25, 0.5, 0.75)
"""Moments of alpha-lambda accuracy, as shares of the way from the first forecast to the limit."""

BAND = 0.1
"""Half width of the prognostic horizon's band, as a share of the whole life."""

# The order of boards, and the ends of the scale; intervals stop there.
METRICS: dict[str, tuple[float, float]] = {
    "mae_hours": (0.0, np.inf),
    "gain_hours": (-np.inf, np.inf),
    "alpha_lambda": (0.0, 1.0),
    "prognostic_horizon_hours": (0.0, np.inf),
    "cumulative_relative_accuracy": (-np.inf, 1.0),
    "phm08": (0.0, np.inf),
    "interval_coverage": (0.0, 1.0),
    "interval_width_hours": (0.0, np.inf),
    "capped": (0.0, 1.0),
    "contradicted": (0.0, 1.0),
    "concordance": (0.0, 1.0),
    "monotonicity": (0.0, 1.0),
    "prognosability": (0.0, 1.0),
    "trendability": (0.0, 1.0),
}

SHARES = frozenset({"alpha_lambda", "interval_coverage", "capped", "contradicted"})
"""Metrics that are a share of forecasts: a sequence's own value lies in [0, 1], and often at one of its ends."""


class PrognosisKey(NamedTuple):
    """Names one number; `parameter` is all that its definition leaves open, "" if nothing."""

    metric: str
    parameter: str


HEADLINE = PrognosisKey("mae_hours", "")
FLOOR = "mean_life"
"""The method any other has to beat: it looks at no picture."""
GAIN = PrognosisKey("gain_hours", f"over={FLOOR}")
CONCORDANCE = PrognosisKey("concordance", "")
HALFWAY = PrognosisKey("alpha_lambda", f"alpha={CONE},lambda=0.5")
HORIZON = PrognosisKey("prognostic_horizon_hours", f"alpha={BAND}")
POINT, WHOLE = "forecast=predicted", "forecast=high"


@dataclass(frozen=True)
class PrognosisEvaluation:
    """A cell's numbers; what is undefined is absent.

    Attributes:
        censored: by sequence, whether it ended before the limit.
        by_sequence: for each metric that is a mean over sequences, its value for those it is defined for:
            `contradicted` for censored sequences, all others for sequences that reached the limit. `capped` is the
            share of forecasts that foresee no end.
        of_set: metrics that only a set of sequences has (prognosability, trendability).
        concordance: ordered pairs, failed and censored sequences alike.
    """

    censored: Mapping[str, bool]
    by_sequence: Mapping[PrognosisKey, Mapping[str, float]]
    of_set: Mapping[PrognosisKey, float]
    concordance: Concordance


def evaluate_forecasts(forecasts: pd.DataFrame) -> PrognosisEvaluation:
    """Judge a forecasts frame, as `forecast_file.decode_forecasts` returns it."""
    sequences = forecast_sequences(forecasts)
    by_sequence: dict[PrognosisKey, dict[str, float]] = defaultdict(dict)
    for sequence in sequences:
        for key, value in _censored(sequence) if sequence.censored else _failed(sequence):
            if value is not None:
                by_sequence[key][sequence.name] = value
    return PrognosisEvaluation(
        {s.name: s.censored for s in sequences},
        dict(by_sequence),
        _of_set([s for s in sequences if not s.censored]),
        concordance(sequences),
    )


def sequence_interval(metric: str, values: Sequence[float]) -> Interval | None:
    """Interval of a mean over sequences; None below `MIN_SEQUENCES` of them.

    Shares have the exact interval of as many hits, which is never too short: Student's is, near 1 (docs/trust.md). All
    other metrics have Student's, cut where the metric's scale ends, and none where all sequences have the same value.
    """
    if len(values) < MIN_SEQUENCES:
        return None
    if metric in SHARES:
        return exact_interval(sum(values), len(values))
    if np.ptp(values) == 0 or (found := t_interval(values)) is None:
        return None
    low, high = METRICS[metric]
    return max(found[0], low), min(found[1], high)


def _failed(sequence: ForecastSequence) -> Iterator[tuple[PrognosisKey, float | None]]:
    stated = f"confidence={sequence.confidence:g}"
    yield HEADLINE, mae(sequence)
    for share in LAMBDAS:
        yield PrognosisKey("alpha_lambda", f"alpha={CONE},lambda={share}"), alpha_lambda(sequence, CONE, share)
    yield HORIZON, prognostic_horizon(sequence, BAND)
    yield PrognosisKey("cumulative_relative_accuracy", ""), cumulative_relative_accuracy(sequence)
    yield PrognosisKey("phm08", "errors in % of life"), phm08_score(sequence)
    yield PrognosisKey("interval_coverage", stated), interval_coverage(sequence)
    yield PrognosisKey("interval_width_hours", stated), interval_width(sequence)
    yield PrognosisKey("capped", ""), float(np.mean(sequence.capped))
    yield PrognosisKey("monotonicity", ""), monotonicity(sequence)


def _censored(sequence: ForecastSequence) -> Iterator[tuple[PrognosisKey, float | None]]:
    yield PrognosisKey("contradicted", POINT), contradicted(sequence, sequence.predicted)
    yield PrognosisKey("contradicted", WHOLE), contradicted(sequence, sequence.high)


def _of_set(failed: Sequence[ForecastSequence]) -> dict[PrognosisKey, float]:
    found = {"prognosability": prognosability(failed), "trendability": trendability(failed)}
    return {PrognosisKey(name, ""): value for name, value in found.items() if value is not None}
