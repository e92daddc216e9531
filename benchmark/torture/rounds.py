"""Rounds of faults against one study, and what came of them."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reshift.benchmark.torture.arena import Arena
from reshift.benchmark.torture.faults import FAULTS, KILLS
from reshift.benchmark.torture.study import Reference, Study
from reshift.benchmark.torture.volume import Volume

KILL_SHARE = 0.6
"""Share of rounds that kill a worker or a run; the others are spread evenly over all faults that were asked for."""


@dataclass(frozen=True)
class Outcome:
    """What happened, counted, and one line for everything that must not happen and did."""

    counts: Counter[str]
    struck: Counter[str]
    losses: tuple[str, ...]
    means: str
    seconds: float

    def lines(self) -> list[str]:
        """For a person."""
        counts, faults = self.counts, ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in self.struck.items())
        return [
            *(f"LOSS  {loss}" for loss in self.losses),
            f"disk: {self.means}",
            f"rounds: {self.struck.total()} ({faults}) in {self.seconds:.0f} s",
            f"kills: {counts['kills']}, restarts: {counts['starts'] - counts['studies']}, "
            f"damaged files: {counts['damaged files']}, runs finished: {counts['studies']}, cells: {counts['cells']}",
            f"losses: {len(self.losses)}",
        ]


def torture(
    folder: Path, rounds: int, cells: int, workers: int, seed: int, faults: Sequence[str] = tuple(FAULTS)
) -> Outcome:
    """Run a study undisturbed; then strike it, round by round, and finish it.

    A run that gets finished in between is compared with the undisturbed one, and the next begins.

    Args:
        folder: is filled with the study, the reference, and what the runs said (`run.log`).
        cells: at least so many are in the study.
        workers: processes of each run.
        seed: the same faults in the same order; at what they strike is up to the machine.
        faults: keys of `FAULTS`. The first rounds take each once; with fewer rounds than faults, some are left out.
    """
    study = Study.write(folder / "study", cells)
    reference = Reference.compute(study, folder / "calm", workers)
    print(f"reference: {study.cells} cells, {len(reference.boards)} boards", flush=True)
    rng, started = random.Random(seed), time.monotonic()
    volume = Volume((folder / "volume").resolve())
    arena, struck = Arena(study, reference, volume, folder.resolve() / "run.log", workers), Counter[str]()
    order, said = rng.sample(list(faults), len(faults)), 0
    try:
        for number in range(rounds):
            name = order[number] if number < len(order) else _drawn(faults, rng)
            told = FAULTS[name](arena, rng)
            struck[name] += 1
            print(f"[{number + 1}/{rounds}] {told}; {len(arena.watch.finished)} of {study.cells} cells", flush=True)
            for loss in arena.losses[said:]:
                print(f"LOSS  {loss}", flush=True)
            said = len(arena.losses)
        arena.finish()
    finally:
        arena.close()
        volume.remove()
    return Outcome(arena.counts, struck, tuple(arena.losses), volume.means, time.monotonic() - started)


def _drawn(faults: Sequence[str], rng: random.Random) -> str:
    kills = [name for name in faults if name in KILLS]
    return rng.choice(kills if kills and rng.random() < KILL_SHARE else list(faults))
