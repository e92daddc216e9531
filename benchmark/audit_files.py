"""What an audit of labels leaves behind: all of them by suspicion as a corrections file, and a contact sheet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from reshift.datamodules.audit_sheet import audit_sheet
from reshift.datamodules.corrections import is_filled_in
from reshift.datamodules.dataset import DataError, Dataset
from reshift.results.atomic_write import write_atomically
from reshift.results.csv_bytes import csv_bytes
from reshift.splits.samples import DEFECTIVE, GOOD

AUDIT_FILE, SHEET_FILE = "audit.csv", "sheet.png"
_WORD = {GOOD: "good", DEFECTIVE: "defective"}


def check_free(folder: Path) -> None:
    """Nothing, unless the folder holds an audit that somebody has begun to fill in.

    Raises:
        DataError: it does, or holds another file of that name.
    """
    file = folder / AUDIT_FILE
    if file.exists() and is_filled_in(file):
        raise DataError(f"{file}: somebody has filled in rows of it; give another folder with --out, or move it away")


def audit_table(dataset: Dataset, by_model: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """All labels of a data set, most suspicious first, with empty columns for those who look at them again.

    Several models are combined by their mean rank, as a share of the labels each of them judged; equal ones stand by
    name, labels that no model judged at the end.

    Args:
        by_model: as `LabelAudit.of_images` returns it, by the model's name.

    Returns:
        `rank`, `sample`, `part`, `view`, `component`, `label` (as observed, a word), `suggested` (the other word where
        most models that flag labels flagged this one), then `suspicion:MODEL`, `spread:MODEL` and `rank:MODEL` of every
        model, then `new_label`, `by` and `date`, empty: a file for `datamodules.corrections` once filled in.
    """
    table = (
        dataset.table[["sample", "part", "view", "component", "label"]]
        .set_index("sample", drop=False)
        .rename_axis(None)
    )
    flags = pd.concat([found["flagged"].astype("Float64") for found in by_model.values()], axis=1)
    flagged = (flags.mean(axis=1) > 0.5).fillna(False).astype(bool)
    other = table["label"].map({GOOD: _WORD[DEFECTIVE], DEFECTIVE: _WORD[GOOD]})
    frame = table.assign(label=table["label"].map(_WORD), suggested=other.where(flagged, ""))
    for name, found in by_model.items():
        for column in ("suspicion", "spread", "rank"):
            frame[f"{column}:{name}"] = found[column].astype(float)
    shares = [found["rank"].astype(float) / found["rank"].notna().sum() for found in by_model.values()]
    frame = frame.assign(order=pd.concat(shares, axis=1).mean(axis=1)).sort_values(["order", "sample"])
    frame.insert(0, "rank", np.arange(1, len(frame) + 1))
    return frame.drop(columns="order").assign(new_label="", by="", date="").reset_index(drop=True)


def write_audit(dataset: Dataset, table: pd.DataFrame, folder: Path, sheet: int) -> None:
    """Put the table and a sheet of its first `sheet` pictures into the folder, which is made where it is missing.

    Raises:
        DataError: see `check_free`, or a picture cannot be read.
    """
    check_free(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [[None if value != value else value for value in row] for row in table.itertuples(index=False)]
    write_atomically(folder / AUDIT_FILE, csv_bytes(table.columns, lines))
    audit_sheet(dataset, table["sample"].tolist()[:sheet]).save(folder / SHEET_FILE)


def audit_lines(dataset: Dataset, table: pd.DataFrame, folder: Path) -> list[str]:
    """What was found, for a terminal."""
    counts = ", ".join(f"{count} {word}" for word, count in table["label"].value_counts().sort_index().items())
    first = ", ".join(f"{row.sample} ({row.label})" for row in table.head(3).itertuples())
    flagged = int((table["suggested"] != "").sum())
    wrong = [f"  confident learning takes {flagged} of them for wrong: column suggested"] if flagged else []
    return [
        f"{dataset.name}: {len(table)} labels judged ({counts}); most suspicious: {first}",
        *wrong,
        f"  {folder / AUDIT_FILE}: fill in new_label, by and date where you looked; rows left empty say nothing",
        f"  {folder / SHEET_FILE}: the first of them as pictures",
        "  picked by suspicion, not at random: the share you find wrong is no estimate for the other labels",
    ]
