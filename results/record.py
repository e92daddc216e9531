"""A cell's record: what it was, how it ran, and checked pointers to the files beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from reshift.results.atomic_write import write_atomically
from reshift.results.forecast_file import decode_forecasts, encode_forecasts
from reshift.results.plan import PlannedCell, canonical_json
from reshift.results.scores_file import Columns, decode_columns, decode_scores, encode_scores, score_names

SCHEMA = 1
RECORD_FILE = "record.json"
SCORES_FILE = "scores.npz"
_LONGEST_ID = 255


class RecordError(ValueError):
    """A record that cannot be trusted; the message is one line: which file, what is wrong, what to do."""


@dataclass(frozen=True)
class ScoresPointer:
    """The scores file as it was written: its name, length, sha256, and the scores in it, headline first, if named."""

    file: str
    bytes: int
    sha256: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Attachment:
    """Length and sha256 of a file that stands beside the scores, as it was written."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Record:
    """What a finished cell leaves behind.

    Attributes:
        cell: id of the cell, the hash of `identity`.
        dataset, model, protocol, split, seed, held_out, control_of, breaks: as in `PlannedCell`.
        unit: what a row of the scores is: "image", "part" for models that see all views of a part at once, or
            "sequence" where the rows are forecasts, see `results.forecast_file`.
        counts: samples and parts by role, e.g. {"train_images": 300, "dropped": 4}.
        training: steps, epochs, chosen epoch, losses; None for models that learn nothing.
        refinement: policy and trace; None without refinement.
        run: device, versions, git revision, start, seconds: recorded, never part of the identity.
        scores: filled by `write_record`.
        attachments: further files of the cell by name (how its anomaly maps did, say); filled by `write_record`.
    """

    cell: str
    identity: dict[str, Any]
    dataset: str
    model: str
    protocol: str
    split: str
    seed: int
    unit: Literal["image", "part", "sequence"]
    held_out: tuple[str, str] | None = None
    control_of: str = ""
    breaks: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    training: dict[str, Any] | None = None
    refinement: dict[str, Any] | None = None
    run: dict[str, Any] = field(default_factory=dict)
    scores: ScoresPointer | None = None
    attachments: dict[str, Attachment] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        cell: PlannedCell,
        unit: Literal["image", "part", "sequence"],
        counts: dict[str, int],
        run: dict[str, Any],
        training: dict[str, Any] | None = None,
        refinement: dict[str, Any] | None = None,
    ) -> Record:
        """The record of a planned cell that was just computed."""
        return cls(
            cell=cell.id,
            identity=cell.identity,
            dataset=cell.dataset,
            model=cell.model,
            protocol=cell.protocol,
            split=cell.split,
            seed=cell.seed,
            unit=unit,
            held_out=cell.held_out,
            control_of=cell.control_of,
            breaks=cell.breaks,
            counts=counts,
            training=training,
            refinement=refinement,
            run=run,
        )


def write_record(
    folder: Path, record: Record, scores: pd.DataFrame, attachments: Mapping[str, bytes] | None = None
) -> Record:
    """Write scores and attachments, then the record, so that a valid record always stands beside what it names.

    Args:
        folder: the cell's folder, made if absent.
        scores: see `scores_file.encode_scores`, and `forecast_file.encode_forecasts` where the unit is "sequence".
        attachments: contents of further files by name.

    Returns:
        The record as written, its `scores` and `attachments` filled in.

    Raises:
        ValueError: scores that cannot be stored (not finite, missing columns), or NaN in the record.
        OSError: the disk refused; nothing of this cell is left behind, so it counts as pending.
    """
    forecasts = record.unit == "sequence"
    content = encode_forecasts(scores) if forecasts else encode_scores(scores)
    names = () if forecasts else score_names(scores)
    pointer = ScoresPointer(SCORES_FILE, len(content), _sha256(content), names)
    named = {name: Attachment(len(part), _sha256(part)) for name, part in (attachments or {}).items()}
    written = replace(record, scores=pointer, attachments=named)
    text = _to_json(written)
    folder.mkdir(parents=True, exist_ok=True)
    # An older record would name scores that are about to change: it goes first.
    (folder / RECORD_FILE).unlink(missing_ok=True)
    files = {SCORES_FILE: content, **(attachments or {})}
    try:
        for name, part in files.items():
            write_atomically(folder / name, part)
        write_atomically(folder / RECORD_FILE, text.encode())
    except OSError:
        for name in files:
            (folder / name).unlink(missing_ok=True)
        raise
    return written


def read_header(folder: Path) -> Record:
    """The record without opening its files: checksum checked, every file present and of the recorded length.

    Cheap enough for thousands of cells; damage inside a file is found when it is read.

    Raises:
        RecordError: absent, torn, altered, of another schema, or without one of its files.
    """
    path = folder / RECORD_FILE
    remedy = f"delete {folder} and run again"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        checksum = raw.pop("checksum")
        if raw["schema"] != SCHEMA:
            raise RecordError(
                f"{path}: record schema {str(raw['schema'])[:80]} is not {SCHEMA}; start a new run folder"
            )
        if _checksum(raw) != checksum:
            raise RecordError(f"{path}: checksum does not match, the file was altered or torn; {remedy}")
        record = _from_json(raw)
    except FileNotFoundError as error:
        raise RecordError(f"{path}: no record; run the cell") from error
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    except RecordError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RecordError(f"{path}: not a record ({type(error).__name__}: {reason}); {remedy}") from error
    assert record.scores is not None
    for name, length in _lengths(record).items():
        if Path(name).name != name or name in ("", "..") or "\0" in name:
            raise RecordError(f"{path}: names a file outside its folder, {name[:200]!r}; {remedy}")
        file = folder / name
        try:
            found = file.stat().st_size
        except FileNotFoundError as error:
            raise RecordError(f"{file}: file is gone; {remedy}") from error
        except OSError as error:
            raise RecordError(f"{path}: names a file that cannot be read ({error.strerror}); {remedy}") from error
        if found != length:
            raise RecordError(f"{file}: {found} bytes where {length} were written; {remedy}")
    return record


