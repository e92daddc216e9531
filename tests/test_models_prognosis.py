"""Prognosis: survival curves by hand, exact crossings, coverage on simulated wear, and what a method may not see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from reshift.benchmark.catalog import build, find_class, full_arguments
from reshift.models.brownian_kernel import Brownian
from reshift.models.degradation_index import DegradationIndex, centred, fresh_frames
from reshift.models.forecaster import Forecaster, ReplayedErrors
from reshift.models.gaussian_process_forecast import GaussianProcessForecast
from reshift.models.healthy_distance import HealthyDistance
from reshift.models.index_forecast import IndexForecast
from reshift.models.index_path import IndexPath, crossing_values, running_median
from reshift.models.kaplan_meier import KaplanMeier
from reshift.models.level_regression import LevelRegression
from reshift.models.mean_life import MeanLife
from reshift.models.prognosis import Floats, Forecast, History, Prognosis
from reshift.models.reconstruction_error import ReconstructionError
from reshift.models.trend_forecast import TrendForecast
from reshift.models.wear_clock import WearClock
from reshift.models.wear_clusters import WearClusters

INDICES: list[Callable[[], DegradationIndex]] = [
    HealthyDistance,
    lambda: HealthyDistance(own_start=False),
    lambda: ReconstructionError(variance=0.8),
    lambda: WearClusters(clusters=4),
    LevelRegression,
    lambda: LevelRegression("gaussian_process", components=4),
]
FORECASTERS: list[Callable[[], Forecaster]] = [
    lambda: TrendForecast("linear"),
    lambda: TrendForecast("exponential"),
    GaussianProcessForecast,
]


def only_lives(*lives: float | tuple[float]) -> list[History]:
    """Histories without features; a life in a tuple is censored."""
    found = []
    for i, life in enumerate(lives):
        last = life[0] if isinstance(life, tuple) else life
        end = None if isinstance(life, tuple) else life
        found.append(History(f"s{i}", np.array([0.0, last]), np.zeros((2, 0), np.float32), np.zeros(2), end))
    return found


def wearing(life: float, seed: int, frames: int = 40, crossed: bool = True, own_look: float = 0.2) -> History:
    """Eight noisy features, two of which grow with a level that leaves 0 at a quarter of `life` and is 3 at its end."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 1.2 * life if crossed else 0.7 * life, frames)
    level = 3 * np.maximum(time / life - 0.25, 0) / 0.75
    feature = 0.3 * rng.standard_normal((frames, 8)) + own_look * rng.standard_normal(8)
    feature[:, :2] += level[:, None] * [2.0, -3.0]
    return History(f"s{seed}", time, feature.astype(np.float32), level, life if crossed else None)


def fleet() -> list[History]:
    return [wearing(80 + 5 * i, seed=i, crossed=i % 4 != 3) for i in range(8)]


def index_forecast(wear: DegradationIndex, forecaster: Forecaster) -> IndexForecast:
    return IndexForecast(wear, forecaster, "test_resnet", "none", [0], (1.0,))


def straight(life: float, frames: int = 30, until: float = 1.0, rate: float = 0.0) -> IndexPath:
    """A noiseless index from 0 that is 1 at `life`: a line, or an exponential with `rate` over a life."""
    time = np.linspace(0, until * life, frames)
    share = time / life
    return IndexPath(time, np.expm1(rate * share) / np.expm1(rate) if rate else share, life if until == 1 else None)


# The curve of lives


def test_kaplan_meier_by_hand() -> None:
    # At risk 5, 3, 1 at the three seen ends: survival 4/5, 4/5 * 2/3 = 8/15, 0.
    curve = KaplanMeier([6, 3, 2, 5, 4], [False, True, False, True, False])
    assert curve.mean() == pytest.approx(2 + 2 * 4 / 5 + 2 * 8 / 15)
    assert [curve.quantile(q) for q in (0.1, 0.2, 0.21, 0.46, 0.47)] == [2, 2, 4, 4, 6]
    # Of those beyond 2, two thirds outlive 4.
    assert [curve.quantile(q, beyond=2) for q in (0.33, 0.34)] == [4, 6]


