"""The canary of prognosis: a forecast knows neither the other tested sequences nor what its own will still show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_cells import one_thread
from small_world import write_picture

from reshift.benchmark.planning import make_plan
from reshift.benchmark.preset import Preset, parse_preset
from reshift.benchmark.prognosis_cell import compute_prognosis
from reshift.benchmark.world import World

SEQUENCES, MOMENTS, LIMIT, HALF = 12, 10, 1.0, 5

SMALL = {"backbone": "test_resnet", "weights": "none", "stages": [2], "scales": [1.0]}
LINEAR = {"class_path": "reshift.models.trend_forecast.TrendForecast", "init_args": {"curve": "linear"}}
PROCESS = {"class_path": "reshift.models.gaussian_process_forecast.GaussianProcessForecast", "init_args": {"draws": 20}}
REGRESSION = {"class_path": "reshift.models.level_regression.LevelRegression"}
DISTANCE = {"class_path": "reshift.models.healthy_distance.HealthyDistance", "init_args": {"start": 3}}
RECONSTRUCTION = {"class_path": "reshift.models.reconstruction_error.ReconstructionError", "init_args": {"start": 3}}
CLUSTERS = {"class_path": "reshift.models.wear_clusters.WearClusters", "init_args": {"clusters": 3, "start": 3}}
ROWS: dict[str, dict[str, Any]] = {
    "mean_life": {"use": "mean_life"},
    **{
        name: {"use": "index_forecast", "args": {**SMALL, "wear": wear, "forecaster": forecaster}}
        for name, wear, forecaster in (
            ("regression, linear", REGRESSION, LINEAR),
            ("regression, Gaussian process", REGRESSION, PROCESS),
            ("distance, linear", DISTANCE, LINEAR),
            ("reconstruction, linear", RECONSTRUCTION, LINEAR),
            ("clusters, linear", CLUSTERS, LINEAR),
        )
    },
}

LEAKY = """
import numpy as np
from reshift.models.prognosis import Forecast, Prognosis

class Adapting(Prognosis):
    '''Learns from the sequences it is tested on.'''

    def fit(self, sequences, limit):
        self.ages = []

    def index(self, history):
        return np.zeros(len(history.time))

    def forecast(self, history):
        self.ages.append(history.age)
        return Forecast(np.mean(self.ages), 0.0, max(self.ages))
"""


def write_sequences(folder: Path) -> pd.DataFrame:
    """Runs that darken as they wear, at a pace of their own, and a `parts.csv`; its rows."""
    rows = []
    for number in range(SEQUENCES):
        draw, pace = np.random.default_rng(number), 6 + number % 4
        for moment in range(MOMENTS):
            name = f"s{number:02d}_{moment:02d}.png"
            write_picture(folder / name, draw.normal(180 - 120 * moment / pace, 8, (32, 32, 3)))
            level = moment / pace
            rows.append((name, int(level >= LIMIT), f"s{number:02d}", f"s{number:02d}", moment * 3600, f"{level:.3f}"))
    frame = pd.DataFrame(rows, columns=["image", "label", "part", "sequence", "time", "level"])
    frame.to_csv(folder / "parts.csv", index=False)
    return frame


def forecasts(folder: Path, model: str, spec: dict[str, Any]) -> pd.DataFrame:
    """The forecasts of the one fold of a model, indexed by sequence and time."""
    preset = small_preset(folder, {"name": model, **spec})
    (cell,) = make_plan(preset, "small").cells
    _, found = compute_prognosis(cell, World(preset), "cpu")
    return found.set_index(["sequence", "time"]).sort_index()


def small_preset(folder: Path, row: dict[str, Any]) -> Preset:
    return parse_preset(
        {
            "description": "one method of prognosis: for tests",
            "datasets": [{"use": "manifest", "args": {"csv": str(folder / "parts.csv")}}],
            "protocols": [{"use": "unseen_sequence", "args": {"folds": 3, "folds_used": 1}}],
            "prognoses": [row],
            "limit": LIMIT,
            "size": 32,
            "seeds": [0],
        },
        "small cells",
    )


class Worlds:
    """Two worlds: in the other one, tested sequences wear otherwise but for the first half of one of them."""

    def __init__(self, folder: Path) -> None:
        self.same, self.other = folder / "same", folder / "other"
        self.leaky = folder / "leaky.py"
        self.leaky.write_text(LEAKY, encoding="utf-8")
        frame = write_sequences(self.same)
        write_sequences(self.other)
        place = next(World(small_preset(self.same, {"use": "mean_life"})).places())
        tested = sorted({sample.partition("_")[0] for sample in place.boards[0].splits[0].test})
        self.kept = tested[-1]
        strangers, later = frame["sequence"].isin(tested[:-1]), frame["time"] > (HALF - 1) * 3600
        draw = np.random.default_rng(7)
        for name in frame.loc[strangers | ((frame["sequence"] == self.kept) & later), "image"]:
            write_picture(self.other / name, draw.uniform(0, 255, (32, 32, 3)))
        # They end as they did, sooner by the clock: which labels a sequence has decides on the fold.
        frame.loc[strangers, "time"] = frame.loc[strangers, "time"] // 2
        frame.to_csv(self.other / "parts.csv", index=False)

    def both(self, model: str, spec: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
        return forecasts(self.same, model, spec), forecasts(self.other, model, spec)

    def known(self, found: pd.DataFrame) -> pd.DataFrame:
        """What was forecast of the kept sequence in its first half."""
        rows = found.loc[[self.kept]]
        return rows[rows.index.get_level_values("time") < HALF]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    with one_thread():
        yield Worlds(tmp_path_factory.mktemp("canary"))


@pytest.mark.parametrize("model", ROWS)
def test_a_forecast_knows_what_was_seen_and_nothing_else(worlds: Worlds, model: str) -> None:
    before, after = worlds.both(model, ROWS[model])
    assert len(worlds.known(before)) == HALF
    pd.testing.assert_frame_equal(worlds.known(before), worlds.known(after), check_exact=True)
    others = [found.drop(worlds.kept)["predicted"].tolist() for found in (before, after)]
    assert others[0] != others[1], "the other sequences should be forecast otherwise"


def test_a_method_that_adapts_to_the_test_is_caught(worlds: Worlds) -> None:
    before, after = worlds.both("leaky", {"use": f"{worlds.leaky}:Adapting"})
    assert not worlds.known(before)["predicted"].equals(worlds.known(after)["predicted"])
