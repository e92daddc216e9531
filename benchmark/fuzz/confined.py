"""One process that reads hostile files within a bound of memory and says how each went."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from reshift.benchmark.fuzz.target import Target

MOST_BYTES = 2 << 30
LONGEST_LINE = 2000
"""Characters of a refusal: beyond it nobody finds what is meant."""


@dataclass(frozen=True)
class Outcome:
    """How reading one input ended: `text` is what was wrong (findings), `seconds` what reading took, `peak` the bytes
    by which the process has grown at most so far."""

    kind: Literal["accepted", "refused", "finding"]
    text: str
    seconds: float
    peak: int


def serve(kind: type[Target], first: int, beyond: int, pipe: Connection) -> None:
    """Read inputs `first` to `beyond` - 1; sends None before each is read and its `Outcome` after it."""
    with tempfile.TemporaryDirectory(prefix="reshift-fuzz-") as scratch:
        target = kind(Path(scratch))
        # Libraries are loaded, and found working, before memory is counted.
        target.write_valid()
        target.read()
        # Decoders written in C complain there about every other input.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        before = _peak()
        _limit_memory()
        for seed in range(first, beyond):
            target.write(seed)
            pipe.send(None)
            started = time.monotonic()
            kind_of, text = attempt(target)
            pipe.send(Outcome(kind_of, text, time.monotonic() - started, _peak() - before))


def attempt(target: Target) -> tuple[Literal["accepted", "refused", "finding"], str]:
    """Read what was written and judge how it ended."""
    try:
        target.read()
    except target.refusals as error:
        text = str(error)
        if "\n" in text or not text.strip() or len(text) > LONGEST_LINE or target.mention not in text:
            return "finding", f"no clear line, {len(text)} characters: {text[:200]!r}"
        return "refused", text
    except BaseException as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "reshift" in frame.filename]
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
        return "finding", f"{type(error).__name__} at {where}: {' '.join(str(error).split())[:160]}"
    return "accepted", ""


def _peak() -> int:
    """Most memory this process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _limit_memory() -> None:
    """Let the address space grow by `MOST_BYTES` and no more, where the system tells how large it is."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        now = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MOST_BYTES, now + MOST_BYTES))