def test_kaplan_meier_without_censoring_is_the_sample() -> None:
    values = np.random.default_rng(0).exponential(size=101)
    curve = KaplanMeier(values.tolist(), [False] * 101)
    assert curve.mean() == pytest.approx(values.mean())
    assert curve.quantile(0.5) == pytest.approx(np.median(values))


def test_a_quantile_that_was_not_seen_is_infinite() -> None:
    assert KaplanMeier([2, 3, 4], [False, True, True]).quantile(0.5) == np.inf


def test_mean_life_counts_a_censored_sequence_as_running() -> None:
    model = MeanLife()
    model.fit(only_lives(2, (3,), 4, (5,), 6), limit=1)
    mean = 2 + 2 * 4 / 5 + 2 * 8 / 15
    found = model.forecast(History("x", np.array([0.0, 3.0]), np.zeros((2, 0), np.float32)))
    assert (found.remaining, found.low, found.high) == pytest.approx((mean - 3, 4 - 3, 6 - 3))
    assert model.index(only_lives(mean)[0]).tolist() == pytest.approx([0, 1])


def test_mean_life_beyond_every_training_life_knows_nothing() -> None:
    model = MeanLife()
    model.fit(only_lives(2, 4), limit=1)
    assert model.forecast(only_lives((9,))[0]) == Forecast(0.0, 0.0, 4.0)


# Paths, their crossing and their clock


def test_running_median_keeps_a_monotone_sequence_and_drops_a_spike() -> None:
    rising = np.arange(9.0) ** 2
    assert running_median(rising, 5).tolist() == rising.tolist()
    rising[4] = 900
    assert running_median(rising, 5).max() == 64


def test_crossing_values_take_a_censored_path_as_a_lower_bound() -> None:
    time = np.arange(4.0)
    paths = [
        IndexPath(time, np.array([0.0, 1, 2, 3]), 2.5),
        IndexPath(time, np.array([0.0, 4, 5, 4]), None),
        IndexPath(time, np.array([0.0, 2, 4, 6]), 3.0),
    ]
    curve = crossing_values(paths, window=1)
    assert curve.steps.tolist() == [2.5, 5, 6]
    assert curve.surviving.tolist() == pytest.approx([2 / 3, 2 / 3, 0])


def test_wear_clock_tells_the_expected_index() -> None:
    clock = WearClock([straight(80, rate=3), straight(120, rate=3)])
    hours = np.array([0.0, 50.0, 100.0])
    assert clock(hours) == pytest.approx(np.expm1(3 * hours / 100) / np.expm1(3), abs=2e-3)
    pace = (1 - np.expm1(2.4) / np.expm1(3)) / 20
    assert clock(np.array([130.0])) == pytest.approx([1 + 30 * pace], rel=2e-3)


# Forecasters on an index


@pytest.mark.parametrize("frames", [4, 17])
def test_linear_trend_finds_the_exact_crossing(frames: int) -> None:
    model = TrendForecast("linear")
    model.fit([straight(90), straight(100), straight(110)])
    time = np.linspace(0, 40, frames)
    found = model.forecast(time, 0.1 + 0.9 * time / 75)
    assert found.remaining == pytest.approx(35)
    assert not found.capped


@pytest.mark.parametrize("rate", [0.5, 4.0])
def test_exponential_trend_finds_the_exact_crossing(rate: float) -> None:
    model = TrendForecast("exponential")
    model.fit([straight(90, rate=rate), straight(110, rate=rate)])
    path = straight(100, rate=rate)
    seen = path.time < 61
    found = model.forecast(path.time[seen], path.index[seen])
    assert path.time[seen][-1] + found.remaining == pytest.approx(100, rel=1e-3)
    # Replays of noiseless exponentials err by nothing.
    assert found.high - found.low < 0.5


def test_a_trend_without_crossing_is_capped_at_the_longest_training_time() -> None:
    for curve in ("linear", "exponential"):
        model = TrendForecast(curve)
        model.fit([straight(90), straight(110)])
        time = np.arange(20.0)
        found = model.forecast(time, 0.5 - 0.01 * time)
        assert (found.remaining, found.capped) == (110, True)
        assert 0 <= found.low <= found.remaining <= found.high