def check_files(folder: Path, record: Record) -> None:
    """Check every file of a record that `read_header` gave, without decoding any.

    Raises:
        RecordError: the sha256 of one does not match the record's.
    """
    _scores(folder, record)
    for name in record.attachments:
        read_attachment(folder, record, name)


def read_columns(folder: Path, record: Record) -> Columns:
    """The scores of a record that `read_header` gave, column by column, where rows are images or parts.

    Raises:
        RecordError: their sha256 does not match the record's.
    """
    content = _scores(folder, record)
    with decoding(folder / SCORES_FILE):
        return decode_columns(content)


def read_record(folder: Path) -> tuple[Record, pd.DataFrame]:
    """The record and its scores, both checked against their hashes.

    Raises:
        RecordError: as `read_header`, or the scores' sha256 does not match.
    """
    record = read_header(folder)
    content = _scores(folder, record)
    with decoding(folder / SCORES_FILE):
        return record, decode_forecasts(content) if record.unit == "sequence" else decode_scores(content)


def read_attachment(folder: Path, record: Record, name: str) -> bytes | None:
    """The content of a file the record names, or None where it names none of that name.

    Raises:
        RecordError: the file's sha256 does not match the record's.
    """
    pointer = record.attachments.get(name)
    return None if pointer is None else _read_checked(folder / name, pointer.sha256)


def _scores(folder: Path, record: Record) -> bytes:
    assert record.scores is not None
    return _read_checked(folder / record.scores.file, record.scores.sha256)


@contextmanager
def decoding(file: Path) -> Iterator[None]:
    """A block that reads the content of a cell's file: what it finds wrong is a `RecordError` that names the file."""
    try:
        yield
    except ValueError as error:
        raise RecordError(f"{file}: {error}; delete {file.parent} and run again") from error


def _read_checked(path: Path, sha256: str) -> bytes:
    content = path.read_bytes()
    if _sha256(content) != sha256:
        raise RecordError(f"{path}: sha256 does not match the record's; delete {path.parent} and run again")
    return content


def _lengths(record: Record) -> dict[str, int]:
    assert record.scores is not None
    return {record.scores.file: record.scores.bytes, **{name: a.bytes for name, a in record.attachments.items()}}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _checksum(raw: Mapping[str, Any]) -> str:
    return _sha256(canonical_json(raw).encode())


def _to_json(record: Record) -> str:
    assert record.scores is not None
    files = {name: vars(attachment) for name, attachment in record.attachments.items()}
    raw: dict[str, Any] = {"schema": SCHEMA, **vars(record), "scores": vars(record.scores), "attachments": files}
    # Through JSON once, so that the checksum is taken of what a reader will see (tuples become lists).
    plain = json.loads(canonical_json(raw))
    plain["checksum"] = _checksum(plain)
    return json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _from_json(raw: dict[str, Any]) -> Record:
    values = {key: value for key, value in raw.items() if key != "schema"}
    pointer = values["scores"]
    values["scores"] = ScoresPointer(**{**pointer, "names": tuple(pointer["names"])})
    values["attachments"] = {name: Attachment(**a) for name, a in values.get("attachments", {}).items()}
    values["held_out"] = tuple(values["held_out"]) if values["held_out"] else None
    values["breaks"] = tuple(values["breaks"])
    record = Record(**values)
    _check_types(record)
    return record


def _check_types(record: Record) -> None:
    """Raise TypeError where a field has another type than it says: a right checksum does not make a value right."""
    pointer = record.scores
    assert pointer is not None
    texts = [record.cell, record.dataset, record.model, record.protocol, record.split, record.control_of]
    texts += [*record.breaks, *(record.held_out or ()), pointer.file, pointer.sha256, *pointer.names]
    texts += [attachment.sha256 for attachment in record.attachments.values()]
    numbers = [record.seed, pointer.bytes, *(attachment.bytes for attachment in record.attachments.values())]
    mappings = [record.identity, record.counts, record.run, record.training or {}, record.refinement or {}]
    for values, kind in ((texts, str), (numbers, int), (mappings, dict)):
        for value in values:
            if not isinstance(value, kind):
                raise TypeError(f"{str(value)[:80]!r} stands where {kind.__name__} is meant")
    if len(record.cell) > _LONGEST_ID:
        raise TypeError(f"cell {record.cell[:80]!r}... is no id")
    if record.unit not in ("image", "part", "sequence"):
        raise TypeError(f"unit {str(record.unit)[:80]!r} is none")
    if record.held_out is not None and len(record.held_out) != 2:
        raise TypeError("held_out is not a column and a value")
