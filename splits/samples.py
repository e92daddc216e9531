"""The sample table: one row an image, the only thing protocols read."""

from __future__ import annotations

import hashlib
import math
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

TEXT_COLUMNS = ("component", "defect", "transmission", "acquisition", "part", "view")
OPTIONAL_COLUMNS = ("mask", "time", "sequence", "level", "official_split", "content")
COLUMNS = ("sample", "label", *TEXT_COLUMNS)

GOOD, DEFECTIVE = 0, 1


class TableError(ValueError):
    """A sample table that cannot be trusted; the message names file, row, column and remedy."""


def validate_table(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return the table with canonical columns, types and row order, or say what is wrong with it.

    Args:
        table: must hold `sample` (relative posix path, unique) and `label` (0 good, 1 defective); the text
            columns default to "" (unknown), except `part`, which defaults to the sample itself.
        source: the file or folder the table came from, for the messages.

    Returns:
        A new frame sorted by `sample`; text columns are `str` without missing values, `label` is int64.
        Optional columns are kept when present, any other column is dropped. Two of them describe wear over `time`:
        `sequence` names the run from new (or repaired) to the next repair or failure that a sample belongs to, e.g. a
        mould between two maintenances; `level` is how far degradation had come at that sample, measured or true, a
        finite number as text in any unit that holds for the whole data set. "" is unknown, as everywhere.

    Raises:
        TableError: no rows, a missing column, a label other than 0 or 1, a duplicate or escaping path, a level that
            is no finite number, a part with two components or transmissions.
    """
    for column in ("sample", "label"):
        if column not in table.columns:
            raise TableError(f"{source}: no column '{column}'; found {sorted(map(str, table.columns))}; add it")
    if table.empty:
        raise TableError(f"{source}: the table has no rows; check that the folder or file holds images")
    kept = [c for c in (*COLUMNS, *OPTIONAL_COLUMNS) if c in table.columns]
    clean = table[kept].copy().reset_index(drop=True)
    for row, value in enumerate(clean["label"].tolist()):
        if isinstance(value, bool) or value not in (GOOD, DEFECTIVE):
            raise TableError(f"{source}, row {row + 1}, column label: {value!r} is neither 0 (good) nor 1 (defective)")
    clean["label"] = clean["label"].astype("int64")
    for column in kept:
        if column != "label":
            clean[column] = _texts(clean[column])
    for column in ("sample", "mask"):
        if column in clean:
            _check_paths(clean[column].tolist(), column, source)
    if "level" in clean:
        _check_levels(clean["level"].tolist(), source)
    twice = clean["sample"].duplicated()
    if twice.any():
        row = int(twice.to_numpy().argmax())
        path = clean["sample"].iloc[row]
        raise TableError(f"{source}, row {row + 1}, column sample: {path!r} is listed twice; keep one of the rows")
    for column in TEXT_COLUMNS:
        if column not in clean:
            clean[column] = ""
    clean["part"] = clean["part"].where(clean["part"] != "", clean["sample"])
    for column in ("component", "transmission"):
        torn = _torn_parts(clean, column)
        if torn:
            part = min(torn)
            found = sorted(clean.loc[clean["part"] == part, column].unique())
            raise TableError(
                f"{source}, column {column}: part {part!r} has {found}; a part is one object with one {column}, "
                f"so correct the column or give the objects different part names"
            )
    order = [*COLUMNS, *(c for c in OPTIONAL_COLUMNS if c in clean)]
    clean = clean[order]
    samples = clean["sample"].tolist()
    # Python's sort knows texts, and uses what order there is: a reader's rows mostly come folder by folder.
    return clean.take(sorted(range(len(samples)), key=samples.__getitem__)).reset_index(drop=True)


def part_labels(table: pd.DataFrame) -> pd.Series:
    """Label of every part, indexed by part and sorted: defective if any of its samples is."""
    return table.groupby("part", sort=True)["label"].max()


def fingerprint(table: pd.DataFrame) -> str:
    """Sha256 over every cell of the table, the content hashes included; row order does not matter."""
    ordered = table.sort_values("sample", ignore_index=True)
    digest = hashlib.sha256()
    for column in sorted(map(str, ordered.columns)):
        digest.update(f"{column}\x1e".encode())
        digest.update("\x1f".join(map(str, ordered[column].tolist())).encode())
        digest.update(b"\x1d")
    return digest.hexdigest()


def _texts(values: pd.Series) -> pd.Series:
    """The values as text, "" where there is none."""
    return values if values.dtype == "str" and not values.hasnans else values.fillna("").astype(str)


def _torn_parts(table: pd.DataFrame, column: str) -> set[str]:
    """Parts with more than one value of a column."""
    part, names = pd.factorize(table["part"])
    value, _ = pd.factorize(table[column])
    one = np.empty(len(names), dtype=np.int64)
    one[part] = value
    return set(map(str, names[np.unique(part[one[part] != value])]))


def _check_paths(paths: list[str], column: str, source: str) -> None:
    for row, path in enumerate(paths):
        if column == "mask" and not path:
            continue
        if path[:1] not in ("", "/") and ".." not in path and "\\" not in path:
            continue  # what nearly every path is, told without taking it apart
        pure = PurePosixPath(path)
        if not path or pure.is_absolute() or ".." in pure.parts or "\\" in path:
            raise TableError(
                f"{source}, row {row + 1}, column {column}: {path!r} is not a path below the data folder; "
                f"give it relative to that folder, with forward slashes and without '..'"
            )


def _check_levels(levels: list[str], source: str) -> None:
    for row, level in enumerate(levels):
        try:
            known = not level or math.isfinite(float(level))
        except ValueError:
            known = False
        if not known:
            raise TableError(
                f"{source}, row {row + 1}, column level: {level!r} is no finite number; "
                f"write the degradation at that sample as one, or nothing where it is unknown"
            )
