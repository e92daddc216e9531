"""Gearbox parts on their way to a second life (Bauer et al., arXiv 2511.15440), read as an explicit mapping says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

import pandas as pd
import yaml

from reshift.datamodules.dataset import DataError, Dataset, Reader
from reshift.datamodules.image_cache import content_hashes
from reshift.datamodules.image_file import IMAGE_SUFFIXES
from reshift.datamodules.source import NOT_STATED, Source
from reshift.splits.samples import DEFECTIVE, GOOD, validate_table

NEEDED = ("component", "transmission", "part", "acquisition", "label")
OPTIONAL = ("defect", "view")
KEYS = ("csv", "image", "labels", *NEEDED, *OPTIONAL)

LABELS = {"good": GOOD, "defective": DEFECTIVE}

TEMPLATE = """\
transmission: {level: 1}      # the first folder below the root; null where the release does not say
component: {level: 2}
part: [{level: 1}, {level: 3}]      # several, joined with '/', where one alone is not unique
acquisition: {level: 4}
label: {level: 5}
labels: {OK: good, nOK: defective}
# csv: parts.csv       # then {column: name} instead of {level: 1}, and
# image: file          # the column that holds the path of the picture below the root
# defect, view: optional, as above"""

_SHOWN = 6


@dataclass(frozen=True)
class Origin:
    """Where a value stands: a folder level, counted from 1 below the root, or a column of the CSV."""

    kind: Literal["level", "column"]
    key: int | str


@dataclass(frozen=True)
class Mapping:
    """A mapping file: columns of the sample table -> where their values stand (none: the release does not say)."""

    path: Path
    origins: dict[str, tuple[Origin, ...]]
    labels: dict[str, int]
    csv: str
    image: str


