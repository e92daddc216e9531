"""What a build of boards keeps for the next one: the rows of each data set and protocol, by all they depend on."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from reshift.results.atomic_write import write_atomically
from reshift.results.board_family import FamilyRows, family_rows
from reshift.results.board_rows import Row, Series
from reshift.results.npz_file import npz_bytes, open_npz
from reshift.results.plan import canonical_json
from reshift.results.record import Record

_NAMES = tuple(f.name for f in fields(Row))
_COUNTS = ("n_seeds", "n_parts")
_NUMBERS = (*_COUNTS, "mean", "seed_low", "seed_high", "part_low", "part_high")
_CHECKSUM = hashlib.sha256().digest_size


class BoardCache:
    """A folder of `FamilyRows`, a file each, named by the hash of everything that decides them.

    That is the scores' sha256 of every finished cell, what the plan calls each cell, the source of this room and the
    versions of what it computes with: nothing in the folder can be stale, and a file that is damaged counts as absent.
    A folder that cannot be written to costs time and nothing else. One build of boards makes one such object.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._used: set[str] = set()

    def rows(self, family: Sequence[Series], records: Mapping[str, Record]) -> FamilyRows:
        """The family's rows, from the folder where it has them, else computed and left there."""
        name = f"{family_key(family, records)}.rows"
        self._used.add(name)
        found = _read(self.folder / name)
        if found is None:
            found = family_rows(family)
            self._write(name, found)
        return found

    def forget_the_rest(self) -> None:
        """Delete what this build did not ask for, so that the folder holds one state of the boards and no more."""
        for path in self.folder.glob("*.rows"):
            if path.name not in self._used:
                with suppress(OSError):
                    path.unlink()

    def _write(self, name: str, found: FamilyRows) -> None:
        content = _encode(found)
        # What cannot be kept is computed again.
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            # The folder hides itself from git: runs are committed, what can be computed from them is not.
            (self.folder / ".gitignore").write_text("*\n", encoding="utf-8")
            write_atomically(self.folder / name, hashlib.sha256(content).digest() + content)


def family_key(family: Sequence[Series], records: Mapping[str, Record]) -> str:
    """Hash of all that the rows of these series depend on; the same cells give the same key, whatever their order."""

    def plain(series: Series) -> list[object]:
        cells = []
        for cell in series.cells:
            scores = record.scores if (record := records.get(cell.id)) is not None else None
            found = (record.unit, scores.sha256, scores.names) if record is not None and scores is not None else None
            cells.append([cell.model, cell.split, cell.seed, cell.control_of, found])
        return [series.dataset, series.model, series.protocol, cells]

    return hashlib.sha256(canonical_json([_code(), [plain(series) for series in family]]).encode()).hexdigest()


@cache
def _code() -> list[str]:
    """The source of this room and the versions of the libraries that numbers come from."""
    source = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        source.update(path.read_bytes())
    return [source.hexdigest(), platform.python_version(), platform.machine(), np.__version__, scipy.__version__]


def _read(path: Path) -> FamilyRows | None:
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    checksum, content = stored[:_CHECKSUM], stored[_CHECKSUM:]
    return _decode(content) if hashlib.sha256(content).digest() == checksum else None


def _encode(found: FamilyRows) -> bytes:
    """Column by column, texts as numbers into a list of them: read in a tenth of the time that JSON rows take."""
    columns = zip(*map(attrgetter(*_NAMES), found.rows), strict=True)
    arrays: dict[str, NDArray[Any]] = {
        "levels": np.array([*found.levels.items()], dtype=np.str_),
        "lines": np.frombuffer(found.lines, dtype=np.uint8),
    }
    for name, values in zip(_NAMES, columns, strict=True):
        if name in _NUMBERS:
            # No figure is NaN: it stands for None. Counts are far below 2^53.
            arrays[name] = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
        else:
            arrays[f"{name} texts"], arrays[name] = np.unique(np.array(values, dtype=np.str_), return_inverse=True)
    return npz_bytes(arrays)


def _decode(content: bytes) -> FamilyRows:
    with open_npz(content, "rows") as arrays:
        columns = [_numbers(arrays[n], n) if n in _NUMBERS else _texts(arrays[n], arrays[f"{n} texts"]) for n in _NAMES]
        return FamilyRows(dict(arrays["levels"].tolist()), tuple(map(Row, *columns)), arrays["lines"].tobytes())


def _numbers(stored: NDArray[np.float64], name: str) -> list[float | int | None]:
    kind = int if name in _COUNTS else float
    return [None if value != value else kind(value) for value in stored.tolist()]


def _texts(stored: NDArray[np.int64], texts: NDArray[np.str_]) -> list[str]:
    return list(map(texts.tolist().__getitem__, stored.tolist()))
