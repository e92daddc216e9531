"""The verifier: invariants that every split passes before a cell may run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, repeat

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reshift.splits.protocol import Split
from reshift.splits.verify_noise import check_noise

ROLES = ("train", "val", "calibration", "test")
BREAKABLE = ("parts", "content", "absence", "classes")

Rows = NDArray[np.int64]


class SplitError(ValueError):
    """A split that breaks an invariant; the message names the split, the invariant and one offender."""


def verify(split: Split, table: pd.DataFrame) -> None:
    """Check a single split, see `Verifier`.

    Raises:
        SplitError: the first invariant that does not hold, in one line.
    """
    Verifier(table).check(split)


class Verifier:
    """Checks splits against the table they were made from (docs/definitions.md, 'Splits').

    Checked: all roles hold samples of the table, each once, in sorted tuples; parts and identical pictures
    stay in one role (unless `breaks` says "parts" or "content"); the held-out value is absent from train, val and
    calibration, as are good-looking views of parts with a held-out defect (unless a control or `breaks` says
    "absence"), and present in test; test holds good and defective parts (unless `breaks` says "classes", and then every
    sequence stays in one role); observed labels differ from the truth in train and val only and at the stated rate,
    within one injected unit.

    Args:
        table: validated, as `samples.validate_table` returns it, so sorted by sample; read once, for all splits.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table
        self._row = {sample: row for row, sample in enumerate(table["sample"].tolist())}
        self._label = table["label"].to_numpy(dtype=np.int64)
        self._columns = {c: pd.factorize(table[c]) for c in ("part", "content") if c in table}

    def check(self, split: Split) -> None:
        """Raise the first invariant that does not hold.

        Raises:
            SplitError: names split, invariant and one offender, in one line.
        """
        rows = {role: self._rows(getattr(split, role)) for role in ROLES}
        message = (
            self._wrong_roles(split, rows)
            or self._crossing(split, rows)
            or self._present_value(split, rows)
            or self._missing_class(split, rows["test"])
            or check_noise(split, self.table)
        )
        if message:
            raise SplitError(f"split '{split.name}': {message}")

    def _rows(self, members: Sequence[str]) -> Rows:
        """Where these samples stand in the table, -1 for one that does not."""
        return np.array([*map(self._row.get, members, repeat(-1))], dtype=np.int64)

    def _wrong_roles(self, split: Split, rows: Mapping[str, Rows]) -> str:
        unknown = set(split.breaks) - set(BREAKABLE)
        if unknown:
            return f"breaks {min(unknown)!r}, which is no invariant; choose from {BREAKABLE}"
        seen = np.full(len(self.table), -1)
        for number, (role, found) in enumerate(rows.items()):
            members: tuple[str, ...] = getattr(split, role)
            if not members and role != "calibration":
                return f"{role} is empty"
            # Rows of a sorted table rise with their samples; where one is unknown, the names have to tell.
            if (np.diff(found) < 0).any() and ((found >= 0).all() or list(members) != sorted(members)):
                return f"{role} is not sorted"
            wrong = (found < 0) | (seen[found] >= 0) | (np.diff(found, prepend=-2) == 0)
            if wrong.any():
                first = int(wrong.argmax())
                if found[first] < 0:
                    return f"{role} names sample {members[first]!r}, which the table does not have"
                other = ROLES[seen[found[first]]] if seen[found[first]] >= 0 else role
                return f"sample {members[first]!r} is in {other} and in {role}"
            seen[found] = number
        without = int((seen < 0).sum())
        if split.dropped != without:
            return f"says that {split.dropped} samples are dropped, but {without} have no role"
        return ""

    def _crossing(self, split: Split, rows: Mapping[str, Rows]) -> str:
        for invariant, column in (("parts", "part"), ("content", "content")):
            if invariant in split.breaks or column not in self._columns:
                continue
            value, names = self._columns[column]
            present = {role: np.bincount(value[found], minlength=len(names)) > 0 for role, found in rows.items()}
            for one, other in combinations(ROLES, 2):
                both = set(names[present[one] & present[other]].tolist()) - {""}
                if both:
                    return f"{column} {min(both)!r} is in {one} and in {other} ({len(both)} such)"
        return ""

    def _present_value(self, split: Split, rows: Mapping[str, Rows]) -> str:
        if split.held_out is None:
            return ""
        column, value = split.held_out
        if column not in self.table:
            return f"holds out column '{column}', which the table does not have"
        showing = (self.table[column] == value).to_numpy()
        if not showing[rows["test"]].any():
            return f"test holds no sample with {column}={value!r}"
        if split.control_of or "absence" in split.breaks:
            return ""
        if column == "defect":  # a part carries its defect in its good-looking views too
            part, _ = self._columns["part"]
            showing = (np.bincount(part[showing], minlength=len(self.table)) > 0)[part]
        for role in ("train", "val", "calibration"):
            found = rows[role][showing[rows[role]]]
            if len(found):
                sample = self.table["sample"].iloc[int(found.min())]
                return f"held-out {column}={value!r} is in {role}: sample {sample!r} ({len(found)} such)"
        return ""

    def _missing_class(self, split: Split, tested: Rows) -> str:
        if "classes" in split.breaks:
            return _torn_sequence(split, self.table)
        part, names = self._columns["part"]
        images = np.bincount(part[tested], minlength=len(names))
        defects = np.bincount(part[tested], self._label[tested], minlength=len(names))
        number, defective = int((images > 0).sum()), int((defects > 0).sum())
        if 0 < defective < number:
            return ""
        return f"all {number} test parts are {'defective' if defective else 'good'}"


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
