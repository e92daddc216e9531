"""Any pictures described by a CSV."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import ClassVar

import pandas as pd

from reshift.datamodules.dataset import DataError, Dataset, Parts, Reader
from reshift.datamodules.image_cache import content_hashes
from reshift.datamodules.label_words import LABEL_WORDS
from reshift.datamodules.source import Source
from reshift.splits.samples import validate_table

REQUIRED = ("image", "label")
AS_THEY_STAND = ("component", "defect", "transmission", "acquisition", "part", "view", "time", "sequence", "level")
OPTIONAL = (*AS_THEY_STAND, "mask", "split")
SPLITS = ("train", "val", "test", "")
_LONGEST_SHOWN, _LONGEST_NAME = 200, 500


class Manifest(Reader):
    """Your own pictures, listed in a CSV with the columns image and label and whatever else you know of them.

    Optional are `component,defect,transmission,acquisition,part,view,time,sequence,level,mask,split`; for their meaning
    see `splits.samples.validate_table`. `image` and `mask` are paths relative to `root`, with forward slashes. Labels
    are 0, good, OK or 1, defective, nOK, NG, NK, in any case. `transmission` is whatever the author of the CSV says it
    is. Without a `part` column every image counts as its own part, and boards say so.

    Args:
        csv: the file, UTF-8, with a header.
        root: the folder paths are relative to; the CSV's own by default.
        name: what boards call the data; the CSV's stem by default.
    """

    name: ClassVar[str] = "manifest"
    version: ClassVar[int] = 1
    source: ClassVar[Source | None] = Source(
        address="your own pictures",
        licence="yours to say",
        size="as many pictures as the CSV has rows",
        get="reshift manifest FOLDER drafts the CSV from a folder of pictures",
        verify="reshift check-data reports as many images as the CSV has rows, with the labels and parts you expect",
    )

    def __init__(self, csv: Path, root: Path | None = None, name: str | None = None) -> None:
        self.csv = Path(csv)
        self.root = self.csv.parent if root is None else Path(root)
        self.dataset_name = name or self.csv.stem

    def read(self) -> Dataset:
        """Build the table; every image file is read once for its content hash."""
        rows = self._rows()
        ignored = [column for column in rows.columns if column not in (*REQUIRED, *OPTIONAL)]
        notes = [f"Columns of {self.csv.name} that were ignored: {', '.join(ignored)}."] if ignored else []
        labels = self._labels(rows["label"])
        table = pd.DataFrame({"sample": self._paths(rows["image"], "image"), "label": labels})
        for column in AS_THEY_STAND:
            if column in rows:
                table[column] = rows[column]
        if "mask" in rows:
            table["mask"] = self._paths(rows["mask"], "mask")
        if "split" in rows:
            table["official_split"] = self._splits(rows["split"])
        table["content"] = content_hashes(self.root, table["sample"], self.dataset_name)
        nameless = int((table["part"] == "").sum()) if "part" in table else len(table)
        parts: Parts = "assumed" if nameless == len(table) else "given"
        if parts == "assumed":
            notes.append("Parts: one per image, assumed.")
        elif nameless:
            notes.append(f"Parts: {nameless} images without a part name count as parts of their own.")
        return Dataset(
            name=self.dataset_name,
            version=self.version,
            root=self.root,
            table=validate_table(table, str(self.csv)),
            parts=parts,
            notes=tuple(notes),
        )

    def _rows(self) -> pd.DataFrame:
        try:
            # Never unpacked by its name: a small file could hold any number of rows.
            rows = pd.read_csv(self.csv, dtype=str, keep_default_na=False, encoding="utf-8-sig", compression=None)
        except OSError as error:
            raise DataError(f"{self.csv}: cannot be read ({error.strerror}); check the path") from error
        except (ValueError, UnicodeDecodeError) as error:  # pandas' parser errors are ValueErrors
            reason = " ".join(str(error).split())
            raise DataError(f"{self.csv}: is no UTF-8 CSV ({reason}); save it as one, with a header") from error
        rows.columns = rows.columns.str.strip()
        if not isinstance(rows.index, pd.RangeIndex):
            raise DataError(f"{self.csv}: its rows have more fields than its header; name every column")
        if rows.columns.has_duplicates:
            twice = rows.columns[rows.columns.duplicated()][0]
            raise DataError(f"{self.csv}: column {_short(twice)} stands in the header twice; rename or drop one")
        for column in REQUIRED:
            if column not in rows:
                found = " ".join(", ".join(rows.columns).split()) or "nothing"
                raise DataError(f"{self.csv}: no column '{column}'; found {found[:_LONGEST_SHOWN]}; add or rename it")
        if rows.empty:
            raise DataError(f"{self.csv}: has a header and no row; list the images, or draft it: reshift manifest DIR")
        rows = rows.assign(**{c: rows[c].str.strip() for c in (*REQUIRED, *OPTIONAL) if c in rows})
        for column in AS_THEY_STAND:
            if column in rows and (rows[column].str.len() > _LONGEST_NAME).any():
                row = int((rows[column].str.len() > _LONGEST_NAME).to_numpy().argmax())
                raise DataError(
                    f"{self.csv}, row {row + 1}, column {column}: {_short(rows[column].iloc[row])} is longer than "
                    f"{_LONGEST_NAME} characters; look for a quote that is not closed, or shorten it"
                )
        return rows

    def _labels(self, values: pd.Series) -> list[int]:
        labels = []
        for row, value in enumerate(values, start=1):
            if value.lower() not in LABEL_WORDS:
                raise DataError(
                    f"{self.csv}, row {row}, column label: {_short(value)} is no label; "
                    f"write 0, good or OK, or 1, defective, nOK, NG or NK"
                )
            labels.append(LABEL_WORDS[value.lower()])
        return labels

    def _splits(self, values: pd.Series) -> list[str]:
        for row, value in enumerate(values, start=1):
            if value.lower() not in SPLITS:
                raise DataError(
                    f"{self.csv}, row {row}, column split: {_short(value)} is no split; "
                    f"write train, val or test, or nothing"
                )
        return [value.lower() for value in values]

    def _paths(self, values: pd.Series, column: str) -> list[str]:
        home = self.root.resolve()
        paths: list[str] = []
        first: dict[str, int] = {}
        for row, value in enumerate(values, start=1):
            where = f"{self.csv}, row {row}, column {column}: {_short(value)}"
            if column == "mask" and not value:
                paths.append("")
                continue
            pure = PurePosixPath(value)
            path = pure.as_posix()
            if not value or pure.is_absolute() or ".." in pure.parts or "\\" in value:
                raise DataError(
                    f"{where} is not a path below {self.root}; give it relative to that folder, with forward slashes "
                    f"and without '..', or name another root"
                )
            # Before the disk is asked: a million rows of one picture are refused at the second.
            if column == "image" and first.setdefault(path, row) != row:
                where = f"{self.csv}, row {row}, column {column}: {_short(path)}"
                raise DataError(f"{where} is listed in row {first[path]} already; keep one of the rows")
            if not _is_file(self.root / pure):
                raise DataError(f"{where} is no file below {self.root}; correct the path or remove the row")
            if not (self.root / pure).resolve().is_relative_to(home):
                raise DataError(
                    f"{where} is a link that leaves {self.root}; copy the file there, or name a root that holds both"
                )
            paths.append(path)
        return paths


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for the disk, a folder that may not be looked into
        return False


def _short(value: str) -> str:
    """A cell as a message shows it: one of a megabyte would bury what is wrong with it."""
    return repr(value) if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]!r}..."
