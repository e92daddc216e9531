"""CSV as bytes: utf-8, `\n`, six decimals; a missing number is an empty field."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

_ZERO, _MINUS_ZERO = "0.000000", "-0.000000"


def csv_bytes(header: Iterable[str], lines: Iterable[Iterable[object]]) -> bytes:
    """The file with this header and these lines, in their order."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(map(_field, line) for line in lines)
    return text.getvalue().encode()


def _field(value: object) -> object:
    if isinstance(value, float):
        text = f"{value:.6f}"
        # Which side of zero it is depends on the machine's rounding.
        return _ZERO if text == _MINUS_ZERO else text
    # The writer spells the others as they should be: None as nothing.
    return value