def test_an_index_over_the_limit_leaves_nothing() -> None:
    time = np.linspace(0, 100, 30)
    for new in FORECASTERS:
        model = new()
        model.fit([straight(90), straight(100), straight(110)])
        assert model.forecast(time, time / 50).remaining == 0


def test_a_censored_replay_is_no_failure_where_it_ends() -> None:
    crossed = [straight(life) for life in (90, 100, 110)]
    halfway = [straight(life, until=0.5) for life in (90, 100, 110)]

    def of_a_hundred(time: Floats, index: Floats) -> float:
        return float(100 * (1 - index[-1]))

    alone = ReplayedErrors(crossed, of_a_hundred).forecast(80)
    joined = ReplayedErrors([*crossed, *halfway], of_a_hundred).forecast(80)
    as_failed = ReplayedErrors([*crossed, *(replace(p, end=p.time[-1]) for p in halfway)], of_a_hundred).forecast(80)
    # A path of 90 hours is over ten hours early, less what has passed.
    assert 70 <= alone.low <= 73
    assert joined.low == pytest.approx(alone.low, abs=1)
    assert joined.high >= alone.high
    assert as_failed.low < 40


def test_lowess_leaves_a_line_and_gives_its_crossing() -> None:
    model = TrendForecast("linear", "lowess")
    model.fit([straight(90), straight(110)])
    assert model.forecast(np.arange(40.0), np.arange(40.0) / 100).remaining == pytest.approx(61)


def random_wear(rng: np.random.Generator) -> tuple[Floats, Floats, float]:
    """Brownian wear with drift to 1 in about 100 hours, in steps of 0.5, seen with noise every 4: times, index, end."""
    pace = float(rng.normal(1, 0.15)) / 100
    wear = np.cumsum(pace * 0.5 + 0.1 * np.sqrt(0.5 / 100) * rng.standard_normal(800))
    time = np.linspace(0.5, 400, 800)
    seen = slice(None, None, 8)
    return time[seen], wear[seen] + 0.02 * rng.standard_normal(100), float(time[np.argmax(wear >= 1)])


def random_fleet(rng: np.random.Generator, sequences: int) -> list[IndexPath]:
    paths = []
    for _ in range(sequences):
        time, index, end = random_wear(rng)
        stop = min(end, rng.uniform(70, 160))
        seen = time <= stop
        paths.append(IndexPath(time[seen], index[seen], end if end <= stop else None))
    return paths


@pytest.mark.parametrize("new", FORECASTERS)
def test_intervals_hold_the_truth_about_as_often_as_they_say(new: Callable[[], Forecaster]) -> None:
    rng = np.random.default_rng(0)
    held, width = [], []
    for _ in range(3):
        paths = random_fleet(rng, 25)
        assert 2 < sum(path.end is None for path in paths) < 20
        model = new()
        model.fit(paths)
        for _ in range(75):
            time, index, end = random_wear(rng)
            seen = time <= rng.uniform(10, 90)
            if time[seen][-1] < end:
                found = model.forecast(time[seen], index[seen])
                held.append(found.low <= end - time[seen][-1] <= found.high)
                width.append(found.high - found.low)
    # About 200 forecasts from three fleets: the standard error is about .03.
    assert 0.82 <= np.mean(held) <= 0.97
    assert np.mean(width) < 110


def test_gaussian_process_recovers_pace_wander_and_noise() -> None:
    model = GaussianProcessForecast()
    model.fit(random_fleet(np.random.default_rng(0), 40))
    pace, wander = model.kernel.k1.k2.k1.constant_value, model.kernel.k2.k1.constant_value
    assert np.sqrt([pace, wander, model.noise]) == pytest.approx([0.15, 0.1, 0.02], rel=0.3)


def test_brownian_covariance_is_that_of_summed_steps() -> None:
    steps = np.random.default_rng(0).standard_normal((20000, 8)).cumsum(axis=1)
    at = np.arange(1.0, 9.0)[:, None]
    full = np.asarray(Brownian()(at))
    assert full == pytest.approx(np.cov(steps.T), abs=0.25)
    assert np.asarray(Brownian()(at, at[:3])).tolist() == full[:, :3].tolist()
    assert Brownian().diag(at).tolist() == np.diag(full).tolist()


