"""What a board says of near-duplicates that stand on both sides of its splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from reshift.benchmark.world import Place
from reshift.datamodules.near_duplicates import alike_by_hash
from reshift.datamodules.progress import StderrProgress
from reshift.datamodules.survey import survey_pictures
from reshift.splits.protocol import Split

MOST_PICTURES = 10_000
"""A plan decodes so many pictures to compare them, a few minutes' work; more of them only `check-data` does."""


def near_duplicate_notes(place: Place) -> Iterator[str]:
    """A line a board where tested pictures have a near-duplicate in training or validation: the split with most.

    Near is what the perceptual hash calls so; where it cannot tell the pictures of a data set apart, that is said.
    """
    dataset = place.dataset
    boards = [b for b in place.boards if b.splits and not any(split.over_sequences for split in b.splits)]
    if not boards:
        return
    about = f"{dataset.name}: near-duplicates across roles"
    if len(dataset.table) > MOST_PICTURES:
        yield f"{about} were not looked for among {len(dataset.table):,} pictures; `reshift check-data` does"
        return
    near = alike_by_hash(dataset, survey_pictures(dataset, StderrProgress(f"{dataset.name}: near-duplicates")))
    if not near.tells_parts_apart:
        yield f"{about} cannot be told by perceptual hash; `reshift check-data --features MODEL` compares by a network"
        return
    others: dict[str, set[str]] = defaultdict(set)
    for one, other in near.pairs:
        others[one].add(other)
        others[other].add(one)
    for board in boards:
        touched, split = max(((_touched(others, split), split) for split in board.splits), key=lambda found: found[0])
        if touched:
            yield (
                f"{about} ({near.measure}): {board.name}, at most {touched} of {len(split.test)} test pictures of a "
                f"split ({split.name})"
            )


def _touched(others: Mapping[str, AbstractSet[str]], split: Split) -> int:
    """How many tested pictures have a near-duplicate, by sample in `others`, among those that train or validate."""
    tested = [sample for sample in split.test if sample in others]
    if not tested:
        return 0
    seen = {*split.train, *split.val}
    return sum(not seen.isdisjoint(others[sample]) for sample in tested)
