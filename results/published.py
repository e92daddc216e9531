"""Published figures beside ours, in a CSV and in the Markdown twin."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from reshift.results.board_rows import MEAN, Row
from reshift.results.csv_bytes import csv_bytes
from reshift.results.plan import Published

COLUMNS = ("dataset", "model", "protocol", "published", "ours", "level", "coverage", "source")


@dataclass(frozen=True)
class Beside:
    """A published figure and ours, None where our board is blank or has no such row."""

    published: Published
    ours: float | None
    level: str
    coverage: str


def read_published(path: Path) -> tuple[Published, ...]:
    """The figures of a CSV with the columns of `Published`.

    Raises:
        ValueError: other columns, or a value that is no number in [0, 1]; names file and row.
    """
    wanted = [f.name for f in fields(Published)]
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if list(reader.fieldnames or ()) != wanted:
            raise ValueError(f"{path}: expected the columns {','.join(wanted)}; found {reader.fieldnames}")
        found = []
        for number, row in enumerate(reader, start=2):
            try:
                value = float(row["value"])
            except (TypeError, ValueError):
                value = -1.0
            if not 0 <= value <= 1:
                raise ValueError(f"{path}, row {number}: value {row['value']!r} is no AUROC in [0, 1]; correct it")
            found.append(Published(row["dataset"], row["model"], row["protocol"], value, row["source"]))
    return tuple(found)


def beside(published: Sequence[Published], overall: Sequence[Row]) -> Iterator[Beside]:
    """Each published figure with our mean over splits and seeds, in the order of the file."""
    ours = {
        (row.dataset, row.model, row.protocol.partition(" [")[0]): row
        for row in overall
        if row.split == MEAN and row.metric == "auroc"
    }
    for figure in published:
        rows = [ours.get((name, figure.model, figure.protocol)) for name in figure.dataset.split(" + ")]
        means = [row.mean for row in rows if row is not None and row.mean is not None]
        full = len(means) == len(rows)
        yield Beside(
            figure,
            sum(means) / len(means) if full else None,
            " and ".join(sorted({row.level for row in rows if row is not None})),
            f"{len(means)}/{len(rows)}",
        )


def published_bytes(published: Sequence[Published], overall: Sequence[Row]) -> bytes:
    """`published.csv`."""
    return csv_bytes(
        COLUMNS,
        (
            (f.dataset, f.model, f.protocol, f.value, row.ours, row.level, row.coverage, f.source)
            for row in beside(published, overall)
            for f in (row.published,)
        ),
    )
