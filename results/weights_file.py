"""The weights a cell keeps beside its record, and what the record says of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from reshift.results.atomic_write import write_atomically
from reshift.results.record import Record

WEIGHTS_FILE = "weights.pt"
_SHA256 = "weights_sha256"


class WeightsError(ValueError):
    """Weights that are not those of their cell; one line."""


def write_weights(folder: Path, content: bytes) -> dict[str, str]:
    """Write the file in one step; returns what `Record.run` says of it.

    It is no attachment: a cell without it is finished all the same, since no board needs it.
    """
    write_atomically(folder / WEIGHTS_FILE, content)
    return {"weights": WEIGHTS_FILE, _SHA256: hashlib.sha256(content).hexdigest()}


def read_weights(folder: Path, record: Record) -> bytes:
    """The file's content, checked against the record; records from before there were checksums vouch for none.

    Raises:
        WeightsError: it was altered.
        OSError: it cannot be read.
    """
    content = (folder / WEIGHTS_FILE).read_bytes()
    if _SHA256 in record.run and hashlib.sha256(content).hexdigest() != record.run[_SHA256]:
        raise WeightsError(f"{WEIGHTS_FILE} is damaged; delete cells/{folder.name} and run again")
    return content
