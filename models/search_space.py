"""Where a model's hyper-parameters may lie, for tuning by equal random trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LogUniform:
    """Any number between `low` and `high` (both above 0), each order of magnitude as likely as the next."""

    low: float
    high: float

    def draw(self, chance: float) -> float:
        """The value at `chance` in [0, 1), to four significant digits, so that it can be read and typed in."""
        return float(f"{self.low * (self.high / self.low) ** chance:.4g}")


@dataclass(frozen=True)
class Choice:
    """One of the values, each as likely as the next."""

    values: tuple[Any, ...]

    def draw(self, chance: float) -> Any:
        """The value at `chance` in [0, 1)."""
        return self.values[int(chance * len(self.values))]


Range = LogUniform | Choice
