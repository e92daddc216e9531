"""What the columns of a sample table can and cannot prove, one line a claim, with the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil, log
from textwrap import shorten

import pandas as pd

from reshift.datamodules.dataset import Dataset
from reshift.splits.acquisition import Acquisition
from reshift.splits.chronological import Chronological
from reshift.splits.contamination import Contamination
from reshift.splits.in_distribution import InDistribution
from reshift.splits.limits import INTERVAL_PARTS, THRESHOLD_GOOD, split_sizes
from reshift.splits.official import Official
from reshift.splits.protocol import Protocol, Split, collect_splits
from reshift.splits.samples import DEFECTIVE, part_labels
from reshift.splits.unseen_component import UnseenComponent
from reshift.splits.unseen_defect import UnseenDefect
from reshift.splits.unseen_transmission import UnseenTransmission

ESCAPE_RATE = 0.05
CONFIDENCE = 0.95

_REASON = 240  # characters; contamination gives a clause for every rate
_GAP = "a gap: no matched control, for want of parts"
_LIMITS = {
    "interval": f"an interval over parts (takes {INTERVAL_PARTS} good and {INTERVAL_PARTS} defective test parts)",
    "threshold": f"a 5 % threshold on parts, or part figures of single-image models (takes {THRESHOLD_GOOD} good "
    f"validation parts)",
    "image threshold": f"a 5 % threshold on pictures (takes {THRESHOLD_GOOD} good validation pictures)",
}


def column_claims(dataset: Dataset) -> list[str]:
    """Lines "can show: ..." and "cannot show: ..." for what boards of this data set could be asked for.

    Splits are drawn by the protocols at their defaults with seed 0, and a protocol that skips gives its own reason. The
    numbers that claims take are those of docs/definitions.md, 'Thresholds' and 'Statistics'.
    """
    table = dataset.table
    labels = part_labels(table)
    if labels.nunique() < 2:
        only = "defective" if labels.iloc[0] == DEFECTIVE else "good"
        return [
            f"cannot show: anything: all {len(labels)} parts are {only}, and every figure compares good and defective"
        ]
    drawn = [(claim, protocol.name, *collect_splits(protocol, table, seed=0)) for claim, protocol in _claims(dataset)]
    can, cannot = [], [*_about_parts(dataset)]
    for claim, protocol, splits, reason in drawn:
        number = len(_tested(splits))
        if number:
            can.append(f"can show: how models do on {claim} ({protocol}, {number} split{'s' * (number > 1)})")
        if reason:
            why = shorten(reason, _REASON, placeholder=" ...")
            cannot.append(f"{claim}{', in full' * bool(number)}: {why}")
    cannot += _about_sizes({protocol: splits for _, protocol, splits, _ in drawn if splits}, table)
    cannot += _about_columns(table)
    return [*can, *(f"cannot show: {line}" for line in cannot)]


def _claims(dataset: Dataset) -> Iterator[tuple[str, Protocol]]:
    unit = "pictures" if dataset.parts == "assumed" else "parts"
    yield f"held-out {unit} of kinds that training has seen", InDistribution()
    yield "components that training has not seen", UnseenComponent()
    yield "defects that training has not seen", UnseenDefect()
    yield "transmissions that training has not seen", UnseenTransmission()
    yield "acquisition settings that training has not seen", Acquisition()
    yield f"{unit} later than those of training", Chronological()
    yield f"{unit} after training with defective {unit} called good", Contamination()
    yield "the split that comes with the data", Official()


def _about_parts(dataset: Dataset) -> Iterator[str]:
    if dataset.parts == "assumed":
        yield (
            "new parts: no part column, so every picture counts as its own part, pictures of one object may train and "
            "test, and no number here shows how a model does on new parts"
        )
    elif dataset.parts == "inferred":
        yield "new parts for certain: parts are inferred by a rule, and an object that it divides may train and test"
    defective = int((part_labels(dataset.table) == DEFECTIVE).sum())
    needed = ceil(log(1 - CONFIDENCE) / log(1 - ESCAPE_RATE))
    if defective < needed:
        yield (
            f"an escape rate of at most {ESCAPE_RATE:.0%} at {CONFIDENCE:.0%} confidence: it takes {needed} defective "
            f"parts that nothing else uses, and there are {defective}"
        )


def _about_sizes(drawn: Mapping[str, Sequence[Split]], table: pd.DataFrame) -> Iterator[str]:
    """What splits are too small for; matched controls count for the gap that they make possible."""
    lacking: dict[str, list[str]] = {text: [] for text in (*_LIMITS.values(), _GAP)}
    for protocol, splits in drawn.items():
        tested = _tested(splits)
        sizes = {split.name: split_sizes(split, table) for split in tested}
        for limit, text in _LIMITS.items():
            short = [f"{name}: {size.short_of[limit]}" for name, size in sizes.items() if limit in size.short_of]
            lacking[text] += _some(protocol, short, len(tested))
        compared = {split.control_of for split in splits}
        alone = [split.name for split in tested if split.held_out and split.name not in compared]
        lacking[_GAP] += _some(protocol, alone, len(tested))
        if protocol == InDistribution.name:
            few = min(size.defective for size in sizes.values())
            possible = 1 - (1 - CONFIDENCE) ** (1 / few)
            yield (
                f"an escape rate under {possible:.0%} in one split of {protocol}: the smallest tests {few} defective "
                f"parts, and with none escaping that much stays possible"
            )
    for text, where in lacking.items():
        if where:
            yield f"{text}: {'; '.join(where)}"


def _tested(splits: Sequence[Split]) -> list[Split]:
    return [split for split in splits if not split.control_of]


def _some(protocol: str, short: Sequence[str], total: int) -> list[str]:
    return [f"{protocol}, {len(short)} of {total} splits ({short[0]})"] if short else []


def _about_columns(table: pd.DataFrame) -> Iterator[str]:
    defective = table["label"] == DEFECTIVE
    nameless = int((defective & (table["defect"] == "")).sum())
    if nameless:
        yield f"which defects escape: {nameless} of {int(defective.sum())} defective pictures name none"
    if table.groupby("part").size().max() == 1:
        yield "what several views of a part add: every part has one picture"
    if "mask" not in table or (table["mask"] == "").all():
        yield "where a defect is, and whether it survives resizing: no masks"
    if "content" not in table:
        yield "that no picture is stored twice: the reader gives no content hash"