class GearboxRemanufacturing(Reader):
    """Used gearbox parts from two product lines, judged fit for reuse or not (Bauer et al. 2025).

    The Kaggle release of arXiv 2511.15440: patches of 128 x 128 pixels, OK or nOK. Its folders and columns are
    documented nowhere, so nothing is guessed: a YAML file says which folder level, or which column of a named CSV,
    holds the component, transmission, part, acquisition (the side of the part or the like), label, and if wanted defect
    and view; and which words mean good and defective. `TEMPLATE` shows all keys. What only file names say has to be
    written into a CSV first. The transmission is the real product line.

    A good image has no defect: what the mapped column says for it is dropped. The notes set what was understood
    against the published numbers; they should agree before a board is believed.

    Args:
        root: the folder that holds the pictures.
        mapping: the YAML file; `mapping.yaml` below the root by default.
    """

    name: ClassVar[str] = "gearbox_remanufacturing"
    version: ClassVar[int] = 1
    source: ClassVar[Source | None] = Source(
        address="https://www.kaggle.com/datasets/jhnnsbr/gearboxcomponents-remanufacturing-inspection",
        licence=f"{NOT_STATED}; see that page",
        size=f"15,588 pictures of 128 x 128 pixels; download size {NOT_STATED}",
        get="download and unpack the archive from that page, then write mapping.yaml into its folder "
        "(without one, the reader shows a template and the folders it found)",
        verify="reshift check-data reports 15588 images of 46 parts; good 8334, defective 7254; and by its notes "
        "19 parts of the automatic and 27 of the manual transmission",
    )

    def __init__(self, root: Path, mapping: Path | None = None) -> None:
        self.root = Path(root)
        self.mapping = self.root / "mapping.yaml" if mapping is None else Path(mapping)

    def read(self) -> Dataset:
        """Build the table; every image file is read once for its content hash.

        Raises:
            DataError: no pictures, no mapping file (the message then shows a template and what was found), a mapping
                that is wrong or does not fit the pictures.
        """
        pictures = self._pictures()
        if not self.mapping.is_file():
            raise DataError(self._invitation(pictures))
        mapping = read_mapping(self.mapping)
        rows = self._rows(mapping) if mapping.csv else pd.DataFrame({"sample": pictures})
        table = pd.DataFrame({"sample": rows["sample"]})
        for column, origins in mapping.origins.items():
            if origins:
                table[column] = self._values(mapping, column, origins, rows)
        table["label"] = self._labels(mapping, table["label"])
        if "defect" in table:
            table["defect"] = table["defect"].where(table["label"] == DEFECTIVE, "")
        table = validate_table(table, str(mapping.path))
        table["content"] = content_hashes(self.root, table["sample"], self.name)
        unlisted = len(set(pictures) - set(table["sample"]))
        notes = list(_understood(table))
        if unlisted:
            notes.append(f"{unlisted} pictures that {mapping.csv} does not name are left out.")
        if not mapping.origins["part"]:
            notes.append("Parts: one per image, assumed.")
        return Dataset(
            name=self.name,
            version=self.version,
            root=self.root,
            table=table,
            parts="given" if mapping.origins["part"] else "assumed",
            notes=tuple(notes),
        )

    def _pictures(self) -> list[str]:
        paths = [path.relative_to(self.root) for path in self.root.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES]
        shown = sorted(path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))
        if not shown:
            raise DataError(f"{self.root}: holds no picture; give the folder into which the release was unpacked")
        return shown

    def _rows(self, mapping: Mapping) -> pd.DataFrame:
        """Rows of the CSV, with the pictures they name as `sample`."""
        path = self.root / mapping.csv
        try:
            rows = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        except OSError as error:
            raise DataError(f"{mapping.path}, key csv: {path} cannot be read ({error.strerror}); correct it") from error
        except ValueError as error:  # pandas' parser and decoding errors are ValueErrors
            raise DataError(f"{path}: is no UTF-8 CSV ({' '.join(str(error).split())}); save it as one") from error
        wanted = {"image": (Origin("column", mapping.image),), **mapping.origins}
        for key, origins in wanted.items():
            for origin in origins:
                if origin.kind == "column" and origin.key not in rows:
                    found = ", ".join(map(str, rows.columns))
                    raise DataError(f"{mapping.path}, key {key}: {path} has no column {origin.key!r}; it has {found}")
        for number, picture in enumerate(rows[mapping.image], start=1):
            if not picture or not (self.root / picture).is_file():
                raise DataError(
                    f"{path}, row {number}, column {mapping.image}: {picture!r} is no file below {self.root}; "
                    f"write the path from there"
                )
        return rows.assign(sample=[PurePosixPath(picture).as_posix() for picture in rows[mapping.image]])

    def _values(self, mapping: Mapping, column: str, origins: tuple[Origin, ...], rows: pd.DataFrame) -> list[str]:
        pieces: list[list[str]] = []
        for origin in origins:
            if origin.kind == "column":
                pieces.append(rows[str(origin.key)].str.strip().tolist())
            else:
                pieces.append([self._folder(mapping, column, int(origin.key), sample) for sample in rows["sample"]])
        values = ["/".join(piece) for piece in zip(*pieces, strict=True)]
        if column in NEEDED:
            for row, piece in enumerate(zip(*pieces, strict=True)):
                if not all(piece):
                    raise DataError(
                        f"{self.root / mapping.csv}, row {row + 1}: has no {column} for {rows['sample'].iloc[row]!r}; "
                        f"fill it in"
                    )
        return values

    def _folder(self, mapping: Mapping, column: str, level: int, sample: str) -> str:
        folders = PurePosixPath(sample).parts[:-1]
        if level > len(folders):
            raise DataError(
                f"{mapping.path}, key {column}: level {level} is out of range for {sample!r}, which lies "
                f"{len(folders)} folders below {self.root}; name a level that every picture has"
            )
        return folders[level - 1]

    def _labels(self, mapping: Mapping, values: pd.Series) -> pd.Series:
        unknown = sorted(set(values) - set(mapping.labels))
        if unknown:
            raise DataError(
                f"{mapping.path}, key labels: says nothing of {', '.join(map(repr, unknown[:_SHOWN]))}; the values "
                f"found are {_some(sorted(set(values)))}; map each to good or defective"
            )
        return values.map(mapping.labels).astype("int64")

    def _invitation(self, pictures: list[str]) -> str:
        """What to say where there is no mapping: a template to fill in, and what there is to fill it with."""
        folders = [PurePosixPath(picture).parts[:-1] for picture in pictures]
        levels = [
            f"level {level + 1}: {_some(sorted({names[level] for names in folders if len(names) > level}))}"
            for level in range(max(map(len, folders)))
        ]
        tables = sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*.csv"))
        return "\n".join(
            (
                f"{self.mapping}: no such mapping file; write one that says what the folders or columns mean:",
                TEMPLATE,
                f"Found {len(pictures)} pictures, such as {pictures[0]}",
                *(levels or ["no folders: all pictures lie in the root"]),
                f"CSV files: {', '.join(tables[:_SHOWN]) or 'none'}",
            )
        )