# Indices on features


def test_centred_subtracts_the_start_seen_so_far() -> None:
    history = wearing(50, seed=0, frames=7)
    found = centred(history, start=3, own_start=True)
    for frame in range(7):
        start = history.feature[: min(frame + 1, 3)].astype(np.float64)
        assert found[frame] == pytest.approx(history.feature[frame] - start.mean(axis=0))
    assert centred(history, start=3, own_start=False).tolist() == history.feature.tolist()


def test_healthy_distance_grows_with_many_samples_to_mahalanobis() -> None:
    rng = np.random.default_rng(0)
    mixing = np.array([[2.0, 0.0], [1.0, 0.5]])
    rows = (rng.standard_normal((20000, 2)) @ mixing).astype(np.float32)
    model = HealthyDistance(start=20000, own_start=False)
    model.fit([History("a", np.arange(20000.0), rows)], limit=1)
    point = np.array([[3.0, -1.0]], np.float32)
    expected = np.sqrt(point @ np.linalg.inv(mixing.T @ mixing) @ point.T)[0, 0]
    assert model.measure(History("b", np.zeros(1), point))[0] == pytest.approx(expected, rel=0.03)


def test_reconstruction_error_is_what_a_singular_value_decomposition_leaves() -> None:
    sequences = [wearing(60, seed=i) for i in range(3)]
    model = ReconstructionError(variance=0.6)
    model.fit(sequences, limit=3)
    fresh = fresh_frames(sequences, 10, True)
    mean, deviation = fresh.mean(axis=0), fresh.std(axis=0)
    values, axes = np.linalg.svd((fresh - mean) / deviation, full_matrices=False)[1:]
    kept = 1 + int(np.argmax(np.cumsum(values**2) / (values**2).sum() > 0.6))
    rows = (centred(sequences[0], 10, True) - mean) / deviation
    left = rows - rows @ axes[:kept].T @ axes[:kept]
    assert model.measure(sequences[0]) == pytest.approx(np.sqrt((left**2).mean(axis=1)))


def test_reconstruction_that_misses_nothing_is_refused() -> None:
    # Of eight unrelated features .95 of the variance takes all, and what is left is rounding: another in any process.
    with pytest.raises(ValueError, match=r"variance 0.95 .* all 8 components"):
        ReconstructionError().fit([wearing(60, seed=i) for i in range(4)], limit=3)


@pytest.mark.parametrize("kind", ["ridge", "gaussian_process"])
def test_level_regression_reads_the_share_of_the_limit_and_skips_unmeasured_frames(kind: Any) -> None:
    sequences = [wearing(60 + i, seed=i) for i in range(4)]
    for sequence in sequences:
        assert sequence.level is not None
        sequence.level[::2] = np.nan
    model = LevelRegression(kind, components=8)
    model.fit(sequences, limit=3)
    fresh = wearing(60, seed=9)
    assert fresh.level is not None
    assert model.measure(fresh)[10:] == pytest.approx(fresh.level[10:] / 3, abs=0.25)


@pytest.mark.parametrize("new", INDICES)
def test_an_index_grows_with_wear_from_zero_to_one_at_the_limit(new: Callable[[], DegradationIndex]) -> None:
    model = index_forecast(new(), TrendForecast("linear"))
    model.fit(fleet(), limit=3)
    fresh = wearing(100, seed=50)
    index = model.index(fresh)
    worn = fresh.time > 30
    assert spearmanr(fresh.time[worn], index[worn]).statistic > 0.85
    assert running_median(index, 5)[:3].mean() == pytest.approx(0, abs=0.2)
    assert np.interp(100, fresh.time, running_median(index, 5)) == pytest.approx(1, abs=0.35)


@pytest.mark.parametrize("new", INDICES)
def test_an_index_does_not_look_ahead(new: Callable[[], DegradationIndex]) -> None:
    model = index_forecast(new(), TrendForecast("linear"))
    model.fit(fleet(), limit=3)
    fresh = wearing(100, seed=50)
    for hours in (3.0, 60.0):
        past = fresh.until(hours)
        assert model.index(past) == pytest.approx(model.index(fresh)[: len(past.time)])


