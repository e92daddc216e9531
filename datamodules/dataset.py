"""What every reader returns: a data set is a folder of pictures and its sample table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import pandas as pd

from reshift.datamodules.source import Source

Parts = Literal["given", "inferred", "assumed"]

PIPELINE_VERSION = 1
"""Raised when decoding, resizing, drawing order or augmentation change what a model sees; part of every identity."""


class DataError(ValueError):
    """Data that cannot be used; one line that says what, where and what to do."""


@dataclass(frozen=True)
class Dataset:
    """Pictures under `root` and their validated sample table.

    Attributes:
        name: what boards call it, e.g. "magnetic_tiles" or "mvtec_ad:screw".
        version: the reader's version; raised when the table it builds changes.
        parts: where the part column comes from: the data ("given"), a stated rule ("inferred"), or nowhere, so
            that every image counts as its own part ("assumed").
        notes: sentences that every board of this data set must carry.
    """

    name: str
    version: int
    root: Path
    table: pd.DataFrame
    parts: Parts = "given"
    notes: tuple[str, ...] = ()


class Reader(ABC):
    """Reads one layout from disk. Subclass it in one file; parameters (the root among them) go to `__init__`.

    Class attributes: `name` (short, unique), `version` (raise it when the table changes), `source` (where the pictures
    come from and how to tell that a copy is whole; None where the author of a reader states nothing).
    """

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    source: ClassVar[Source | None] = None

    @abstractmethod
    def read(self) -> Dataset:
        """Build the data set.

        Raises:
            DataError: the folder does not have this reader's layout; the message says what was expected and found.
            TableError: the table breaks a rule of `splits.samples`.
        """
