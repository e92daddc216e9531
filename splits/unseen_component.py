"""Unseen-component protocol: every part of one component is the test set, S4 of Bauer et al. (arXiv 2511.15440)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pandas as pd

from reshift.splits.drawing import check_share
from reshift.splits.held_out import choose_values, hold_out_parts
from reshift.splits.protocol import Protocol, Split
from reshift.splits.roles import usable_splits


class UnseenComponent(Protocol):
    """Each kind of component in turn is tested and never trained on (S4 of Bauer et al. 2025).

    Each comes with two matched controls where parts suffice: docs/definitions.md, 'Matched control and gap'.

    Args:
        always_train: components that are never held out (the gear wheel in S4 of arXiv 2511.15440).
        values: hold out only these; None for all that are not always trained.
        val: share of the remaining parts that validate.

    Raises:
        ValueError: a component both held out and always trained, or a share outside (0, 1).
    """

    name: ClassVar[str] = "unseen_component"
    requires: ClassVar[tuple[str, ...]] = ("component",)

    def __init__(
        self, always_train: tuple[str, ...] = (), values: tuple[str, ...] | None = None, val: float = 0.2
    ) -> None:
        both = sorted(set(always_train) & set(values or ()))
        if both:
            raise ValueError(f"component {both[0]!r} is in values and in always_train; remove it from one of them")
        self.always_train = always_train
        self.values = values
        self.val = check_share("val", val)

    def splits(self, table: pd.DataFrame, seed: int) -> Iterator[Split]:
        """Splits `component=<value>` and, where parts suffice, `component=<value>/control=a` and `/control=b`."""
        self.check_columns(table)
        found = sorted(set(table["component"].unique()) - set(self.always_train))
        values = choose_values("component", found, self.values)
        yield from usable_splits(self.name, hold_out_parts(table, "component", values, seed, self.val), table)
