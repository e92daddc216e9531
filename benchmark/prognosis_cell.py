"""One cell of prognosis: learn from whole sequences, forecast the tested ones moment by moment."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from reshift.benchmark.catalog import build, full_arguments
from reshift.benchmark.cell_data import picture_features, purpose_seed, role_counts
from reshift.benchmark.circumstances import circumstances, told
from reshift.benchmark.cost import PeakMemory, Stopwatch
from reshift.benchmark.seeding import seed_everything
from reshift.benchmark.sequences import histories
from reshift.benchmark.world import World
from reshift.datamodules.dataset import Dataset
from reshift.models.prognosis import INTERVAL, History, Prognosis
from reshift.results.plan import PlannedCell
from reshift.results.record import Record

_log = logging.getLogger(__name__)

MOMENTS = 40
"""Most moments a tested sequence is forecast at, evenly spread over its pictures."""


def compute_prognosis(cell: PlannedCell, world: World, device: str) -> tuple[Record, pd.DataFrame]:
    """Train a prognosis method and forecast every tested sequence as if each of its moments were now.

    Validation sequences are learned from too: nothing is selected.

    Returns:
        The record without its scores pointer, and the forecasts frame of `results.forecast_file`.

    Raises:
        ValueError: sequences the method cannot learn from, or that cannot be built; see `histories`.
    """
    on = torch.device(device)
    around = circumstances(on)
    _log.info("%s", told(around))
    started, clock = datetime.now(UTC), time.monotonic()
    peak, training = PeakMemory(on), Stopwatch()
    spec, cls = next((s, c) for name, s, c in world.prognoses() if name == cell.model)
    place, limit = world.place(cell.dataset), float(cell.identity["limit"])
    split, table = place.split(cell.protocol, cell.split), place.dataset.table
    seed_everything(purpose_seed(cell.seed, "init"))
    method: Prognosis = build(cls, full_arguments(cls, spec.args, f"prognosis {cell.model}"))
    features = _features(method, place.dataset, world.preset.size, on)
    learned = histories(table, features, (*split.train, *split.val), limit)
    with training:
        method.fit(learned, limit)
    _log.info("learned from %d sequences in %.2f s", len(learned), training.seconds)
    tested = histories(table, features, split.test, limit)
    forecasts = pd.DataFrame([row for history in tested for row in _forecasts(method, history)])
    _log.info("forecast %d sequences at %d moments", len(tested), len(forecasts))
    record = Record.of(
        cell,
        unit="sequence",
        counts={**role_counts(split, table), "test_sequences": len(tested)},
        run={
            **around,
            "started": started.isoformat(),
            "seconds": time.monotonic() - clock,
            "training_seconds": training.seconds,
            **peak.read(),
        },
    )
    return record, forecasts


def _features(method: Prognosis, dataset: Dataset, size: int, device: torch.device) -> NDArray[np.float32]:
    extractor = method.extractor()
    if extractor is None:
        return np.zeros((len(dataset.table), 0), dtype=np.float32)
    return picture_features(dataset, size, extractor, device)


def _forecasts(method: Prognosis, history: History) -> Iterator[dict[str, Any]]:
    """A row a moment before the end; only what was known then is handed to the method."""
    assert history.level is not None
    running = np.flatnonzero(history.time < history.followed)
    chosen = np.unique(np.linspace(0, len(running) - 1, min(MOMENTS, len(running))).round().astype(int))
    censored = history.end is None
    for frame in running[chosen]:
        now = float(history.time[frame])
        known = history.until(now)
        forecast = method.forecast(known)
        left = history.followed - now
        yield {
            "sequence": history.sequence,
            "role": "test",
            "time": now,
            "index": float(method.index(known)[-1]),
            "level": float(history.level[frame]),
            "remaining": np.nan if censored else left,
            "censored": int(censored),
            "observed": left if censored else np.nan,
            "predicted": forecast.remaining,
            "low": forecast.low,
            "high": forecast.high,
            "capped": int(forecast.capped),
            "confidence": INTERVAL,
        }
