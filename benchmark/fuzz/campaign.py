"""Many inputs for one target, in a process that is replaced when one of them kills or hangs it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass, field

from reshift.benchmark.fuzz.confined import Outcome, serve
from reshift.benchmark.fuzz.target import Target

MOST_SECONDS = 10.0
_START_SECONDS = 120.0
"""For importing torch on a busy machine, and for writing the largest inputs; not part of what is judged."""


@dataclass
class Tally:
    """What came of a campaign; `findings` are (number of the input, what was wrong)."""

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    slowest: float = 0.0
    peak: int = 0
    findings: list[tuple[int, str]] = field(default_factory=list)

    def add(self, seed: int, outcome: Outcome) -> None:
        """Count one input."""
        self.inputs += 1
        self.slowest = max(self.slowest, outcome.seconds)
        self.peak = max(self.peak, outcome.peak)
        if outcome.kind == "accepted":
            self.accepted += 1
        elif outcome.kind == "refused":
            self.refused += 1
        else:
            self.findings.append((seed, outcome.text))


def fuzz(target: type[Target], first: int, inputs: int, most_seconds: float = MOST_SECONDS) -> Tally:
    """Read inputs number `first` to `first + inputs - 1` of a target."""
    tally, seed = Tally(), first
    while seed < first + inputs:
        for outcome in _outcomes(target, seed, first + inputs, most_seconds):
            tally.add(seed, outcome)
            seed += 1
    return tally


def _outcomes(target: type[Target], first: int, beyond: int, most_seconds: float) -> Iterator[Outcome]:
    """Outcomes of one process, until it is through or an input has ended it."""
    # Spawned: a fork would carry this process's memory and threads into the bound.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=serve, args=(target, first, beyond, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        for seed in range(first, beyond):
            if not ours.poll(_START_SECONDS):
                raise RuntimeError(f"target {target.name}: input {seed} was not written in {_START_SECONDS:.0f} s")
            try:
                ours.recv()
            except EOFError:
                # A defect of the target, not a finding: its traceback stands on stderr.
                raise RuntimeError(f"target {target.name}: input {seed} could not be written") from None
            if not ours.poll(most_seconds):
                yield Outcome("finding", f"still reading after {most_seconds:.0f} s", most_seconds, 0)
                return
            try:
                yield ours.recv()
            except EOFError:
                process.join()
                yield Outcome("finding", f"the process died, exit code {process.exitcode}", 0.0, 0)
                return
        process.join(_START_SECONDS)  # it takes its files away itself
    finally:
        process.kill()
        process.join()
        ours.close()
