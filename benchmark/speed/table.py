"""README's table of what the suite costs, from the files of `make speed`.

`python -m reshift.benchmark.speed.table results/speed README.md` renews it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reshift.benchmark.speed.measurement import Measurement
from reshift.results.atomic_write import write_atomically
from reshift.results.front_table import replace_between
from reshift.results.markdown import markdown_table

HEAD = ["what", "against", "measured", "aimed at"]


def speed_tables(folder: Path) -> list[str]:
    """A table for each machine that was measured, in the order of their file names.

    Raises:
        FileNotFoundError: nothing was measured yet.
    """
    files = [path for path in sorted(folder.glob("*.json")) if "measurements" in json.loads(path.read_text("utf-8"))]
    if not files:
        raise FileNotFoundError(f"{folder}: no measurements; `make speed` makes them")
    lines: list[str] = []
    for path in files:
        found = json.loads(path.read_text(encoding="utf-8"))
        machine = found["hardware"]
        accelerator = f", {machine['accelerator']}" if machine["accelerator"] else ""
        lines += ["", f"{machine['processor']}, {machine['cores']} cores{accelerator}:", ""]
        figures = [_figure(measured) for measured in found["measurements"].values()]
        lines += markdown_table(HEAD, [_row(figure) for figure in figures])
        missed = [f"- Missed: {figure.what}. {figure.note}" for figure in figures if not figure.met]
        lines += ["", *missed] if missed else []
    return lines[1:]


def _figure(measured: dict[str, Any]) -> Measurement:
    return Measurement(**{key: value for key, value in measured.items() if key != "versions"})


def _row(figure: Measurement) -> list[str]:
    return [
        figure.what,
        figure.against or "-",
        f"{_number(figure.value)} {figure.unit}" + ("" if figure.met else " **missed**"),
        f"{figure.bound} {figure.target:g} {figure.unit}",
    ]


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def main(arguments: Sequence[str]) -> None:
    """Renew the table between README's markers."""
    readme = Path(arguments[1])
    text = replace_between(readme.read_text(encoding="utf-8"), "speed", speed_tables(Path(arguments[0])))
    write_atomically(readme, text.encode())


if __name__ == "__main__":
    main(sys.argv[1:])
