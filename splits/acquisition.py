"""Acquisition protocol: one camera setting held out together with parts, S2 of Bauer et al. (arXiv 2511.15440)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pandas as pd

from reshift.splits.drawing import check_share, draw_share
from reshift.splits.groups import group_frame, groups_in, with_groups
from reshift.splits.held_out import choose_values
from reshift.splits.protocol import Protocol, Split, hash_order
from reshift.splits.roles import build_split, usable_splits

MINIMUM = 2  # samples of each label that must change places, or there is no control


class Acquisition(Protocol):
    """Each camera setting in turn is tested on unseen parts and never trained on (S2 of Bauer et al. 2025).

    Settings are the values of `acquisition`. A value crosses parts, so test = the value on held-out parts, train and
    val = other values on other parts; the rest is dropped and counted. Among that rest are the value's pictures of the
    training parts. They make the matched control: it tests the same samples, and there they replace equally many
    training samples of the same label, pictures of the same part first. The two halves of docs/definitions.md, 'Matched
    control and gap', are for values whose parts are all held out; here nobody tests the dropped pictures, so nothing
    has to be halved and one control compares on the whole test.

    Args:
        values: hold out only these; None for all.
        held_parts: share of the parts showing the value that is held out with it.
        val: share of the remaining parts that validate.

    Raises:
        ValueError: a share outside (0, 1).
    """

    name: ClassVar[str] = "acquisition"
    requires: ClassVar[tuple[str, ...]] = ("acquisition",)

    def __init__(self, values: tuple[str, ...] | None = None, held_parts: float = 0.3, val: float = 0.2) -> None:
        self.values = values
        self.held_parts = check_share("held_parts", held_parts)
        self.val = check_share("val", val)

    def splits(self, table: pd.DataFrame, seed: int) -> Iterator[Split]:
        """Splits `acquisition=<value>` and, where the dropped samples allow, `acquisition=<value>/control`."""
        self.check_columns(table)
        values = choose_values("acquisition", sorted(table["acquisition"].unique()), self.values)
        yield from usable_splits(self.name, self._hold_out(table, values, seed), table)

    def _hold_out(self, table: pd.DataFrame, values: list[str], seed: int) -> Iterator[Split]:
        grouped = with_groups(table)
        frame = group_frame(grouped)
        for value in values:
            showing = grouped["acquisition"] == value
            # One purpose for all values: the same part then tends to be held out for each, which pairs the values.
            held = draw_share(frame.loc[sorted(groups_in(grouped[showing]))], self.held_parts, seed, "held-out parts")
            outside = ~grouped["group"].isin(list(held))
            rest = grouped[outside & ~showing & (grouped["acquisition"] != "")]
            validating = draw_share(group_frame(rest), self.val, seed, f"val/acquisition={value}")
            training = rest[~rest["group"].isin(list(validating))]
            shifted = build_split(
                grouped,
                f"acquisition={value}",
                train=training["sample"],
                val=rest.loc[rest["group"].isin(list(validating)), "sample"],
                test=grouped.loc[showing & ~outside, "sample"],
                held_out=("acquisition", value),
            )
            yield shifted
            spare = grouped[outside & showing & ~grouped["group"].isin(list(validating))]
            yield from _crossing_control(shifted, grouped, training, spare, seed)


def _crossing_control(
    shifted: Split, grouped: pd.DataFrame, training: pd.DataFrame, spare: pd.DataFrame, seed: int
) -> Iterator[Split]:
    train = set(shifted.train)
    for label in (0, 1):
        joining = spare[spare["label"] == label]
        leaving = training[training["label"] == label]
        # Never more than half of a label: a control without the other values would be a shift of its own.
        number = min(len(joining), len(leaving) // 2)
        if number < MINIMUM:
            return
        chosen = hash_order(seed, f"joining/{shifted.name}", list(joining["sample"]))[:number]
        part_of = dict(zip(joining["sample"], joining["group"], strict=True))
        places: dict[str, list[str]] = {}
        groups = dict(zip(leaving["sample"], leaving["group"], strict=True))
        order = hash_order(seed, f"leaving/{shifted.name}", list(groups))
        for sample in order:
            places.setdefault(groups[sample], []).append(sample)
        matched = {places[part_of[sample]].pop() for sample in chosen if places.get(part_of[sample])}
        others = [sample for sample in order if sample not in matched]
        train -= {*matched, *others[: number - len(matched)]}
        train |= set(chosen)
    yield build_split(
        grouped,
        f"{shifted.name}/control",
        train=train,
        val=shifted.val,
        test=shifted.test,
        held_out=shifted.held_out,
        control_of=shifted.name,
    )
