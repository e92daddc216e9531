"""What the suite holds, read off its classes: for `reshift list` and for README's tables.

`python -m reshift.benchmark.inventory README.md` renews the tables.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reshift.benchmark.catalog import installed_classes, own_classes
from reshift.benchmark.world import MODELS, PROTOCOLS, READERS
from reshift.datamodules.dataset import Reader
from reshift.models.base import InspectionModule
from reshift.models.prognosis import Prognosis
from reshift.results.atomic_write import write_atomically
from reshift.results.front_table import replace_between
from reshift.results.markdown import markdown_table
from reshift.splits.protocol import Protocol

KINDS: dict[str, tuple[str, type[Any]]] = {
    "datasets": (READERS, Reader),
    "protocols": (PROTOCOLS, Protocol),
    "models": (MODELS, InspectionModule),
    "prognoses": (MODELS, Prognosis),
}


def inventory(kind: str) -> dict[str, type[Any]]:
    """The classes of a kind by name, in the order of their names."""
    package, base = KINDS[kind]
    return dict(sorted(own_classes(package, base).items()))


def listing(kind: str) -> Iterator[tuple[str, str]]:
    """Name and summary of everything of a kind: the suite's own, then what other distributions add by entry points."""
    yield from ((name, summary(cls)) for name, cls in inventory(kind).items())
    for name, found in sorted(installed_classes(*KINDS[kind]).items()):
        yield name, found if isinstance(found, str) else f"{summary(found)} [{found.__module__}]".lstrip()


def summary(cls: type) -> str:
    """The first line of a class's docstring."""
    return (cls.__doc__ or "").strip().partition("\n")[0]


def readme_tables() -> dict[str, list[str]]:
    """Markdown tables by the name of the markers they stand between."""
    datasets = [[f"`{n}`", summary(c), c.source.licence if c.source else ""] for n, c in inventory("datasets").items()]
    protocols = [[f"`{n}`", summary(c), ", ".join(c.requires)] for n, c in inventory("protocols").items()]
    models = [[f"`{n}`", summary(c), _learns(c)] for n, c in inventory("models").items()]
    return {
        "datasets": markdown_table(["data set", "", "licence"], datasets),
        "protocols": markdown_table(["protocol", "", "needs column"], protocols),
        "models": markdown_table(["model", "", "learns from"], models),
    }


def main(arguments: Sequence[str]) -> None:
    """Renew the tables of a README."""
    readme = Path(arguments[0])
    text = readme.read_text(encoding="utf-8")
    for name, lines in readme_tables().items():
        text = replace_between(text, name, lines)
    write_atomically(readme, text.encode())


def _learns(cls: type[InspectionModule]) -> str:
    return "good parts" if cls.learns_from == "good" else "labels"


if __name__ == "__main__":
    main(sys.argv[1:])
