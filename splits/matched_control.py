"""Matched control: the same test parts, after training that has seen their value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from reshift.splits.protocol import Split
from reshift.splits.roster import Mask, Numbers, Roster

MINIMUM = 2  # groups in each half, and training groups of a label that must stay
BOTH_LABELS = frozenset({0, 1})


def half_controls(
    shifted: Split,
    roster: Roster,
    training: Mask,
    tested: Mask,
    held: Mask,
    seed: int,
    labels: frozenset[int] = BOTH_LABELS,
) -> Iterator[Split]:
    """The two controls of docs/definitions.md, 'Matched control and gap', or none where parts are too few.

    Control a tests the first half of the held-out value's groups, while the second half replaces equally many
    training groups of the same labels; control b swaps the halves. Validation is unchanged, and so are test samples
    that do not belong to the value (the good parts of an unseen defect).

    Args:
        shifted: the split that holds the value out.
        training, tested: its samples, (N,) of the roster.
        held: samples of the held-out value, (N,), all of them in the shifted test.
        labels: labels that each half must hold.

    Yields:
        `<shifted>/control=a` and `/control=b`. None where a half has fewer than 2 groups or lacks a label, or where
        training would keep fewer than 2 groups of a label that it gives: no gap, not a guess.
    """
    arriving = _Sizes(roster, held)
    replaceable = _Sizes(roster, training)
    queues = {label: _queues(roster, replaceable, label, seed, shifted.name) for label in labels}
    first, second = _divide(roster, arriving, seed, shifted.name)
    controls = []
    for letter, kept, joining in (("a", first, second), ("b", second, first)):
        if joining.sum() < MINIMUM or set(arriving.labels[joining].tolist()) != labels:
            return
        leaving = np.zeros(len(roster.names), dtype=np.bool_)
        for label in labels:
            incoming = np.flatnonzero(joining & (arriving.labels == label))
            if (replaceable.labels == label).sum() < len(incoming) + MINIMUM:
                return
            order = roster.hash_order(incoming, seed, f"replacing/{shifted.name}")
            leaving[_match(queues[label], arriving.images[order])] = True
        train = roster.ids(training & ~leaving[roster.group] | held & joining[roster.group])
        test = roster.ids(tested & ~held | held & kept[roster.group])
        dropped = len(roster.samples) - len(train) - len(shifted.val) - len(test)
        name = f"{shifted.name}/control={letter}"
        controls.append(replace(shifted, name=name, train=train, test=test, control_of=shifted.name, dropped=dropped))
    yield from controls


class _Sizes:
    """Of each group, (G,), the images among some samples and its label by them, -1 where it has none there."""

    def __init__(self, roster: Roster, samples: Mask) -> None:
        self.images, defects = roster.count(samples)
        self.labels = np.where(self.images > 0, (defects > 0).astype(np.int64), -1)


def _divide(roster: Roster, held: _Sizes, seed: int, name: str) -> tuple[Mask, Mask]:
    """Two halves of the groups by hash, each label divided evenly; a second odd group goes to the other half."""
    order = [roster.hash_order(np.flatnonzero(held.labels == label), seed, f"halves/{name}") for label in (0, 1)]
    dealt = np.concatenate(order)
    halves = np.zeros((2, len(roster.names)), dtype=np.bool_)
    halves[np.arange(len(dealt)) % 2, dealt] = True
    return halves[0], halves[1]


def _queues(roster: Roster, training: _Sizes, label: int, seed: int, name: str) -> dict[int, list[int]]:
    """Training groups of a label by their number of images, in the order in which they give way."""
    order = roster.hash_order(np.flatnonzero(training.labels == label), seed, f"replaced/{name}")
    images = training.images[order]
    return {size: order[images == size].tolist() for size in np.unique(images).tolist()}


def _match(queues: dict[int, list[int]], images: Numbers) -> list[int]:
    """One training group for every incoming number of images, of the nearest number that is still there."""
    sizes, wanted = (found.tolist() for found in np.unique(images, return_counts=True))
    if all(number <= len(queues.get(size, ())) for size, number in zip(sizes, wanted, strict=True)):
        # Enough of every size: nobody has to take a neighbour's.
        return [group for size, number in zip(sizes, wanted, strict=True) for group in queues[size][:number]]
    taken = dict.fromkeys(queues, 0)
    leaving: list[int] = []
    for count in images.tolist():
        # Equal part counts are the rule, near-equal image counts the wish: take the nearest size still there.
        waiting = [size for size in queues if taken[size] < len(queues[size])]
        size = min(waiting, key=lambda known: (abs(known - count), known))
        leaving.append(queues[size][taken[size]])
        taken[size] += 1
    return leaving
