"""A target of the fuzzer that fails in every way there is; a file of its own, so that processes load little."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from random import Random
from typing import ClassVar

from reshift.benchmark.fuzz.target import Target, Write


class Brittle(Target):
    """Reads as badly as a reader can: its first inputs crash, hang, kill, fill the memory, or say nothing of use."""

    name = "brittle"
    refusals: ClassVar[tuple[type[Exception], ...]] = (ValueError,)
    mention = "file"

    def hand_made(self) -> Sequence[Write]:
        return ()

    def write_valid(self) -> None:
        self.seed = -1

    def write_random(self, draw: Random) -> None:
        raise AssertionError("not reached")

    def write(self, seed: int) -> None:
        self.seed = seed

    def read(self) -> object:
        if self.seed == 0:
            raise KeyError("x")
        if self.seed == 1:
            time.sleep(60)
        if self.seed == 2:
            os.abort()
        if self.seed == 3:
            return bytearray(3 << 30)
        if self.seed == 4:
            raise ValueError("two\nlines of file")
        if self.seed == 5:
            raise ValueError("wrong")
        if self.seed == 6:
            raise ValueError("file: wrong")
        if self.seed == 7:
            raise SystemExit(0)
        return None
