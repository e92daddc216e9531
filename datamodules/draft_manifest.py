"""A first manifest for a stranger's folder, with every inference said aloud."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path, PurePosixPath

import pandas as pd

from reshift.datamodules.dataset import DataError
from reshift.datamodules.image_file import IMAGE_SUFFIXES
from reshift.datamodules.label_words import DEFECTIVE_FOLDERS, GOOD_FOLDERS, LABEL_WORDS
from reshift.datamodules.manifest import OPTIONAL, REQUIRED
from reshift.datamodules.mask_files import mask_files
from reshift.datamodules.path_pattern import compile_pattern
from reshift.splits.samples import GOOD

SPLIT_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def draft_manifest(folder: Path, pattern: str | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Draft the CSV that `Manifest` reads, from folder names or from a pattern of the relative paths.

    Args:
        folder: searched to the bottom; hidden files and folders are passed over.
        pattern: for example `{label}/{component}/{part}_{view}.png`; `*` matches anything within a name.

    Returns:
        The table (paths relative to `folder`; labels "good", "defective", or "" where they could not be told) and
        what was understood, line by line.

    Raises:
        DataError: no folder, no image, a wrong pattern, or one that no image matches.
    """
    folder = Path(folder)
    paths = _images(folder)
    masks, report = mask_files(folder, paths)
    images = [path for path in paths if path not in masks]
    report.insert(0, f"{folder}: {len(images)} images, {len(masks)} masks")
    rows = _from_folders(images, report) if pattern is None else _from_pattern(images, pattern, report)
    mask_of = {image: mask for mask, image in sorted(masks.items(), reverse=True)}
    for row in rows:
        mask = mask_of.get(PurePosixPath(row["image"]))
        if mask is not None:
            row["mask"] = mask.as_posix()
    table = pd.DataFrame(rows).fillna("")
    table = table[[column for column in (*REQUIRED, *OPTIONAL) if column in table]]
    for column in table.columns:
        if column not in ("image", "mask"):
            report.append(_counted(column, table[column].tolist()))
    if "part" not in table:
        report.append("part: not told, so every image counts as its own part; name it in a pattern if one has several")
    return table, report


def _images(folder: Path) -> list[PurePosixPath]:
    if not folder.is_dir():
        raise DataError(f"{folder}: is no folder; give the one that holds the images")
    paths = sorted(
        PurePosixPath(path.relative_to(folder).as_posix())
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
    )
    paths = [path for path in paths if not any(part.startswith(".") for part in path.parts)]
    if not paths:
        raise DataError(f"{folder}: holds no image; looked for {', '.join(IMAGE_SUFFIXES)}")
    return paths


def _from_folders(images: list[PurePosixPath], report: list[str]) -> list[dict[str, str]]:
    rows = [{"image": path.as_posix(), "label": ""} for path in images]
    labelled = False
    for level in range(max(len(path.parts) for path in images) - 1):
        names = [path.parts[level] if len(path.parts) > level + 1 else "" for path in images]
        values = sorted(set(names) - {""})
        where = f"folder level {level + 1} ({_some(values)})"
        prefix = _common_prefix(values)
        plain = {value: value[len(prefix) :] for value in values}
        if all(value.lower() in SPLIT_FOLDERS for value in values):
            report.append(f"{where}: taken as the split")
            for row, name in zip(rows, names, strict=True):
                row["split"] = SPLIT_FOLDERS.get(name.lower(), "")
        elif not labelled and len(values) > 1 and any(_is_label(name) for name in plain.values()):
            labelled = True
            without = f", leaving off {prefix!r}" if prefix else ""
            report.append(f"{where}: taken as the label{without}")
            meaning = {value: _meaning(name, report) for value, name in plain.items()}
            for row, name in zip(rows, names, strict=True):
                row["label"], row["defect"] = meaning.get(name, ("", ""))
        elif len(values) == 1 and "" not in names:
            report.append(f"{where}: the same for all, not used")
        else:
            report.append(f"{where}: could not tell what it says, not used; name it in a pattern")
    if not labelled:
        report.append(
            "could not tell the label: no folder is called good, ok or the like; fill it in, or give a pattern"
        )
    elif any(row["label"] == "" for row in rows):
        missing = sum(row["label"] == "" for row in rows)
        report.append(f"could not tell the label of {missing} images outside those folders; fill it in")
    if not any(row.get("defect") for row in rows):
        for row in rows:
            row.pop("defect", None)
    return rows


def _from_pattern(images: list[PurePosixPath], pattern: str, report: list[str]) -> list[dict[str, str]]:
    expression = compile_pattern(pattern)
    rows, others = [], []
    for path in images:
        match = expression.fullmatch(path.as_posix())
        if match is None:
            others.append(path.as_posix())
        else:
            rows.append({"image": path.as_posix(), "label": "", **match.groupdict()})
    if not rows:
        raise DataError(f"pattern {pattern!r}: matches none of {len(images)} images, such as {others[0]!r}; correct it")
    report.append(f"pattern {pattern!r}: for example " + ", ".join(f"{k}={v}" for k, v in rows[0].items()))
    if others:
        report.append(f"could not tell: {len(others)} images do not match and are left out, such as {others[0]}")
    if "split" in expression.groupindex:
        for row in rows:
            row["split"] = SPLIT_FOLDERS.get(row["split"].lower(), row["split"])
    source = next((field for field in ("label", "defect") if field in expression.groupindex), None)
    if source is None:
        report.append("could not tell the label: the pattern names neither {label} nor {defect}; fill it in")
        return rows
    meaning = {value: _meaning(value, report) for value in sorted({row[source] for row in rows})}
    for row in rows:
        label, defect = meaning[row[source]]
        row["label"] = label
        if source == "defect" or (defect and "defect" not in expression.groupindex):
            row["defect"] = defect
    return rows


def _meaning(name: str, report: list[str]) -> tuple[str, str]:
    """Label and defect that a folder or field called `name` stands for; says which."""
    word = name.lower()
    if word in GOOD_FOLDERS or LABEL_WORDS.get(word) == GOOD:
        report.append(f"{name!r}: good")
        return "good", ""
    if word in DEFECTIVE_FOLDERS or word in LABEL_WORDS:
        report.append(f"{name!r}: defective, kind not said")
        return "defective", ""
    report.append(f"{name!r}: taken as a defect's name, so defective")
    return "defective", name


def _is_label(name: str) -> bool:
    return name.lower() in GOOD_FOLDERS or name.lower() in DEFECTIVE_FOLDERS


def _common_prefix(values: list[str]) -> str:
    """What all names share, up to the last separator: 'MT_' of MT_Free and MT_Fray."""
    shared = os.path.commonprefix(values) if len(values) > 1 else ""  # noqa: RUF071 - of characters is what is meant
    return shared[: max(shared.rfind(mark) for mark in "_- ") + 1]


def _some(values: list[str]) -> str:
    return ", ".join(values[:6]) + (f", ... {len(values)} in all" if len(values) > 6 else "")


def _counted(column: str, values: list[str]) -> str:
    counts = Counter(values)
    shown = ", ".join(f"{value or '(empty)'} {count}" for value, count in sorted(counts.items())[:8])
    return f"{column}: {shown}" + (f", ... {len(counts)} values in all" if len(counts) > 8 else "")