def test_an_index_that_falls_with_wear_still_has_a_scale() -> None:
    class Backwards(HealthyDistance):
        def measure(self, history: History) -> Floats:
            return -super().measure(history)

    model = index_forecast(Backwards(), TrendForecast("linear"))
    model.fit(fleet(), limit=3)
    found = model.forecast(wearing(100, seed=50).until(60))
    assert found.capped
    assert found.remaining == max(s.followed for s in fleet())


# Whole methods


def methods() -> list[Prognosis]:
    return [MeanLife(), *(index_forecast(HealthyDistance(), new()) for new in FORECASTERS)]


@pytest.mark.parametrize("which", range(len(FORECASTERS) + 1))
def test_forecasts_hold_the_truth_repeat_and_see_no_level(which: int) -> None:
    model, again = methods()[which], methods()[which]
    model.fit(fleet(), limit=3)
    again.fit(fleet()[::-1], limit=3)
    past = wearing(100, seed=50).until(60)
    found = model.forecast(past)
    assert found.low <= 100 - past.age <= found.high
    garbage = replace(past, level=np.full(len(past.time), np.nan), end=past.age)
    assert model.forecast(garbage) == model.forecast(past) == again.forecast(past) == found


def test_one_frame_is_enough_for_every_method() -> None:
    for model in methods():
        model.fit(fleet(), limit=3)
        found = model.forecast(wearing(100, seed=50).until(0))
        assert found.low <= found.remaining <= found.high


@pytest.mark.parametrize("which", range(1, len(FORECASTERS) + 1))
def test_a_method_without_a_crossing_to_learn_from_says_so(which: int) -> None:
    censored = [wearing(100, seed=i, crossed=False) for i in range(3)]
    with pytest.raises(ValueError, match="3 training sequences, of which 0 crossed"):
        methods()[which].fit(censored, limit=3)


def test_presets_compose_index_and_forecaster_by_their_short_names() -> None:
    given = {
        "wear": {"class_path": "WearClusters", "init_args": {"clusters": 3}},
        "forecaster": {"class_path": "TrendForecast", "init_args": {"curve": "exponential"}},
        "backbone": "test_resnet",
        "weights": "none",
        "stages": [0],
    }
    cls = find_class("index_forecast", "reshift.models", Prognosis)  # type: ignore[type-abstract]
    full = full_arguments(cls, given, "model")
    assert full["forecaster"] == {
        "class_path": "reshift.models.trend_forecast.TrendForecast",
        "init_args": {"curve": "exponential", "smooth": "median", "share": 0.3},
    }
    model = build(cls, full)
    assert isinstance(model, IndexForecast)
    assert isinstance(model.wear, WearClusters)
    assert model.wear.clusters == 3
    assert model.extractor() is not None


# What a history and a forecast may hold


def test_a_history_holds_the_past_only() -> None:
    past = wearing(100, seed=0).until(60)
    assert past.age <= 60
    assert past.level is None
    assert past.end is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time": np.array([0.0, 2.0, 2.0])}, "sequence a: times do not ascend"),
        ({"time": np.arange(2.0)}, r"sequence a: time \(T,\)"),
        ({"level": np.arange(2.0)}, r"sequence a: time \(T,\)"),
        ({"feature": np.array([[0], [np.nan], [0]], np.float32)}, "the feature of frame 1 is not finite"),
        ({"end": 2.5}, "crossed at 2.5 h, outside 0 to 2 h"),
    ],
)
def test_a_history_that_does_not_fit_together_is_refused(changes: dict[str, Any], message: str) -> None:
    good = History("a", np.arange(3.0), np.zeros((3, 1), np.float32), np.zeros(3), 2.0)
    with pytest.raises(ValueError, match=message):
        replace(good, **changes)


@pytest.mark.parametrize("numbers", [(np.inf, 0, np.inf), (np.nan, 0, 1), (1, 2, 3), (-1, -1, 3)])
def test_a_forecast_is_finite_and_in_order(numbers: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="a forecast needs finite"):
        Forecast(*numbers)
