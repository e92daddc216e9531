"""One picture of a whole data set: a few parts of every component and label, named, with their defects framed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from reshift.datamodules.dataset import DataError, Dataset
from reshift.datamodules.image_file import read_image, read_mask, to_square
from reshift.splits.samples import DEFECTIVE, GOOD

MOST_COMPONENTS = 40
"""Components shown; a sheet of more would be no overview."""

_GAP = 10
_FONT, _SMALL = 16, 12
_PAPER, _INK, _GREY = (250, 250, 250), (20, 20, 20), (205, 205, 205)
_WORDS = {GOOD: ("good", (25, 110, 50)), DEFECTIVE: ("defective", (190, 40, 30))}
_OUTSIDE, _INSIDE = (0, 0, 0), (255, 220, 0)  # the frame of a defect: dark and bright, to be seen on any surface
_MARGIN = 4  # pixels between a defect and its frame; pieces closer than two of them share one


def overview_sheet(dataset: Dataset, columns: int = 8, size: int = 144) -> Image.Image:
    """A sheet with a row of up to `columns` parts for every component and label; RGB, to be saved as PNG.

    The parts of a row take turns through its kinds of defect and are spread evenly over transmissions and names, so
    the same data give the same sheet. A part is shown by one picture, the one whose mask is largest where masks exist,
    as a square of `size` pixels. Below it stand the part and what is known of the picture: defect, transmission, view.

    Raises:
        ValueError: fewer than two columns, or squares too small to write under.
    """
    if columns < 2 or size < 96:
        raise ValueError(f"columns={columns}, size={size}: give at least 2 columns and squares of 96 pixels")
    table = dataset.table.assign(bad=dataset.table.groupby("part")["label"].transform("max"))
    components = sorted(table["component"].unique())
    rows = [
        (component, label, group)
        for component in components[:MOST_COMPONENTS]
        for label in (GOOD, DEFECTIVE)
        if not (group := table[(table["component"] == component) & (table["bad"] == label)]).empty
    ]
    step, height = size + _GAP, _FONT + size + 2 * _SMALL + 4 * _GAP
    sheet = Image.new("RGB", (columns * step + _GAP, _FONT + 3 * _GAP + len(rows) * height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    left_out = f", {len(components) - MOST_COMPONENTS} components left out" * (len(components) > MOST_COMPONENTS)
    title = f"{dataset.name}: {len(table)} images of {table['part'].nunique()} parts ({dataset.parts}){left_out}"
    _write(draw, (_GAP, _GAP), title, _FONT, _INK, sheet.width - 2 * _GAP)
    for place, (component, label, group) in enumerate(rows):
        top = _FONT + 3 * _GAP + place * height
        word, colour = _WORDS[label]
        parts = _chosen(group, columns)
        heading = (
            f"{component or 'component not given'}, {word}: {len(parts)} of {group['part'].nunique()} parts, "
            f"{len(group)} images"
        )
        _write(draw, (_GAP, top), heading, _FONT, colour, sheet.width - 2 * _GAP)
        top += _FONT + _GAP
        for column, part in enumerate(parts):
            left = _GAP + column * step
            row, picture = _picture(dataset, group[group["part"] == part], size)
            sheet.paste(picture, (left, top))
            draw.rectangle((left - 1, top - 1, left + size, top + size), outline=colour)
            known = ", ".join(text for text in (row["defect"], row["transmission"], row["view"]) if text)
            _write(draw, (left, top + size + 3), part, _SMALL, _INK, size)
            _write(draw, (left, top + size + 3 + _SMALL + 3), known, _SMALL, _INK, size)
    return sheet


def _chosen(group: pd.DataFrame, columns: int) -> list[str]:
    """Parts to show, kind by kind: each kind of defect has one before any has two, the common kinds first."""
    parts = group.groupby("part").agg({"defect": "max", "transmission": "max"}).sort_values(["transmission", "part"])
    pools = {kind: parts.index[parts["defect"] == kind] for kind in parts["defect"].value_counts().index}
    taken: Counter[str] = Counter()
    while taken.total() < min(columns, len(parts)):
        for kind, pool in pools.items():
            if taken[kind] < len(pool) and taken.total() < columns:
                taken[kind] += 1
    return [
        str(pools[kind][(2 * place + 1) * len(pools[kind]) // (2 * number)])
        for kind, number in sorted(taken.items())
        for place in range(number)
    ]


def _picture(dataset: Dataset, images: pd.DataFrame, size: int) -> tuple[pd.Series, Image.Image]:
    """The row and the square of the picture that shows a part best, its defects framed."""
    showing = images[images["label"] == images["label"].max()].sort_values(["view", "sample"])
    row, mask = showing.iloc[len(showing) // 2], np.zeros((1, 1), dtype=np.bool_)
    for _, candidate in showing.iterrows():
        found = _mask(dataset, candidate)
        if found.mean() > mask.mean():
            row, mask = candidate, found
    try:
        square = Image.fromarray(to_square(read_image(dataset.root / row["sample"]), size))
    except DataError:
        square = Image.new("RGB", (size, size), _GREY)
        _write(ImageDraw.Draw(square), (6, size // 2), "cannot be read", _SMALL, _INK, size)
    draw = ImageDraw.Draw(square)
    for left, top, right, bottom in _frames(mask, size):
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=_OUTSIDE)
        draw.rectangle((left, top, right, bottom), outline=_INSIDE)
    return row, square


def _mask(dataset: Dataset, row: pd.Series) -> NDArray[np.bool_]:
    try:
        return read_mask(dataset.root / row["mask"]) if row.get("mask") else np.zeros((1, 1), dtype=np.bool_)
    except DataError:
        return np.zeros((1, 1), dtype=np.bool_)


def _frames(mask: NDArray[np.bool_], size: int) -> Iterator[tuple[int, int, int, int]]:
    """Left, top, right and bottom of a frame around each group of pieces of a mask, in a square of `size` pixels."""
    rows, columns = np.nonzero(mask)
    square = np.zeros((size, size), dtype=np.uint8)
    # By coordinates, not by resizing: the smallest defect keeps a pixel.
    square[rows * size // mask.shape[0], columns * size // mask.shape[1]] = 1
    wide = cv2.dilate(square, np.ones((2 * _MARGIN + 1, 2 * _MARGIN + 1), dtype=np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(wide, connectivity=8)
    for left, top, width, height, _ in stats[1:].tolist():
        yield max(left, 1), max(top, 1), min(left + width, size - 1) - 1, min(top + height, size - 1) - 1


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, colour: tuple[int, int, int], width: int
) -> None:
    """Text of at most `width` pixels; of what is longer the end is kept, where file names differ."""
    font = ImageFont.load_default(size)
    if draw.textlength(text, font) > width:
        while text and draw.textlength(f"...{text}", font) > width:
            text = text[1:]
        text = f"...{text}"
    draw.text(place, text, fill=colour, font=font)
