"""The table of docs/trust.md on what differs across devices, from the files of `make devices`.

`python -m reshift.benchmark.devices.table results/devices docs/trust.md` renews it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from reshift.benchmark.devices.settings import ON_GPU
from reshift.results.atomic_write import write_atomically
from reshift.results.front_table import replace_between
from reshift.results.markdown import markdown_table


def device_tables(folder: Path) -> list[str]:
    """A table for each machine that was measured, in order of file names, and whether a GPU was among them.

    Raises:
        FileNotFoundError: nothing was measured yet.
    """
    files = sorted(folder.glob("*.json"))
    if not files:
        raise FileNotFoundError(f"{folder}: no measurements; `make devices` makes them")
    lines: list[str] = []
    measured: set[str] = set()
    for path in files:
        found = json.loads(path.read_text(encoding="utf-8"))
        machine, moved = found["hardware"], found["moved"]
        measured |= moved.keys()
        accelerator = f", {machine['accelerator']}" if machine["accelerator"] else ""
        lines += ["", f"{machine['processor']}{accelerator}, torch {machine['versions']['torch']}:", ""]
        models = sorted({model for row in moved.values() for model in row})
        rows = [[name, *(_cell(row[model]) for model in models)] for name, row in moved.items()]
        lines += markdown_table(["against one thread and the kernels torch chooses", *models], rows)
    if not measured & ON_GPU.keys():
        lines += ["", "A GPU against the CPU was not measured: `make devices` does it where there is one."]
    return lines[1:]


def _cell(moved: dict[str, float]) -> str:
    return "-" if not moved["score"] else f"{moved['score']:.0e} / {moved['auroc']:.3f}"


def main(arguments: Sequence[str]) -> None:
    """Renew the table between the page's markers."""
    page = Path(arguments[1])
    text = replace_between(page.read_text(encoding="utf-8"), "devices", device_tables(Path(arguments[0])))
    write_atomically(page, text.encode())


if __name__ == "__main__":
    main(sys.argv[1:])
