"""How well suspicion finds injected wrong labels, per method and noise, in-sample against cross-fitted, as one CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from reshift.results.atomic_write import write_atomically
from reshift.results.csv_bytes import csv_bytes

_FIGURES = ("separation", "precision_at_injected", "precision_at_half")


@dataclass(frozen=True, order=True)
class Separation:
    """A line of the table; its fields are the columns.

    Attributes:
        rate: stated share of wrong labels.
        method: the model that suspicion comes from.
        how: "in-sample", or cross-fitted over "parts" or "images".
        component: whose candidates these are, "" for all.
        candidates: observed labels that the noise could have touched: rows of the training side, images, or parts for
            models that judge parts.
        bad_injected: how many of them are wrong.
        separation: AUROC of suspicion, wrong against right ones; None without both.
        precision_at_injected: share of wrong ones among the top `bad_injected`; None where none is.
        precision_at_half: the same among the top half of that, rounded up.
    """

    dataset: str
    protocol: str
    split: str
    rate: float
    method: str
    how: str
    component: str
    candidates: int
    bad_injected: int
    separation: float | None
    precision_at_injected: float | None
    precision_at_half: float | None

    @property
    def measurement(self) -> tuple[str, str, str, str, str]:
        """What lines share that were measured together: data set, protocol, split, method, how."""
        return self.dataset, self.protocol, self.split, self.method, self.how


COLUMNS = tuple(field.name for field in fields(Separation))


def separations(
    measurement: tuple[str, str, str, str, str], rate: float, quality: Mapping[str, Any]
) -> list[Separation]:
    """The lines of one measurement: all candidates, then each component, where there is more than one.

    Args:
        measurement: as `Separation.measurement`.
        quality: as `refinement.suspicion.suspicion_quality` returns it.
    """
    named = {kind: found for kind, found in quality["by_component"].items() if kind}
    parts = {"": quality, **(named if len(quality["by_component"]) > 1 else {})}
    dataset, protocol, split, method, how = measurement
    return [
        Separation(
            dataset,
            protocol,
            split,
            rate,
            method,
            how,
            component,
            found["candidates"],
            found["bad_injected"],
            *(found.get(figure) for figure in _FIGURES),
        )
        for component, found in parts.items()
    ]


def write_separation(path: Path, lines: Iterable[Separation]) -> None:
    """Put the lines at `path`, whole or not at all; their order does not change a byte.

    Raises:
        OSError: the disk refused.
    """
    ordered = sorted(lines, key=lambda line: (*line.measurement, line.component))
    write_atomically(path, csv_bytes(COLUMNS, map(astuple, ordered)))


def read_separation(path: Path) -> list[Separation]:
    """The lines of a file that `write_separation` wrote.

    Raises:
        ValueError: other columns, or a field that is no number.
        OSError: no such file.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{path}: has the columns {','.join(rows.fieldnames or ())}, not {','.join(COLUMNS)}")
        return [_line(row, path, number) for number, row in enumerate(rows, start=1)]


def _line(row: Mapping[str, str], path: Path, number: int) -> Separation:
    try:
        figures = {name: float(row[name]) if row[name] else None for name in _FIGURES}
        counts = {name: int(row[name]) for name in ("candidates", "bad_injected")}
        texts = {name: row[name] for name in COLUMNS if name not in {*figures, *counts, "rate"}}
        return Separation(**texts, rate=float(row["rate"]), **counts, **figures)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}, row {number}: {error}; delete the file to measure again") from error
