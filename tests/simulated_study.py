"""One question asked of many simulated studies: how often an interval holds the truth, or a test cries wolf."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

import numpy as np
from scipy import stats

LOW, HIGH = 0.93, 0.97
"""Where the coverage of a 95 % interval has to lie."""

Kind = Literal["interval", "bound", "level"]


@dataclass(frozen=True)
class Study:
    """A simulated study with a known truth, done again and again.

    Attributes:
        once: one study; whether the interval or bound held, or the test rejected what is true; None where withheld.
        kind: an interval holds in `LOW` to `HIGH` of studies, a bound in at least `rate`, a test rejects in at most it.
        required: False for conditions that nothing is promised for, which are measured to be known.
        short: how many of them the test suite does; the slower, the fewer.
    """

    name: str
    once: Callable[[np.random.Generator], bool | None]
    kind: Kind = "interval"
    rate: float = 0.95
    required: bool = True
    short: int = 60


@dataclass(frozen=True)
class Finding:
    """In how many of how many studies it held (a test: rejected), those with nothing to judge apart."""

    study: Study
    held: int
    judged: int
    withheld: int

    @property
    def share(self) -> float:
        return self.held / self.judged

    @property
    def refuted(self) -> bool:
        """Whether what the study has to show can no longer be true: an exact binomial test at one in a thousand."""
        low, high = {
            "interval": (LOW, HIGH),
            "bound": (self.study.rate, 1.0),
            "level": (0.0, self.study.rate),
        }[self.study.kind]
        too_few = stats.binom.cdf(self.held, self.judged, low) < 0.001
        too_many = stats.binom.sf(self.held - 1, self.judged, high) < 0.001
        return bool(too_few or too_many)


def repeat(study: Study, times: int) -> Finding:
    """Do a study so many times, each with a generator of its own, so that fewer are the first of more."""
    own = crc32(study.name.encode())
    found = [study.once(np.random.default_rng([own, number])) for number in range(times)]
    judged = [held for held in found if held is not None]
    return Finding(study, sum(judged), len(judged), times - len(judged))
