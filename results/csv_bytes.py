"""CSV as bytes: utf-8, `\n`, six decimals; a missing number is an empty field."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable


def csv_bytes(header: Iterable[str], lines: Iterable[Iterable[object]]) -> bytes:
    """The file with this header and these lines, in their order."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_field(value) for value in line] for line in lines)
    return text.getvalue().encode()


def _field(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        # Adding zero turns -0.000000, which depends on the machine's rounding, into 0.000000.
        return f"{round(value, 6) + 0.0:.6f}"
    return str(value)
