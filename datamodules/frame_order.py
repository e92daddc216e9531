"""Whether pictures that follow each other look alike, as frames of one object do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reshift.datamodules.dataset import Dataset
from reshift.datamodules.survey import HASH_BITS, Survey

CLOSE = 0.05
"""A neighbour is close when it differs in fewer bits than all but this share of pictures far apart in the order."""

SUSPECT = 0.15
"""Share of close neighbours from which on the order seems to matter. Measured with one part an image: .82 on the
magnetic tiles (exposures of a tile follow each other), .43 on frames of a wearing screw, .04 to .05 on shuffled tiles,
0 on one view of rendered parts."""

FEWEST = 50
"""Neighbours below which nothing is said: of 50, 15 % are close by chance once in 300 times."""

_LAGS = 50
_SHORTEST = 8  # frames of a folder in which some are far apart


@dataclass(frozen=True)
class FrameOrder:
    """How many of the pictures that follow each other are close; `CLOSE` of them are by chance.

    Attributes:
        by: what orders them, "time" or "number".
    """

    by: str
    neighbours: int
    close: int

    @property
    def suspect(self) -> bool:
        """Whether neighbours seem to show one object."""
        return self.neighbours >= FEWEST and self.close > SUSPECT * self.neighbours


def frame_order(dataset: Dataset, survey: Survey) -> FrameOrder:
    """Compare each picture with the next of its folder, in order of `time` where given, else of the number in its name.

    Of several numbers in a name the one with most distinct values counts. Pictures without either are left out, and so
    are folders of fewer than 8.
    """
    table = dataset.table
    timed = "time" in table and bool((table["time"] != "").any())
    neighbours = close = 0
    for rows in _sequences(table, timed, np.abs(survey.hashes).max(axis=1) > 0):
        hashes = survey.hashes[rows].astype(np.int16)
        # A quarter of the sequence or more apart, round the end: enough for a quantile, without all N * N pairs.
        lags = np.unique(np.linspace(len(rows) / 4, len(rows) * 3 / 4, _LAGS).astype(int))
        others = np.concatenate([_bits(hashes, np.roll(hashes, -lag, axis=0)) for lag in lags])
        neighbours += len(rows) - 1
        close += int((_bits(hashes[:-1], hashes[1:]) < np.quantile(others, CLOSE)).sum())
    return FrameOrder("time" if timed else "number", neighbours, close)


def _sequences(table: pd.DataFrame, timed: bool, readable: NDArray[np.bool_]) -> Iterator[NDArray[np.intp]]:
    """Row numbers of each folder in order."""
    paths = [PurePosixPath(sample) for sample in table["sample"]]
    folders = pd.Series(range(len(paths))).groupby([str(path.parent) for path in paths])
    for _, members in folders:
        rows = members.to_numpy(dtype=np.intp)
        if timed:
            rows = rows[(table["time"].to_numpy()[rows] != "") & readable[rows]]
            times = table["time"].iloc[rows]
            numbers = pd.to_numeric(times, errors="coerce")
            key = (times.rank() if numbers.isna().any() else numbers).to_numpy(dtype=np.float64)
        else:
            rows = np.array([row for row in rows if readable[row] and re.search(r"\d", paths[row].stem)], dtype=np.intp)
            key = _running_number([paths[row].stem for row in rows])
        if len(rows) >= _SHORTEST:
            yield np.asarray(rows[np.argsort(key, kind="stable")])


def _running_number(stems: list[str]) -> NDArray[np.float64]:
    numbers = [[float(number) for number in re.findall(r"\d+", stem)] for stem in stems]
    width = min(map(len, numbers), default=0)
    columns = np.array([found[:width] for found in numbers], dtype=np.float64).reshape(len(numbers), width)
    most = max(range(width), key=lambda column: len(np.unique(columns[:, column])), default=0)
    return columns[:, most] if width else np.zeros(0)


def _bits(one: NDArray[np.int16], other: NDArray[np.int16]) -> NDArray[np.int64]:
    return np.asarray((HASH_BITS - (one * other).sum(axis=1)) // 2, dtype=np.int64)
