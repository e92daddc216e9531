"""The verifier's view of label noise: what is observed wrongly, where, and whether that is the stated rate."""

from __future__ import annotations

import pandas as pd

from reshift.splits.groups import with_groups
from reshift.splits.protocol import Split

UNITS = {"contamination": ("part", "view"), "label_flips": ("part", "image")}
ROUNDING = 1e-9


def check_noise(split: Split, table: pd.DataFrame) -> str:
    """What is wrong with a split's observed labels, measured from the labels themselves; "" if nothing is.

    Contamination: in train and in val, the share of really defective images among the observed-good ones; within one
    injected part (the most defective images any group of the table has) or one view. Label flips: in train and in
    val, the share of each class that is observed as the other one; within one part or image.
    """
    if not (split.train_labels or split.noise):
        return ""
    truth = dict(zip(table["sample"].tolist(), table["label"].tolist(), strict=True))
    trainable, tested = {*split.train, *split.val}, set(split.test)
    for sample, label in split.train_labels.items():
        if sample in tested:
            return f"the label of test sample {sample!r} is altered"
        if sample not in trainable:
            return f"observed label for {sample!r}, which is in neither train nor val"
        if label not in (0, 1) or label == truth[sample]:
            return f"observed label {label!r} of {sample!r} is not the other one than its true label {truth[sample]}"
    if not split.noise:
        return "observed labels differ from the truth, but no noise is stated" if split.train_labels else ""
    kind, unit, rate = (split.noise.get(key) for key in ("kind", "unit", "rate"))
    if unit not in UNITS.get(str(kind), ()) or not isinstance(rate, (int, float)):
        return f"noise {dict(split.noise)!r} has no known kind, unit and rate; known are {UNITS}"
    grouped = with_groups(table)
    grouped["observed"] = [split.train_labels.get(s, truth[s]) for s in grouped["sample"].tolist()]
    for role in (split.train, split.val):
        rows = grouped[grouped["sample"].isin(role)]
        if kind == "contamination":
            largest = int(grouped.groupby("group")["label"].sum().max()) if unit == "part" else 1
            message = _wrong_contamination(rows, rate, largest)
        else:
            message = _wrong_flips(rows, rate, "group" if unit == "part" else "sample")
        if message:
            return f"{'train' if role is split.train else 'val'}: {message}"
    return ""


def _wrong_contamination(rows: pd.DataFrame, rate: float, unit: int) -> str:
    raised = rows[rows["observed"] > rows["label"]]
    if not raised.empty:
        return f"contamination makes good sample {raised['sample'].iloc[0]!r} defective"
    passing = rows.loc[rows["observed"] == 0, "label"]
    found = int(passing.sum())
    allowed = unit if rate else 0
    if abs(found - rate * len(passing)) > allowed + ROUNDING:
        return f"{found} of {len(passing)} observed-good images are defective; stated is {rate:g}, within {allowed}"
    return ""


def _wrong_flips(rows: pd.DataFrame, rate: float, column: str) -> str:
    units = rows.groupby(column, sort=True)[["label", "observed"]].max()
    for label, name in ((0, "good"), (1, "defective")):
        observed = units.loc[units["label"] == label, "observed"]
        found = int((observed != label).sum())
        if abs(found - rate * len(observed)) > (1 if rate else 0) + ROUNDING:
            return f"{found} of {len(observed)} {name} {column}s are flipped; stated is {rate:g}"
    return ""
