"""The scores file of a cell: one row an image or part, as a byte-stable npz without pickles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reshift.results.npz_file import by_name, npz_bytes, numbered, open_npz

TEXT_COLUMNS = ("sample", "part", "view", "role", "component", "defect", "transmission", "acquisition")
LABEL_COLUMNS = ("label", "observed_label")
ROLES = ("test", "val", "calibration")
PREFIX = "score:"

# The order in the file and in the frame that comes back.
COLUMNS = (
    "sample",
    "part",
    "view",
    "role",
    "label",
    "observed_label",
    "component",
    "defect",
    "transmission",
    "acquisition",
)


Columns = Mapping[str, NDArray[Any]]
"""Arrays of equal length by column: what numbers are made from, in a tenth of the time that a frame takes."""


def score_names(frame: pd.DataFrame) -> tuple[str, ...]:
    """Names of the scores a frame holds, without their prefix; the first is the headline."""
    return tuple(str(c).removeprefix(PREFIX) for c in frame.columns if str(c).startswith(PREFIX))


def encode_scores(scores: pd.DataFrame) -> bytes:
    """The npz bytes of a scores frame; the same rows in any order give the same bytes.

    Args:
        scores: `COLUMNS` (text, except `label` the truth and `observed_label`, both 0 or 1), then one float column a
            score, named `score:NAME`, higher = more defective, headline first. `role` is one of `ROLES`.

    Raises:
        ValueError: a missing column, no score, an unknown role, a label other than 0 or 1, a sample listed twice in a
            role, or a score that is not finite; the message names column and row.
    """
    names = score_names(scores)
    missing = [c for c in COLUMNS if c not in scores.columns]
    if missing or not names:
        lacking = missing or [f"{PREFIX}NAME"]
        raise ValueError(f"scores lack column(s) {lacking}; a scores frame has {list(COLUMNS)} and {PREFIX}... columns")
    _check(scores, names)
    ordered = scores.sort_values(["role", "sample"], ignore_index=True)
    arrays: dict[str, np.ndarray] = {}
    for column in COLUMNS:
        values = ordered[column].tolist()
        arrays[column] = np.array(values, dtype=np.int8 if column in LABEL_COLUMNS else np.str_)
    for name in names:
        column_values = ordered[PREFIX + name].to_numpy()
        kind = np.float32 if column_values.dtype == np.float32 else np.float64
        arrays[PREFIX + name] = column_values.astype(kind)
    return npz_bytes(numbered(arrays))


def decode_columns(content: bytes) -> Columns:
    """The columns of the frame that `encode_scores` was given, as they are stored; rows sorted by role and sample.

    Raises:
        ValueError: the bytes are not a scores file.
    """
    with open_npz(content, "scores") as archive:
        data = by_name(archive)
        _check_columns(data)
        return data


def decode_scores(content: bytes) -> pd.DataFrame:
    """The frame that `encode_scores` was given, rows sorted by role and sample.

    Raises:
        ValueError: the bytes are not a scores file.
    """
    data = decode_columns(content)
    frame = pd.DataFrame({c: v.astype(object) if v.dtype.kind == "U" else v for c, v in data.items()})
    for column in TEXT_COLUMNS:
        frame[column] = frame[column].astype(str)
    for column in LABEL_COLUMNS:
        frame[column] = frame[column].astype("int64")
    return frame


def _check_columns(data: Columns) -> None:
    """Raise ValueError unless every column is there, of its kind and of one length."""
    if missing := [column for column in COLUMNS if column not in data]:
        raise ValueError(f"it lacks column(s) {missing}")
    for column, values in data.items():
        kinds = "iu" if column in LABEL_COLUMNS else "U" if column in COLUMNS else "f"
        if values.dtype.kind not in kinds or values.shape != data["sample"].shape or values.ndim != 1:
            raise ValueError(f"column {column[:80]} is not one of its kind and length")


def _check(scores: pd.DataFrame, names: Sequence[str]) -> None:
    def first(bad: np.ndarray) -> str:
        return repr(str(scores["sample"].iloc[int(bad.argmax())]))

    if scores.empty:
        raise ValueError("scores frame has no rows; a cell scores at least its test set")
    role = ~scores["role"].isin(ROLES).to_numpy()
    if role.any():
        raise ValueError(f"column role, sample {first(role)}: not one of {list(ROLES)}")
    for column in LABEL_COLUMNS:
        wrong = ~scores[column].isin((0, 1)).to_numpy()
        if wrong.any():
            raise ValueError(f"column {column}, sample {first(wrong)}: neither 0 (good) nor 1 (defective)")
    # A part may be scored in both roles where a split breaks parts (random image), but only once in each.
    twice = scores.duplicated(["role", "sample"]).to_numpy()
    if twice.any():
        raise ValueError(f"column sample: {first(twice)} is listed twice in one role; keep one of the rows")
    for name in names:
        wrong = ~np.isfinite(scores[PREFIX + name].to_numpy(dtype=np.float64))
        if wrong.any():
            raise ValueError(
                f"column {PREFIX}{name}, sample {first(wrong)}: not a finite number ({int(wrong.sum())} of "
                f"{len(wrong)} rows); lower the learning rate or look at the model's score()"
            )
