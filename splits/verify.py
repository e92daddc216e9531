"""The verifier: invariants that every split passes before a cell may run."""

from __future__ import annotations

from itertools import combinations

import pandas as pd

from reshift.splits.protocol import Split
from reshift.splits.samples import part_labels
from reshift.splits.verify_noise import check_noise

ROLES = ("train", "val", "calibration", "test")
BREAKABLE = ("parts", "content", "absence", "classes")


class SplitError(ValueError):
    """A split that breaks an invariant; the message names the split, the invariant and one offender."""


def verify(split: Split, table: pd.DataFrame) -> None:
    """Check a split against the table it was made from (docs/definitions.md, 'Splits').

    Checked: all roles hold samples of the table, each once, in sorted tuples; parts and identical pictures
    stay in one role (unless `breaks` says "parts" or "content"); the held-out value is absent from train, val and
    calibration, as are good-looking views of parts with a held-out defect (unless a control or `breaks` says
    "absence"), and present in test; test holds good and defective parts (unless `breaks` says "classes", and then every
    sequence stays in one role); observed labels differ from the truth in train and val only and at the stated rate,
    within one injected unit.

    Args:
        table: validated, as `samples.validate_table` returns it.

    Raises:
        SplitError: the first invariant that does not hold, in one line.
    """
    for problem in (_wrong_roles, _crossing, _present_value, _missing_class, check_noise):
        message = problem(split, table)
        if message:
            raise SplitError(f"split '{split.name}': {message}")


def _wrong_roles(split: Split, table: pd.DataFrame) -> str:
    unknown = set(split.breaks) - set(BREAKABLE)
    if unknown:
        return f"breaks {min(unknown)!r}, which is no invariant; choose from {BREAKABLE}"
    samples = set(table["sample"])
    seen: dict[str, str] = {}
    for role in ROLES:
        members: tuple[str, ...] = getattr(split, role)
        if not members and role != "calibration":
            return f"{role} is empty"
        if list(members) != sorted(members):
            return f"{role} is not sorted"
        for member in members:
            if member not in samples:
                return f"{role} names sample {member!r}, which the table does not have"
            if member in seen:
                return f"sample {member!r} is in {seen[member]} and in {role}"
            seen[member] = role
    if split.dropped != len(table) - len(seen):
        return f"says that {split.dropped} samples are dropped, but {len(table) - len(seen)} have no role"
    return ""


def _crossing(split: Split, table: pd.DataFrame) -> str:
    for invariant, column in (("parts", "part"), ("content", "content")):
        if invariant in split.breaks or column not in table:
            continue
        value_of = dict(zip(table["sample"], table[column], strict=True))
        values = {role: {value_of[sample] for sample in getattr(split, role)} - {""} for role in ROLES}
        for one, other in combinations(ROLES, 2):
            both = values[one] & values[other]
            if both:
                return f"{column} {min(both)!r} is in {one} and in {other} ({len(both)} such)"
    return ""


def _present_value(split: Split, table: pd.DataFrame) -> str:
    if split.held_out is None:
        return ""
    column, value = split.held_out
    if column not in table:
        return f"holds out column '{column}', which the table does not have"
    showing = table[table[column] == value]
    if not set(showing["sample"]) & set(split.test):
        return f"test holds no sample with {column}={value!r}"
    if split.control_of or "absence" in split.breaks:
        return ""
    if column == "defect":  # a part carries its defect in its good-looking views too
        showing = table[table["part"].isin(list(set(showing["part"])))]
    forbidden = set(showing["sample"])
    for role in ("train", "val", "calibration"):
        found = forbidden.intersection(getattr(split, role))
        if found:
            return f"held-out {column}={value!r} is in {role}: sample {min(found)!r} ({len(found)} such)"
    return ""


def _missing_class(split: Split, table: pd.DataFrame) -> str:
    if "classes" in split.breaks:
        return _torn_sequence(split, table)
    labels = part_labels(table[table["sample"].isin(split.test)])
    if labels.nunique() == 2:
        return ""
    return f"all {len(labels)} test parts are {'defective' if labels.iloc[0] else 'good'}"


def _torn_sequence(split: Split, table: pd.DataFrame) -> str:
    """What keeps a split from being one over whole sequences, whose tests judge forecasts and not classes."""
    sequences = dict(zip(table["sample"], table["sequence"], strict=True)) if "sequence" in table else {}
    role_of: dict[str, str] = {}
    for role in ROLES:
        for sample in getattr(split, role):
            sequence = sequences.get(sample, "")
            if not sequence:
                return f"breaks 'classes', but sample {sample!r} in {role} belongs to no sequence"
            if role_of.setdefault(sequence, role) != role:
                return f"sequence {sequence!r} is in {role_of[sequence]} and in {role}"
    return ""
