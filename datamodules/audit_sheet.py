"""A contact sheet of single pictures in a given order, to look again at their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image, ImageDraw, ImageFont

from reshift.datamodules.contact_sheet import contact_sheet
from reshift.datamodules.dataset import DataError, Dataset
from reshift.datamodules.image_file import read_mask
from reshift.splits.samples import DEFECTIVE, GOOD

_GAP, _FONT = 10, 12
_PAPER, _INK = (250, 250, 250), (20, 20, 20)
_WORDS = {GOOD: ("good", (25, 110, 50)), DEFECTIVE: ("defective", (190, 40, 30))}


def audit_sheet(dataset: Dataset, samples: Sequence[str], columns: int = 8, size: int = 144) -> Image.Image:
    """The pictures of these samples, row by row in their order; RGB, to be saved as PNG.

    Each is a square of `size` pixels, outlined in the colour of its label, its defect framed where a mask shows it.
    Below it stand its rank, 1 for the first, the label it has, its defect if it has a name, and the end of its path,
    where file names differ.

    Raises:
        ValueError: no sample, or squares too small to write under.
        DataError: a sample that the data set does not have, or a picture that cannot be read.
    """
    if not samples or columns < 1 or size < 96:
        raise ValueError(
            f"{len(samples)} samples, columns={columns}, size={size}: give a sample and squares of 96 pixels"
        )
    rows = {row.sample: place for place, row in enumerate(dataset.table.itertuples())}
    step, height = size + _GAP, size + 2 * _FONT + 3 * _GAP
    wide, high = min(columns, len(samples)), -(-len(samples) // columns)
    sheet = Image.new("RGB", (wide * step + _GAP, high * height + _GAP), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT)
    for place, sample in enumerate(samples):
        if sample not in rows:
            raise DataError(f"{dataset.name}: no picture {sample!r}; name samples of its table")
        left, top = _GAP + place % columns * step, _GAP + place // columns * height
        row = dataset.table.iloc[[rows[sample]]]
        word, colour = _WORDS[int(row["label"].iloc[0])]
        sheet.paste(_picture(replace(dataset, table=row), size), (left, top))
        draw.rectangle((left - 1, top - 1, left + size, top + size), outline=colour)
        kind = f", {row['defect'].iloc[0]}" if row["defect"].iloc[0] else ""
        top += size + _GAP // 2
        draw.text((left, top), _shortened(f"{place + 1}  {word}{kind}", font, size, end=False), fill=colour, font=font)
        draw.text((left, top + _FONT + _GAP // 2), _shortened(sample, font, size, end=True), fill=_INK, font=font)
    return sheet


def _picture(alone: Dataset, size: int) -> Image.Image:
    """The only picture of a data set; an empty mask frames nothing."""
    row = alone.table.iloc[0]
    if row.get("mask") and not read_mask(alone.root / row["mask"]).any():
        alone = replace(alone, table=alone.table.assign(mask=""))
    return Image.fromarray(contact_sheet(alone, row["part"], size))


def _shortened(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int, *, end: bool) -> str:
    """At most `width` pixels of the text: its end, or its beginning."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"...{text}") > width:
        text = text[1:] if end else text[:-1]
    return f"...{text}" if end else f"{text}..."
