"""Matched control: the same test parts, after training that has seen their value."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from reshift.splits.groups import group_frame, samples_of
from reshift.splits.protocol import Split, hash_order
from reshift.splits.roles import build_split

MINIMUM = 2  # groups in each half, and training groups of a label that must stay
BOTH_LABELS = frozenset({0, 1})


def half_controls(
    shifted: Split, grouped: pd.DataFrame, held: pd.DataFrame, seed: int, labels: frozenset[int] = BOTH_LABELS
) -> Iterator[Split]:
    """The two controls of docs/definitions.md, 'Matched control and gap', or none where parts are too few.

    Control a tests the first half of the held-out value's groups, while the second half replaces equally many
    training groups of the same labels; control b swaps the halves. Validation is unchanged, and so are test samples
    that do not belong to the value (the good parts of an unseen defect).

    Args:
        shifted: the split that holds the value out.
        held: rows of the held-out value, all of them in the shifted test.
        labels: labels that each half must hold.

    Yields:
        `<shifted>/control=a` and `/control=b`. None where a half has fewer than 2 groups or lacks a label, or where
        training would keep fewer than 2 groups of a label that it gives: no gap, not a guess.
    """
    first, second = _divide(group_frame(held), seed, shifted.name)
    training = grouped[grouped["sample"].isin(shifted.train)]
    apart = set(shifted.test) - set(held["sample"])
    controls = []
    for letter, tested, joining in (("a", first, second), ("b", second, first)):
        incoming = group_frame(held[held["group"].isin(list(joining))])
        if len(incoming) < MINIMUM or set(incoming["label"]) != labels:
            return
        leaving = _match(group_frame(training), incoming, seed, shifted.name)
        if leaving is None:
            return
        controls.append(
            build_split(
                grouped,
                f"{shifted.name}/control={letter}",
                train=[*training.loc[~training["group"].isin(list(leaving)), "sample"], *samples_of(held, joining)],
                val=shifted.val,
                test=[*apart, *samples_of(held, tested)],
                held_out=shifted.held_out,
                control_of=shifted.name,
            )
        )
    yield from controls


def _divide(frame: pd.DataFrame, seed: int, name: str) -> tuple[set[str], set[str]]:
    """Two halves of the groups by hash, each label divided evenly; a second odd group goes to the other half."""
    halves: tuple[set[str], set[str]] = (set(), set())
    place = 0
    for label in sorted(set(frame["label"].tolist())):
        for group in hash_order(seed, f"halves/{name}", list(map(str, frame.index[frame["label"] == label]))):
            halves[place % 2].add(group)
            place += 1
    return halves


def _match(training: pd.DataFrame, incoming: pd.DataFrame, seed: int, name: str) -> set[str] | None:
    """One training group of the same label for every incoming group, of the nearest number of images."""
    leaving: set[str] = set()
    for label in sorted(set(incoming["label"].tolist())):
        arriving = incoming[incoming["label"] == label]
        candidates = training[training["label"] == label]
        if len(candidates) < len(arriving) + MINIMUM:
            return None
        images = dict(zip(map(str, candidates.index), candidates["images"].tolist(), strict=True))
        waiting: dict[int, list[str]] = {}
        for group in reversed(hash_order(seed, f"replaced/{name}", list(images))):
            waiting.setdefault(images[group], []).append(group)
        counts = dict(zip(map(str, arriving.index), arriving["images"].tolist(), strict=True))
        for group in hash_order(seed, f"replacing/{name}", list(counts)):
            # Equal part counts are the rule, near-equal image counts the wish: take the nearest size still there.
            size = min(waiting, key=lambda count: (abs(count - counts[group]), count))
            leaving.add(waiting[size].pop())
            if not waiting[size]:
                del waiting[size]
    return leaving
