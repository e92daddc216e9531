"""Forecasts, from file to board and picture, against hand-worked cases and loops over the published formulae."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from reshift.results.forecast_file import COLUMNS, decode_forecasts, encode_forecasts
from reshift.results.forecast_sequence import ForecastSequence, forecast_sequences
from reshift.results.plan import PlannedCell
from reshift.results.plot_style import TimeUnit, svg_bytes
from reshift.results.prognosis import PrognosisKey, evaluate_forecasts, sequence_interval
from reshift.results.prognosis_board import COLUMNS as BOARD_COLUMNS
from reshift.results.prognosis_board import PrognosisRow, prognosis_bytes, prognosis_rows
from reshift.results.prognosis_index import monotonicity, prognosability, trendability
from reshift.results.prognosis_plot import remaining_life_figure, sequence_figure
from reshift.results.prognosis_summary import HEAD, prognosis_tables
from reshift.results.remaining_life import (
    alpha_lambda,
    cumulative_relative_accuracy,
    interval_coverage,
    interval_width,
    mae,
    phm08,
    phm08_score,
    prognostic_horizon,
)
from reshift.results.survival import Concordance, concordance, contradicted, together


def sequence(
    name: str,
    time: list[float],
    predicted: list[float],
    end: float,
    censored: bool = False,
    index: list[float] | None = None,
    half: float = 5.0,
) -> pd.DataFrame:
    """Forecast rows of one sequence; intervals reach `half` to either side, cut at 0."""
    at, said = np.array(time, dtype=float), np.array(predicted, dtype=float)
    return pd.DataFrame(
        {
            "sequence": name,
            "role": "test",
            "time": at,
            "index": at / max(end, 1) if index is None else index,
            "level": [0.5, *[np.nan] * (len(at) - 1)],
            "remaining": np.nan if censored else end - at,
            "censored": int(censored),
            "observed": end - at if censored else np.nan,
            "predicted": said,
            "low": np.maximum(said - half, 0),
            "high": said + half,
            "capped": 0,
            "confidence": 0.9,
        }
    )


def one(*args: Any, **kwargs: Any) -> ForecastSequence:
    return forecast_sequences(sequence(*args, **kwargs))[0]


def random_forecasts(sequences: int, censored: int, seed: int, prefix: str = "s", moments: int = 7) -> pd.DataFrame:
    g = np.random.default_rng(seed)
    frames = []
    for k in range(sequences):
        end = float(g.uniform(60, 140))
        time = np.sort(g.uniform(0, end, moments)).tolist()
        said = [max(0.0, (end - t) * g.uniform(0.4, 1.7)) for t in time]
        index = np.cumsum(g.normal(1, 1.5, moments)).tolist()
        frames.append(sequence(f"{prefix}{k:02d}", time, said, end, censored=k < censored, index=index, half=12))
    return pd.concat(frames, ignore_index=True)


HAND = ("hand", [0, 25, 50, 75, 100], [130, 60, 49, 30, 0], 100.0)


# The forecasts file


def test_a_frame_comes_back_whatever_the_order_of_rows() -> None:
    frame = random_forecasts(4, 1, 0)
    content = encode_forecasts(frame)
    assert encode_forecasts(frame.sample(frac=1, random_state=3)[list(COLUMNS)[::-1]]) == content
    back = decode_forecasts(content)
    assert list(back.columns) == list(COLUMNS)
    expected = frame.sort_values(["sequence", "time"], ignore_index=True)[list(COLUMNS)]
    pd.testing.assert_frame_equal(back, expected, check_dtype=False)
    assert encode_forecasts(back) == content


def test_bytes_do_not_tell_zeros_and_nans_apart_that_are_equal() -> None:
    frame = sequence("a", [0, 1], [0, 0], 2.0)
    other = frame.assign(predicted=-frame["predicted"], observed=-frame["observed"])
    assert math.copysign(1, other["predicted"].iloc[0]) == -1
    assert encode_forecasts(frame) == encode_forecasts(other)


SABOTAGE: dict[str, tuple[dict[str, Any], str]] = {
    "role": ({"role": "val"}, "column role, sequence 'a' at 10.0 h: 'val' not one of ['test']"),
    "name": ({"sequence": ""}, "column sequence, sequence '' at 10.0 h"),
    "flag": ({"censored": 2}, "column censored, sequence 'a' at 10.0 h: 2 neither 0"),
    "capped": ({"capped": -1}, "column capped, sequence 'a' at 10.0 h: -1 neither 0"),
    "infinite forecast": ({"high": np.inf}, "column high, sequence 'a' at 10.0 h: inf not a finite number"),
    "missing forecast": ({"predicted": np.nan}, "column predicted, sequence 'a' at 10.0 h: nan not a finite number"),
    "missing index": ({"index": np.nan}, "column index"),
    "infinite level": ({"level": np.inf}, "column level, sequence 'a' at 10.0 h: inf infinite"),
    "no truth": ({"remaining": np.nan}, "column remaining, sequence 'a' at 10.0 h: nan must be a number where"),
    "bound beside truth": ({"observed": 3.0}, "column observed, sequence 'a' at 10.0 h: 3.0 must be a number where"),
    "before the start": ({"time": -1.0}, "column time, sequence 'a' at -1.0 h: -1.0 below 0"),
    "after the limit": ({"remaining": -2.0}, "column remaining, sequence 'a' at 10.0 h: -2.0 below 0"),
    "negative forecast": ({"low": -1.0}, "column low, sequence 'a' at 10.0 h: -1.0 below 0"),
    "interval above": ({"low": 33.0}, "column low, sequence 'a' at 10.0 h: 33.0 above the predicted value"),
    "interval below": ({"high": 31.0}, "column high, sequence 'a' at 10.0 h: 31.0 below the predicted value"),
    "two confidences": ({"confidence": 0.8}, "column confidence, sequence 'a' at 10.0 h: 0.8 not the same"),
    "twice": ({"time": 0.0, "remaining": 40.0}, "column time, sequence 'a' at 0.0 h: 0.0 is listed twice"),
    "two ends": ({"remaining": 31.0}, "column remaining, sequence 'a' at 10.0 h: says otherwise"),
    "two fates": (
        {"censored": 1, "remaining": np.nan, "observed": 30.0},
        "column censored, sequence 'a' at 10.0 h: says otherwise",
    ),
}


@pytest.mark.parametrize("sabotage", SABOTAGE.values(), ids=SABOTAGE.keys())
def test_a_wrong_row_is_named_in_one_line(sabotage: tuple[dict[str, Any], str]) -> None:
    change, message = sabotage
    frame = sequence("a", [0, 10, 20], [41, 32, 22], 40.0)
    encode_forecasts(frame)
    for column, value in change.items():
        frame.loc[1, column] = value
    with pytest.raises(ValueError) as caught:
        encode_forecasts(frame)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_a_wrong_frame_or_file_is_refused() -> None:
    frame = sequence("a", [0, 10], [41, 32], 40.0)
    with pytest.raises(ValueError, match=r"lack column\(s\) \['low'\]"):
        encode_forecasts(frame.drop(columns="low"))
    with pytest.raises(ValueError, match="has no rows"):
        encode_forecasts(frame.iloc[:0])
    with pytest.raises(ValueError, match=r"column confidence, .*: 1.0 not between 0 and 1"):
        encode_forecasts(frame.assign(confidence=1.0))
    other = io.BytesIO()
    np.savez(other, columns=np.array(["sample"]), c00=np.array([1]))
    for content in (b"", b"no zip", encode_forecasts(frame)[:-30], other.getvalue()):
        with pytest.raises(ValueError, match="not a forecasts file"):
            decode_forecasts(content)


# The index (Coble)


def test_monotonicity_counts_steps_up_and_down() -> None:
    assert monotonicity(one("a", [0, 1, 2, 5, 6], [9] * 5, 9.0, index=[0, 1, 2, 1, 3])) == 0.5
    assert monotonicity(one("a", [0, 1, 2], [9] * 3, 9.0, index=[3, 2, 1])) == 1
    assert monotonicity(one("a", [0, 1, 2], [9] * 3, 9.0, index=[1, 1, 1])) == 0
    assert monotonicity(one("a", [0], [9], 9.0)) is None


def test_prognosability_by_hand() -> None:
    ten, twelve = (one(str(v), [0, 1], [9] * 2, 9.0, index=[0, v]) for v in (10, 12))
    assert prognosability([ten, twelve]) == pytest.approx(math.exp(-math.sqrt(2) / 11))
    assert prognosability([ten, replace(ten, name="b")]) == 1
    assert prognosability([ten]) is None
    assert prognosability([one(n, [0, 1], [9] * 2, 9.0, index=[4, 4]) for n in "ab"]) is None


def test_trendability_is_the_smallest_correlation_at_equal_shares_of_life() -> None:
    line = one("a", [0, 1, 2], [9] * 3, 9.0, index=[0, 1, 2])
    longer = one("b", [0, 2, 4, 6, 8], [9] * 5, 9.0, index=[5, 6, 7, 8, 9])
    assert trendability([line, longer]) == pytest.approx(1)
    hill = one("c", [0, 1, 2], [9] * 3, 9.0, index=[0, 1, 0])
    assert trendability([line, longer, hill]) == pytest.approx(0, abs=1e-12)
    assert trendability([line]) is None
    assert trendability([line, replace(line, index=np.ones(3))]) is None
    assert trendability([line, one("d", [0, 1], [9] * 2, 9.0)]) is None
    curves = forecast_sequences(random_forecasts(5, 0, 3))
    even = [replace(s, time=np.linspace(0, s.end, 7)) for s in curves]
    pairs = [abs(stats.pearsonr(a.index, b.index)[0]) for i, a in enumerate(even) for b in even[i + 1 :]]
    assert trendability(even) == pytest.approx(min(pairs))


# Remaining life (Saxena et al.; PHM08)


def test_remaining_life_by_hand() -> None:
    hand = one(*HAND)
    assert mae(hand) == pytest.approx((30 + 15 + 1 + 5 + 0) / 5)
    assert cumulative_relative_accuracy(hand) == pytest.approx((0.7 + 0.8 + 0.98 + 0.8) / 4)
    # Within 10 of the truth for the first time halfway.
    assert prognostic_horizon(hand, 0.1) == 50
    assert prognostic_horizon(hand, 0.005) == 0
    assert interval_width(hand) == pytest.approx((10 * 4 + 5) / 5)
    assert interval_coverage(hand) == pytest.approx(3 / 5)
    percent = [30, -15, -1, 5, 0]
    penalties = [math.exp(-e / 13) - 1 if e < 0 else math.exp(e / 10) - 1 for e in percent]
    assert phm08_score(hand) == pytest.approx(sum(penalties) / 5)


@pytest.mark.parametrize(
    ("share", "alpha", "hit"),
    [
        (0.25, 0.2, 1),  # 60 for 75: on the edge
        (0.25, 0.19, 0),
        (0.5, 0.2, 1),
        (0.6, 0.2, 1),  # judged is the next forecast, 30 for 25: on the edge
        (0.6, 0.1, 0),
        (0, 0.2, 0),
        (0.76, 0.2, None),  # only the moment at the limit is left
    ],
)
def test_alpha_lambda_by_hand(share: float, alpha: float, hit: float | None) -> None:
    assert alpha_lambda(one(*HAND), alpha, share) == hit


def test_lambda_counts_from_the_first_forecast() -> None:
    late = one("late", [40, 60, 70, 90], [0, 40, 0, 0], 100.0)
    assert alpha_lambda(late, 0.2, 1 / 3) == 1 and alpha_lambda(late, 0.2, 0.5) == 0


def test_a_forecast_may_leave_the_horizons_band_again() -> None:
    assert prognostic_horizon(one("a", [0, 20, 40], [105, 300, 300], 100.0), 0.1) == 100


def test_late_costs_more_than_early_and_sums_stay_finite() -> None:
    early, late = phm08(np.array([-20.0, 20.0]))
    assert early == pytest.approx(math.exp(20 / 13) - 1) and late == pytest.approx(math.exp(2) - 1) and late > early
    assert np.isfinite(phm08(np.array([1e9, -1e9]))).all()


def test_a_sequence_that_starts_at_its_limit_has_no_relative_figures() -> None:
    spent = one("a", [0], [3], 0.0)
    assert mae(spent) == 3
    for metric in (cumulative_relative_accuracy, phm08_score, lambda s: prognostic_horizon(s, 0.1)):
        assert metric(spent) is None
    assert alpha_lambda(spent, 0.2, 0.5) is None


# Censored sequences


def test_survival_contradicts_forecasts_that_came_due() -> None:
    seen = one("a", [0, 10, 20], [29, 20, 5], 30.0, censored=True, half=2)
    assert contradicted(seen, seen.predicted) == pytest.approx(2 / 3)
    assert contradicted(seen, seen.high) == pytest.approx(1 / 3)


def harrell(frame: pd.DataFrame) -> tuple[float, int, set[str]]:
    """Pairs won, pairs, and who is in one: by loops over pairs and moments, from the frame itself."""
    won, pairs = 0.0, 0
    names: set[str] = set()
    runs: dict[str, list[dict[str, Any]]] = {}
    for row in frame.sort_values("time").to_dict("records"):
        runs.setdefault(row["sequence"], []).append(row)

    def end(rows: list[dict[str, Any]]) -> float:
        return rows[0]["time"] + (rows[0]["observed"] if rows[0]["censored"] else rows[0]["remaining"])

    for one_name, a in runs.items():
        for other_name, b in runs.items():
            if one_name == other_name or a[0]["censored"]:
                continue
            if not (end(a) < end(b) or (b[0]["censored"] and end(a) == end(b))):
                continue
            results = []
            for row in a:
                known = [other for other in b if other["time"] <= row["time"]]
                if known:
                    later = max(known[-1]["time"] + known[-1]["predicted"], row["time"])
                    difference = later - (row["time"] + row["predicted"])
                    results.append(0.5 if abs(difference) < 1e-6 else float(difference > 0))
            if results:
                won += sum(results) / len(results)
                pairs += 1
                names |= {one_name, other_name}
    return won, pairs, names


def share(won: float, pairs: int, _: set[str]) -> float:
    return won / pairs


@pytest.mark.parametrize("seed", range(4))
def test_concordance_equals_loops_over_pairs(seed: int) -> None:
    frame = random_forecasts(9, 3, seed)
    assert concordance(forecast_sequences(frame)).value == pytest.approx(share(*harrell(frame)))


def test_concordance_of_the_perfect_the_reversed_and_the_constant_forecast() -> None:
    time = [0.0, 10.0, 20.0]
    ends = [50.0, 60.0, 70.0, 80.0]

    def value(date: Callable[[float], float]) -> float | None:
        frames = [sequence(f"s{e}", time, [date(e) - t for t in time], e, censored=e == 80) for e in ends]
        return concordance(forecast_sequences(pd.concat(frames))).value

    assert value(lambda end: end) == 1
    assert value(lambda end: 130 - end) == 0
    assert value(lambda end: 65.3) == 0.5


def test_counting_down_from_a_constant_orders_nothing_even_past_it() -> None:
    frames = []
    for name, time, end in (("a", [0, 7, 50, 90], 95.0), ("b", [0, 3, 30, 40, 88], 120.0)):
        frames.append(sequence(name, time, [max(0.0, 45.0 - t) for t in time], end))
    assert concordance(forecast_sequences(pd.concat(frames))).value == 0.5


def test_two_censored_or_equally_long_sequences_are_no_pair() -> None:
    censored = pd.concat([sequence(n, [0], [5], 9.0 + i, censored=True) for i, n in enumerate("ab")])
    equal = pd.concat([sequence(n, [0], [5], 9.0) for n in "ab"])
    # Failed at 12 when the other was last seen at 9: who would have failed first is not known.
    unknown = pd.concat([sequence("a", [0], [5], 9.0, censored=True), sequence("b", [0], [5], 12.0)])
    for frame in (censored, equal, unknown):
        assert concordance(forecast_sequences(frame)).value is None
    seen = pd.concat([sequence("a", [0], [5], 9.0), sequence("b", [0], [6], 9.0, censored=True)])
    assert concordance(forecast_sequences(seen)).value == 1


def test_the_interval_of_concordance_is_the_jackknifes() -> None:
    frame = random_forecasts(14, 4, 5)
    found = concordance(forecast_sequences(frame))
    without = [share(*harrell(frame[frame["sequence"] != name])) for name in sorted(set(frame["sequence"]))]
    n = len(without)
    error = math.sqrt((n - 1) / n * sum((x - np.mean(without)) ** 2 for x in without))
    half = stats.t.ppf(0.975, n - 1) * error
    expected = (max(found.value - half, 0), min(found.value + half, 1))
    assert found.interval(10) == pytest.approx(expected)
    assert found.interval(15) is None
    assert Concordance({"a": 1.0, "b": 1.0}, {"a": 1.0, "b": 1.0}).interval(2) is None


def test_pairs_of_two_test_sets_add_up() -> None:
    parts = [random_forecasts(5, 1, seed, prefix) for seed, prefix in ((1, "x"), (2, "y"))]
    found = [concordance(forecast_sequences(p)) for p in parts]
    pairs = [sum(c.compared.values()) for c in found]
    expected = sum(c.value * n for c, n in zip(found, pairs, strict=True)) / sum(pairs)
    assert together(found).value == pytest.approx(expected)


# A cell


def test_censored_sequences_are_counted_but_have_no_error() -> None:
    frame = pd.concat([sequence(*HAND), sequence("seen", [0, 10], [5, 5], 30.0, censored=True)])
    judged = evaluate_forecasts(frame)
    assert judged.censored == {"hand": False, "seen": True}
    for key, values in judged.by_sequence.items():
        assert set(values) == ({"seen"} if key.metric == "contradicted" else {"hand"})
    assert judged.by_sequence[PrognosisKey("alpha_lambda", "alpha=0.2,lambda=0.5")] == {"hand": 1.0}
    assert judged.by_sequence[PrognosisKey("interval_coverage", "confidence=0.9")]["hand"] == pytest.approx(0.6)
    assert judged.of_set == {}


def test_intervals_over_sequences_are_students_and_need_ten() -> None:
    values = [3.0, 4.0, 1.0, 9.0, 7.0, 2.0, 2.0, 5.0, 6.0, 11.0]
    low, high = stats.t.interval(0.95, 9, np.mean(values), stats.sem(values))
    assert sequence_interval("mae_hours", values) == pytest.approx((low, high))
    assert sequence_interval("mae_hours", values[:9]) is None
    assert sequence_interval("mae_hours", [1.0] * 12) is None
    clipped = sequence_interval("monotonicity", [1.0] * 11 + [0.0])
    assert clipped is not None and clipped[1] == 1 and clipped[0] < 11 / 12


@pytest.mark.parametrize("metric", ["alpha_lambda", "interval_coverage", "capped", "contradicted"])
@pytest.mark.parametrize("hits", [0, 7, 12])
def test_intervals_of_shares_are_exact(metric: str, hits: int) -> None:
    found = sequence_interval(metric, [1.0] * hits + [0.0] * (12 - hits))
    lower = 0.0 if hits == 0 else stats.beta.ppf(0.025, hits, 13 - hits)
    upper = 1.0 if hits == 12 else stats.beta.ppf(0.975, hits + 1, 12 - hits)
    assert found == pytest.approx((lower, upper))
    assert sequence_interval(metric, [1.0] * 9) is None


def test_the_interval_of_a_share_of_parts_of_hits_is_no_shorter_than_of_whole_ones() -> None:
    found = sequence_interval("interval_coverage", [0.95] * 10)
    assert found == pytest.approx((stats.beta.ppf(0.025, 9, 2), 1.0))


# The board


def cell(model: str, split: str, seed: int = 0, **more: Any) -> PlannedCell:
    name = f"{model}-{split}-{seed}"
    return PlannedCell(name, {}, "moulds", model, "unseen_sequence", split, seed, breaks=("classes",), **more)


def value_of(rows: list[PrognosisRow], split: str, metric: str) -> PrognosisRow:
    (row,) = [r for r in rows if (r.split, r.metric) == (split, metric)]
    return row


def test_the_protocols_mean_is_over_sequences_each_once() -> None:
    cells = [cell("m", "fold=0", s) for s in (0, 1)] + [cell("m", "fold=1", s) for s in (0, 1)]
    parts = {("fold=0", s): random_forecasts(7, 1, s, "a") for s in (0, 1)}
    parts |= {("fold=1", s): random_forecasts(5, 1, s + 2, "b") for s in (0, 1)}
    # Seeds see the same truth: only forecasts differ.
    for fold in ("fold=0", "fold=1"):
        again = parts[fold, 0].copy()
        again["predicted"] = again["predicted"] * 1.1
        parts[fold, 1] = again.assign(high=again["predicted"] + 12)
    rows = prognosis_rows(cells, {f"m-{fold}-{s}": frame for (fold, s), frame in parts.items()})
    errors: dict[str, list[float]] = {}
    for frame in parts.values():
        failed = frame[frame["censored"] == 0]
        for name, own in failed.groupby("sequence"):
            errors.setdefault(str(name), []).append((own["predicted"] - own["remaining"]).abs().mean())
    over_sequences = [float(np.mean(errors[name])) for name in sorted(errors)]
    row = value_of(rows, "mean", "mae_hours")
    assert (row.n_sequences, row.n_censored, row.coverage) == (10, 2, "4/4")
    assert row.mean == pytest.approx(np.mean(over_sequences))
    assert (row.low, row.high) == pytest.approx(stats.t.interval(0.95, 9, row.mean, stats.sem(over_sequences)))
    fold = value_of(rows, "fold=0", "mae_hours")
    assert (fold.n_sequences, fold.n_censored, fold.low, fold.coverage) == (6, 1, None, "2/2")
    assert fold.mean == pytest.approx(np.mean([np.mean(errors[f"a{k:02d}"]) for k in range(1, 7)]))
    order = value_of(rows, "mean", "concordance")
    won, pairs, names = zip(*(harrell(frame) for frame in parts.values()), strict=True)
    assert order.mean == pytest.approx(sum(won) / sum(pairs)) and order.n_sequences == len(set().union(*names))
    sets = [value_of(rows, f"fold={k}", "prognosability").mean for k in (0, 1)]
    assert value_of(rows, "mean", "prognosability").mean == pytest.approx(np.mean(sets))


def test_no_mean_below_full_coverage() -> None:
    cells = [cell("m", "fold=0"), cell("m", "fold=1"), cell("n", "fold=0", not_applicable="no crossing to learn from")]
    rows = prognosis_rows(cells, {"m-fold=0-0": random_forecasts(3, 0, 0)})
    blank = [(r.split, r.metric, r.mean, r.n_sequences, r.coverage) for r in rows if r.mean is None]
    assert blank == [("mean", "mae_hours", None, None, "1/2"), ("fold=1", "mae_hours", None, None, "0/1")]
    assert {r.model for r in rows} == {"m"}
    assert not any(r.split == "mean" and r.mean is not None for r in rows)


def test_a_fold_without_failures_has_no_error_but_does_not_hide_the_others() -> None:
    cells = [cell("m", "fold=0"), cell("m", "fold=1")]
    rows = prognosis_rows(
        cells, {"m-fold=0-0": random_forecasts(3, 0, 0, "a"), "m-fold=1-0": random_forecasts(2, 2, 1, "b")}
    )
    assert not [r for r in rows if r.split == "fold=1" and r.metric not in ("contradicted",)]
    mean = value_of(rows, "mean", "mae_hours")
    assert (mean.n_sequences, mean.n_censored) == (3, 2)
    assert not [r for r in rows if r.split == "mean" and r.metric in ("prognosability", "trendability")]


def test_the_csv_is_the_same_whatever_the_order_and_names_what_is_broken() -> None:
    cells = [cell("m", f"fold={k}") for k in (0, 1)] + [cell("floor", f"fold={k}") for k in (0, 1)]
    frames = {c.id: random_forecasts(4, 1, i, f"f{c.split[-1]}") for i, c in enumerate(cells)}
    content = prognosis_bytes(prognosis_rows(cells, frames))
    shuffled = {name: frame.sample(frac=1, random_state=1) for name, frame in reversed(frames.items())}
    assert prognosis_bytes(prognosis_rows(cells[::-1], shuffled)) == content
    lines = list(csv.reader(io.StringIO(content.decode())))
    assert tuple(lines[0]) == BOARD_COLUMNS
    assert {line[2] for line in lines[1:]} == {"unseen_sequence"}
    assert [line[1] for line in lines[1:]] == sorted(line[1] for line in lines[1:])
    assert lines[1][:6] == ["moulds", "floor", "unseen_sequence", "mean", "mae_hours", ""]
    clipped = prognosis_bytes(prognosis_rows(cells[:1], {cells[0].id: random_forecasts(14, 0, 2)}))
    for line in csv.DictReader(io.StringIO(clipped.decode())):
        assert all(re.fullmatch(r"(-?\d+\.\d{6})?", line[column]) for column in ("mean", "low", "high"))
    assert ",0.000000," in clipped.decode() or ",1.000000," in clipped.decode()
    leaky = [replace(c, breaks=("parts", "classes")) for c in cells]
    assert {r.protocol for r in prognosis_rows(leaky, frames)} == {"unseen_sequence [breaks: parts]"}


def test_the_table_for_people_ranks_by_error() -> None:
    cells = [cell(m, f"fold={k}") for m in ("good", "bad", "unfinished") for k in (0, 1)]
    frames = {}
    for k in (0, 1):
        frame = random_forecasts(6, 1, k, f"f{k}")
        truth = frame["remaining"].fillna(frame["observed"] + 1)
        frames[f"bad-fold={k}-0"] = frame
        frames[f"good-fold={k}-0"] = frame.assign(predicted=truth, low=truth, high=truth)
    (lines,) = prognosis_tables(prognosis_rows(cells, frames)).values()
    named = [dict(zip(HEAD, line, strict=True)) for line in lines]
    assert [line["model"] for line in named] == ["good", "bad", "unfinished"]
    assert named[0]["off by (hours)"] == "0.00" and named[0]["right halfway"] == "1.00 (0.69 to 1.00)"
    assert named[0]["interval holds"] == "1.00 (0.69 to 1.00), promised 0.90" and named[0]["refuted"] == "0.00"
    assert named[0]["order"] == "1.00" and (named[0]["sequences"], named[0]["censored"]) == ("10", "2")
    assert named[1]["off by (hours)"].count(" to ") == 1
    assert named[2] == dict.fromkeys(HEAD, "") | {"model": "unfinished", "cells": "0/2"}


# Pictures


@pytest.mark.parametrize("censored", [False, True])
def test_pictures_are_the_same_bytes_and_say_when(censored: bool) -> None:
    time = [24.0 * t for t in range(10)]
    run = one("mould 3", time, [260 - t for t in time], 240.0, censored=censored)
    run = replace(run, capped=run.time < 100)
    content = svg_bytes(sequence_figure(run))
    with matplotlib.rc_context({"font.size": 20, "svg.hashsalt": None, "lines.linewidth": 9}):
        assert svg_bytes(sequence_figure(run)) == content
    ElementTree.fromstring(content)
    said = content.decode()
    end = "Day 10.0: last seen, limit not reached" if censored else "Day 10.0: limit really reached"
    for words in ("mould 3: when will it reach its limit?", end, "no end in sight by day 10.8", "about day 10.8"):
        assert f"<!-- {words} -->" in said
    assert "Days since the start" in said


def test_forecast_against_truth_counts_what_it_cannot_show() -> None:
    runs = forecast_sequences(random_forecasts(5, 2, 0))
    said = svg_bytes(remaining_life_figure(runs)).decode()
    assert "3 sequences" in said and "(2 more never reached the limit and cannot be shown)" in said
    single = svg_bytes(remaining_life_figure(runs[2:3])).decode()
    assert "Range meant to be right 90 times in 100" in single and "never reached" not in single
    with pytest.raises(ValueError, match="none of 2 sequences reached its limit"):
        remaining_life_figure(runs[:2])


def test_times_are_in_hours_up_to_three_days() -> None:
    assert (TimeUnit.fit_for(72.0).moment(31.26), TimeUnit.fit_for(73.0).moment(36.0)) == ("hour 31.3", "day 1.5")
    assert TimeUnit.fit_for(9999).number(2424.0) == "101"


def test_a_method_that_does_not_beat_the_floor_is_said_not_to() -> None:
    models = ("mean_life", "exact", "off")
    cells = [cell(m, f"fold={k}") for m in models for k in (0, 1)]
    frames, errors = {}, []
    for k in (0, 1):
        frame = random_forecasts(6, 1, k, f"f{k}")
        truth = frame["remaining"].fillna(frame["observed"] + 1)
        frames[f"mean_life-fold={k}-0"] = frame
        frames[f"exact-fold={k}-0"] = frame.assign(predicted=truth, low=truth, high=truth)
        frames[f"off-fold={k}-0"] = frame.assign(predicted=truth + 1000, low=truth, high=truth + 1000)
        failed = frame[frame["censored"] == 0]
        errors += [(f["predicted"] - f["remaining"]).abs().mean() for _, f in failed.groupby("sequence")]
    rows = [r for r in prognosis_rows(cells, frames) if r.metric == "gain_hours"]
    assert {(r.model, r.split, r.parameter) for r in rows} == {(m, "mean", "over=mean_life") for m in ("exact", "off")}
    gain = next(r for r in rows if r.model == "exact")
    assert gain.mean == pytest.approx(np.mean(errors)) and gain.n_sequences == 10
    assert (gain.low, gain.high) == pytest.approx(stats.t.interval(0.95, 9, gain.mean, stats.sem(errors)))
    (lines,) = prognosis_tables(prognosis_rows(cells, frames)).values()
    said = {line[0]: line[HEAD.index("against mean_life")] for line in lines}
    assert said["mean_life"] == "floor" and said["exact"].startswith("better: +") and said["off"].startswith("worse: -")
