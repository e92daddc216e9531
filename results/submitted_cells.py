"""Which cells of a run folder were handed in by others, from which pack, and who has run them again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from reshift.results.atomic_write import write_atomically

SUBMITTED_FILE = "submitted.json"
SCHEMA = 1


@dataclass(frozen=True)
class Rerun:
    """Somebody else's run of the same cell that gave the same board figures.

    Attributes:
        code: git revision of that run, "+" for uncommitted changes, "" for none known.
        date: the day it began, as YYYY-MM-DD, "" where its record does not say.
    """

    code: str
    date: str


@dataclass(frozen=True)
class SubmittedCell:
    """Where the scores of a cell came from.

    Attributes:
        pack: sha256 of the archive that was handed in.
        rerun: None while the cell is self-reported.
    """

    pack: str
    rerun: Rerun | None = None


def read_submitted(folder: Path) -> dict[str, SubmittedCell]:
    """The submitted cells of a run folder by id; empty where nothing was ever handed in.

    Raises:
        ValueError: a file that is none of ours.
    """
    path = folder / SUBMITTED_FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["schema"] != SCHEMA:
            raise ValueError(f"schema {str(raw['schema'])[:80]} is not {SCHEMA}")
        return {str(cell): _from_json(value) for cell, value in raw["cells"].items()}
    except FileNotFoundError:
        return {}
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{path}: does not say which cells were handed in ({reason}); restore it, or accept their packs again"
        ) from error


def write_submitted(folder: Path, cells: Mapping[str, SubmittedCell]) -> None:
    """Write `submitted.json` in one step; the folder must exist."""
    raw = {"schema": SCHEMA, "cells": {cell: asdict(found) for cell, found in cells.items()}}
    text = json.dumps(raw, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_atomically(folder / SUBMITTED_FILE, text.encode())


def _from_json(value: Mapping[str, Mapping[str, str] | str | None]) -> SubmittedCell:
    pack, rerun = value["pack"], value["rerun"]
    if not isinstance(pack, str) or isinstance(rerun, str):
        raise TypeError("pack or rerun of another type")
    return SubmittedCell(pack, None if rerun is None else Rerun(str(rerun["code"]), str(rerun["date"])))
