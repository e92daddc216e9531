"""What is fuzzed: a reader, the errors it may refuse with, and hostile files for it."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from random import Random
from typing import ClassVar

Write = Callable[[], object]


class Target(ABC):
    """A reader and its inputs. Input number n is the nth hand-made one while they last, then a seeded random one.

    Class attributes: `name`; `refusals`, the error types of the suite that `read` may raise; `mention`, what a refusal
    has to name (the file, say), since a line that does not say where helps nobody.
    """

    name: ClassVar[str]
    refusals: ClassVar[tuple[type[Exception], ...]]
    mention: ClassVar[str] = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def hand_made(self) -> Sequence[Write]:
        """Functions that write an input each."""

    @abstractmethod
    def write_valid(self) -> None:
        """Write what `read` accepts."""

    @abstractmethod
    def write_random(self, draw: Random) -> None:
        """Write an input that depends on `draw` alone."""

    @abstractmethod
    def read(self) -> object:
        """Read what was written, as the suite does."""

    @cached_property
    def _hand_made(self) -> Sequence[Write]:
        return self.hand_made()

    def write(self, seed: int) -> None:
        """Write input number `seed`, whatever stood there before."""
        if seed < len(self._hand_made):
            self._hand_made[seed]()
        else:
            self.write_random(Random(f"{self.name} {seed}"))


def put(path: Path, content: bytes) -> None:
    """A plain file of this content, in place of whatever is there."""
    clear(path)
    path.write_bytes(content)


def clear(path: Path) -> None:
    """Nothing at a path, be there a file, a link or a folder now."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
