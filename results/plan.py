"""The plan of a run: every cell it means to compute, written before the first is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from reshift.results.label_error import LabelError
from reshift.results.partial_classification import PartialClassification

SCHEMA = 1


class PlanError(ValueError):
    """A plan that cannot be trusted; the message is one line: which file, what is wrong, what to do."""


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def identity_hash(identity: Mapping[str, Any]) -> str:
    """The id of a cell: the first 20 hex digits of the sha256 of its identity."""
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:20]


@dataclass(frozen=True)
class PlannedCell:
    """One model on one split with one seed.

    Attributes:
        identity: everything that changes the number; `id` is its hash.
        dataset, model, protocol, split, seed: what boards call it.
        held_out: (column, value) of the split, or None.
        control_of: the shifted split this control belongs to, or "".
        breaks: invariants the split is declared to break; its boards are marked.
        not_applicable: why the model cannot learn from this split, or ""; such cells are outside coverage.
    """

    id: str
    identity: dict[str, Any]
    dataset: str
    model: str
    protocol: str
    split: str
    seed: int
    held_out: tuple[str, str] | None = None
    control_of: str = ""
    breaks: tuple[str, ...] = ()
    not_applicable: str = ""

    @property
    def forecasts(self) -> bool:
        """Whether the cell is one of prognosis: its scores are forecasts, its board is another."""
        return "classes" in self.breaks


@dataclass(frozen=True)
class Published:
    """A figure from a paper.

    Attributes:
        dataset: as boards call it; several, joined by " + ", stand for the mean over them.
        model, protocol: as boards call them.
        value: AUROC in [0, 1], as its source defines it, which is by image.
        source: paper and table.
    """

    dataset: str
    model: str
    protocol: str
    value: float
    source: str


@dataclass(frozen=True)
class Plan:
    """All cells of a run, what was skipped and why, and what every board must say.

    Attributes:
        inputs: hash of the preset, the data's stamps and the package's source; the plan is current while it holds.
        skipped: (dataset, protocol, reason) of protocols the data cannot carry.
        notes: sentences for the head of every board (assumed parts, backbone weights, budget).
        published: figures from papers to be set beside ours.
        partial: which models decide together what skips a re-test, and at which bounds; None where nobody asked.
        label_errors: how many test labels are wrong, by data set, where somebody says so.
    """

    name: str
    inputs: str
    cells: tuple[PlannedCell, ...]
    skipped: tuple[tuple[str, str, str], ...] = ()
    notes: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    partial: PartialClassification | None = None
    label_errors: dict[str, LabelError] = field(default_factory=dict)
    schema: int = field(default=SCHEMA)

    def to_json(self) -> str:
        # Through JSON once, so that the checksum is taken of what a reader will see (tuples become lists).
        plain = json.loads(canonical_json(asdict(self)))
        plain["checksum"] = _checksum(plain)
        return json.dumps(plain, indent=1, ensure_ascii=False, sort_keys=True) + "\n"

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read `plan.json`.

        Raises:
            PlanError: not a plan, one of another schema, or not what was written.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            if raw["schema"] != SCHEMA:
                raise PlanError(
                    f"{path}: plan schema {str(raw['schema'])[:80]} is not {SCHEMA}; start a new run folder"
                )
            _check_whole(raw)
            cells = tuple(
                PlannedCell(
                    **{
                        **cell,
                        "held_out": tuple(cell["held_out"]) if cell["held_out"] else None,
                        "breaks": tuple(cell["breaks"]),
                    }
                )
                for cell in raw["cells"]
            )
            skipped = tuple((s[0], s[1], s[2]) for s in raw["skipped"])
            published = tuple(Published(**row) for row in raw.get("published", ()))
            partial = PartialClassification.from_plain(raw["partial"]) if raw.get("partial") else None
            errors = {name: LabelError.from_plain(error) for name, error in raw.get("label_errors", {}).items()}
            return cls(raw["name"], raw["inputs"], cells, skipped, tuple(raw["notes"]), published, partial, errors)
        except PlanError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise PlanError(
                f"{path}: not a plan ({error}); delete it and run again, finished cells are kept"
            ) from error


def _check_whole(raw: dict[str, Any]) -> None:
    """Refuse a plan that was altered since it was written.

    Plans from before there were checksums are held to the ids of their cells, which are hashes themselves. That the
    checksum was there is not lost with one letter of its name: other keys than a plan's are refused.
    """
    plain = raw.copy()
    checksum = plain.pop("checksum", None)
    if strange := plain.keys() - {each.name for each in fields(Plan)}:
        raise ValueError(f"it has no key {min(strange)!r}")
    if checksum is None:
        for cell in raw["cells"]:
            if cell["id"] != identity_hash(cell["identity"]):
                raise ValueError(f"{cell['id']!r} is not the hash of its identity")
    elif checksum != _checksum(plain):
        raise ValueError("its checksum does not match")


def _checksum(plain: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(plain).encode()).hexdigest()
