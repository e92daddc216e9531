"""Corrected labels as an overlay: a versioned CSV on top of a data set whose files stay as they are."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from reshift.datamodules.dataset import DataError, Dataset
from reshift.datamodules.label_words import LABEL_WORDS
from reshift.splits.samples import GOOD

COLUMNS = ("sample", "new_label", "by", "date")
SUFFIX = "+corrected"


@dataclass(frozen=True)
class _Correction:
    row: int
    label: int
    by: str
    date: str
    when: datetime


def apply_corrections(dataset: Dataset, csv: Path) -> Dataset:
    """The data set with the labels of a corrections file, under the name `<name>+corrected`.

    The file is UTF-8 with a header and the columns `sample,new_label,by,date`; further columns are comments. Labels are
    the words a manifest takes (0, good, OK or 1, defective, nOK, NG, NK), dates are ISO, with or without a time; a time
    without a zone is UTC. The file is meant to grow: of several rows for one sample the newest date holds, so a
    correction is taken back by another row, never by deleting one. A row whose label, by and date are all empty was not
    looked at and says nothing, so that a list of suspicious labels can be filled in as far as one comes.

    A picture corrected to good loses its defect and its mask; one corrected to defective keeps the defect that the
    table names, which may be "", unknown. Everything else stays, so the table's fingerprint changes exactly when a
    label does. A note for the boards says how many labels were changed, by whom, and by which version of the file.

    Raises:
        DataError: no such file, no CSV, a missing column, a sample that the data set does not have, a word that is no
            label, a row that nobody answers for, a date that is none, or two rows for a sample with one newest date.
    """
    data = _bytes(csv)
    rows = _rows(data, csv)
    known = set(dataset.table["sample"])
    trail: dict[str, list[_Correction]] = {}
    for row, (sample, word, by, date) in enumerate(rows.itertuples(index=False), start=1):
        if sample not in known:
            raise DataError(
                f"{csv}, row {row}, column sample: {sample!r} is no picture of {dataset.name}; it has "
                f"{dataset.table['sample'].iloc[0]!r} and {len(known) - 1} more; correct the row or remove it"
            )
        if not (word or by or date):
            continue
        if not by:
            raise DataError(f"{csv}, row {row}, column by: is empty; say who answers for the label")
        found = _Correction(row, _label(word, csv, row), by, date, _moment(date, csv, row))
        trail.setdefault(sample, []).append(found)
    newest = {sample: _newest(found, sample, csv) for sample, found in trail.items()}
    return _corrected(dataset, newest, f"{csv.name} (sha256 {hashlib.sha256(data).hexdigest()[:12]})")


def is_filled_in(csv: Path) -> bool:
    """Whether any row of a corrections file says something, however little of it.

    Raises:
        DataError: as `apply_corrections` for a file that is none.
    """
    rows = _rows(_bytes(csv), csv)
    return bool((rows.drop(columns="sample") != "").any(axis=None))


def _newest(trail: list[_Correction], sample: str, csv: Path) -> _Correction:
    *_, last = ordered = sorted(trail, key=lambda found: found.when)
    if len(ordered) > 1 and ordered[-2].when == last.when:
        raise DataError(
            f"{csv}, row {last.row}, column date: {sample!r} has the date {last.date!r} in row {ordered[-2].row} too, "
            f"so neither is the newest; add a time, or keep one of the rows"
        )
    return last


def _corrected(dataset: Dataset, newest: dict[str, _Correction], source: str) -> Dataset:
    table = dataset.table.copy()
    old = dict(zip(table["sample"], table["label"].tolist(), strict=True))
    changed = {sample: found for sample, found in newest.items() if found.label != old[sample]}
    table["label"] = [changed[s].label if s in changed else old[s] for s in table["sample"]]
    cleared = table["sample"].isin([sample for sample, found in changed.items() if found.label == GOOD])
    for column in {"defect", "mask"} & set(table.columns):
        table.loc[cleared, column] = ""
    note = f"Labels: {len(changed)} corrected by {source}"
    if changed:
        people = Counter(found.by for found in changed.values())
        last = max(changed.values(), key=lambda found: found.when)
        note += f", {', '.join(f'{count} by {by}' for by, count in sorted(people.items()))}, newest {last.date}"
    if len(newest) > len(changed):
        note += f"; {len(newest) - len(changed)} looked at and left as they were"
    return replace(dataset, name=dataset.name + SUFFIX, table=table, notes=(*dataset.notes, f"{note}."))


def _bytes(csv: Path) -> bytes:
    try:
        return csv.read_bytes()
    except OSError as error:
        raise DataError(f"{csv}: cannot be read ({error.strerror}); check the path of the corrections") from error


def _rows(data: bytes, csv: Path) -> pd.DataFrame:
    try:
        rows = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except ValueError as error:  # parser and encoding errors are ValueErrors
        reason = " ".join(str(error).split())
        raise DataError(f"{csv}: is no UTF-8 CSV ({reason}); save it as one, with {','.join(COLUMNS)}") from error
    rows.columns = rows.columns.str.strip()
    for column in COLUMNS:
        if column not in rows:
            found = ", ".join(map(str, rows.columns))
            raise DataError(f"{csv}: no column '{column}'; found {found}; a corrections file has {','.join(COLUMNS)}")
    return pd.DataFrame({column: rows[column].str.strip() for column in COLUMNS})


def _label(word: str, csv: Path, row: int) -> int:
    if word.lower() not in LABEL_WORDS:
        raise DataError(
            f"{csv}, row {row}, column new_label: {word!r} is no label; write 0, good or OK, or 1, defective, nOK, NG "
            f"or NK"
        )
    return LABEL_WORDS[word.lower()]


def _moment(date: str, csv: Path, row: int) -> datetime:
    try:
        when = datetime.fromisoformat(date)
    except ValueError as error:
        raise DataError(f"{csv}, row {row}, column date: {date!r} is no ISO date; write it like 2026-01-31") from error
    return when if when.tzinfo else when.replace(tzinfo=UTC)
