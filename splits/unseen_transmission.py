"""Unseen-transmission protocol: every part of one product line is the test set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pandas as pd

from reshift.splits.drawing import check_share
from reshift.splits.held_out import choose_values, hold_out_parts
from reshift.splits.protocol import Protocol, Split
from reshift.splits.roles import usable_splits


class UnseenTransmission(Protocol):
    """Each product line (transmission) in turn is tested and never trained on.

    Each comes with two matched controls where parts suffice: docs/definitions.md, 'Matched control and gap'.

    Args:
        values: hold out only these; None for all.
        val: share of the remaining parts that validate.

    Raises:
        ValueError: a share outside (0, 1).
    """

    name: ClassVar[str] = "unseen_transmission"
    requires: ClassVar[tuple[str, ...]] = ("transmission",)

    def __init__(self, values: tuple[str, ...] | None = None, val: float = 0.2) -> None:
        self.values = values
        self.val = check_share("val", val)

    def splits(self, table: pd.DataFrame, seed: int) -> Iterator[Split]:
        """Splits `transmission=<value>` and, where parts suffice, its `/control=a` and `/control=b`."""
        self.check_columns(table)
        values = choose_values("transmission", sorted(table["transmission"].unique()), self.values)
        yield from usable_splits(self.name, hold_out_parts(table, "transmission", values, seed, self.val), table)