def read_mapping(path: Path) -> Mapping:
    """Read and check a mapping file.

    Raises:
        DataError: not YAML, an unknown or missing key, or a value of the wrong form; names the key.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is no YAML ({' '.join(str(error).split())}); correct it") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected keys with values, such as 'component: {{level: 1}}'; found {content!r}")
    unknown = [key for key in content if key not in KEYS]
    if unknown:
        raise DataError(f"{path}: key {unknown[0]!r} is unknown; there are {', '.join(KEYS)}")
    for key in (*NEEDED, "labels"):
        if key not in content:
            raise DataError(f"{path}: needs the key '{key}'; write null for what the release does not say")
    origins = {key: _origins(path, key, content.get(key)) for key in (*NEEDED, *OPTIONAL)}
    if not origins["label"]:
        raise DataError(f"{path}, key label: is empty; without labels there is nothing to learn, so name a level")
    for key in ("csv", "image"):
        if key in content and not (isinstance(content[key], str) and content[key]):
            raise DataError(f"{path}, key {key}: {content[key]!r} is no name; write the name of a file or column")
    csv, image = content.get("csv", ""), content.get("image", "")
    if bool(csv) != bool(image):
        raise DataError(f"{path}: csv and image go together: a file, and its column with the paths of the pictures")
    columned = [key for key, found in origins.items() if any(origin.kind == "column" for origin in found)]
    if columned and not csv:
        raise DataError(f"{path}, key {columned[0]}: names a column, but there is no csv; add the keys csv and image")
    return Mapping(path, origins, _label_words(path, content["labels"]), csv, image)


def _origins(path: Path, key: str, value: Any) -> tuple[Origin, ...]:
    if value is None:
        return ()
    found: list[Origin] = []
    for item in value if isinstance(value, list) and value else [value]:
        match item:
            case {"level": int(level), **rest} if not rest and not isinstance(level, bool) and level >= 1:
                found.append(Origin("level", level))
            case {"column": str(column), **rest} if not rest and column:
                found.append(Origin("column", column))
            case _:
                raise DataError(
                    f"{path}, key {key}: {item!r} says no place; write {{level: N}} with N from 1, {{column: name}}, "
                    f"a list of these, or null"
                )
    return tuple(found)


def _label_words(path: Path, value: Any) -> dict[str, int]:
    if not isinstance(value, dict) or not value:
        raise DataError(f"{path}, key labels: expected for example {{OK: good, nOK: defective}}; found {value!r}")
    for word, meaning in value.items():
        if isinstance(word, bool) or not isinstance(word, str | int):
            raise DataError(f"{path}, key labels: YAML reads {word!r} as no text; put the word into quotes")
        if meaning not in LABELS:
            raise DataError(f"{path}, key labels: {word!r} is mapped to {meaning!r}; write good or defective")
    return {str(word): LABELS[meaning] for word, meaning in value.items()}


def _understood(table: pd.DataFrame) -> tuple[str, str]:
    """What was read, against what Bauer et al. publish."""
    bad = int((table["label"] == DEFECTIVE).sum())
    parts = table.groupby("transmission")["part"].nunique()
    by_transmission = ", ".join(f"{name or 'not said'} {count}" for name, count in parts.items())
    return (
        f"Understood {len(table)} images of {table['part'].nunique()} parts (OK {len(table) - bad}, nOK {bad}); "
        f"published: 15,588 images of 46 parts (8,334 OK, 7,254 nOK).",
        f"Understood parts by transmission: {by_transmission}; "
        f"published: 19 of the BMW E36 automatic, 27 of the Mini R53 manual.",
    )


def _some(values: list[str]) -> str:
    more = f", ... {len(values)} in all" if len(values) > _SHOWN else ""
    return ", ".join(values[:_SHOWN]) + more
