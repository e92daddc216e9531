"""A cell's record: what it was, how it ran, and a checked pointer to its scores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from reshift.results.atomic_write import write_atomically
from reshift.results.plan import canonical_json
from reshift.results.scores_file import decode_scores, encode_scores, score_names

SCHEMA = 1
RECORD_FILE = "record.json"
SCORES_FILE = "scores.npz"


class RecordError(ValueError):
    """A record that cannot be trusted; the message is one line: which file, what is wrong, what to do."""


@dataclass(frozen=True)
class ScoresPointer:
    """The scores file as it was written: its name, length, sha256, and the scores in it, headline first."""

    file: str
    bytes: int
    sha256: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """What a finished cell leaves behind.

    Attributes:
        cell: id of the cell, the hash of `identity`.
        dataset, model, protocol, split, seed, held_out, control_of, breaks: as in `PlannedCell`.
        unit: what a row of the scores is: "image", or "part" for models that see all views of a part at once.
        counts: samples and parts by role, e.g. {"train_images": 300, "dropped": 4}.
        training: steps, epochs, chosen epoch, losses; None for models that learn nothing.
        refinement: policy and trace; None without refinement.
        run: device, versions, git revision, start, seconds: recorded, never part of the identity.
        scores: filled by `write_record`.
    """

    cell: str
    identity: dict[str, Any]
    dataset: str
    model: str
    protocol: str
    split: str
    seed: int
    unit: Literal["image", "part"]
    held_out: tuple[str, str] | None = None
    control_of: str = ""
    breaks: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    training: dict[str, Any] | None = None
    refinement: dict[str, Any] | None = None
    run: dict[str, Any] = field(default_factory=dict)
    scores: ScoresPointer | None = None


def write_record(folder: Path, record: Record, scores: pd.DataFrame) -> Record:
    """Write scores, then record, so that a valid record always stands beside the scores it names.

    Args:
        folder: the cell's folder, made if absent.
        scores: see `reshift.results.scores_file.encode_scores`.

    Returns:
        The record as written, its `scores` filled in.

    Raises:
        ValueError: scores that cannot be stored (not finite, missing columns), or NaN in the record.
        OSError: the disk refused; nothing of this cell is left behind, so it counts as pending.
    """
    content = encode_scores(scores)
    pointer = ScoresPointer(SCORES_FILE, len(content), hashlib.sha256(content).hexdigest(), score_names(scores))
    written = replace(record, scores=pointer)
    text = _to_json(written)
    folder.mkdir(parents=True, exist_ok=True)
    # An older record would name scores that are about to change: it goes first.
    (folder / RECORD_FILE).unlink(missing_ok=True)
    write_atomically(folder / SCORES_FILE, content)
    try:
        write_atomically(folder / RECORD_FILE, text.encode())
    except OSError:
        (folder / SCORES_FILE).unlink(missing_ok=True)
        raise
    return written


def read_header(folder: Path) -> Record:
    """The record without opening its scores: checksum checked, the scores file present and of the recorded length.

    Cheap enough for thousands of cells; damage inside the scores file is found by `read_record`.

    Raises:
        RecordError: absent, torn, altered, of another schema, or without its scores file.
    """
    path = folder / RECORD_FILE
    remedy = f"delete {folder} and run again"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        checksum = raw.pop("checksum")
        if raw["schema"] != SCHEMA:
            raise RecordError(f"{path}: record schema {raw['schema']} is not {SCHEMA}; start a new run folder")
        if _checksum(raw) != checksum:
            raise RecordError(f"{path}: checksum does not match, the file was altered or torn; {remedy}")
        record = _from_json(raw)
    except FileNotFoundError as error:
        raise RecordError(f"{path}: no record; run the cell") from error
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RecordError(f"{path}: not a record ({type(error).__name__}: {error}); {remedy}") from error
    assert record.scores is not None
    scores = folder / record.scores.file
    try:
        length = scores.stat().st_size
    except FileNotFoundError as error:
        raise RecordError(f"{scores}: scores file is gone; {remedy}") from error
    if length != record.scores.bytes:
        raise RecordError(f"{scores}: {length} bytes where {record.scores.bytes} were written; {remedy}")
    return record


def read_record(folder: Path) -> tuple[Record, pd.DataFrame]:
    """The record and its scores, both checked against their hashes.

    Raises:
        RecordError: as `read_header`, or the scores' sha256 does not match.
    """
    record = read_header(folder)
    assert record.scores is not None
    path = folder / record.scores.file
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != record.scores.sha256:
        raise RecordError(f"{path}: sha256 does not match the record's; delete {folder} and run again")
    try:
        return record, decode_scores(content)
    except ValueError as error:
        raise RecordError(f"{path}: {error}; delete {folder} and run again") from error


def _checksum(raw: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(raw).encode()).hexdigest()


def _to_json(record: Record) -> str:
    assert record.scores is not None
    raw: dict[str, Any] = {"schema": SCHEMA, **vars(record), "scores": vars(record.scores)}
    # Through JSON once, so that the checksum is taken of what a reader will see (tuples become lists).
    plain = json.loads(canonical_json(raw))
    plain["checksum"] = _checksum(plain)
    return json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _from_json(raw: dict[str, Any]) -> Record:
    values = {key: value for key, value in raw.items() if key != "schema"}
    pointer = values["scores"]
    values["scores"] = ScoresPointer(**{**pointer, "names": tuple(pointer["names"])})
    values["held_out"] = tuple(values["held_out"]) if values["held_out"] else None
    values["breaks"] = tuple(values["breaks"])
    return Record(**values)
