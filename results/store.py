"""A run folder on disk: which cells are done, failed, running or pending, told by its files alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import pandas as pd

from reshift.results.atomic_write import write_atomically
from reshift.results.heartbeat import BeatWatch, hold_beating, is_beating
from reshift.results.lease import LeaseHeld, hold, is_held
from reshift.results.log_file import LOG_FILE
from reshift.results.plan import Plan
from reshift.results.record import (
    Record,
    RecordError,
    check_files,
    read_attachment,
    read_header,
    read_record,
    write_record,
)
from reshift.results.submitted_cells import SubmittedCell, read_submitted, write_submitted

FAILURE_FILE = "failure.json"
LEASE_FILE = "lease"
PLAN_FILE = "plan.json"
SHARED_FILE = "shared"


class Status(StrEnum):
    """What the disk says about a cell."""

    DONE = "done"
    RUNNING = "running"
    FAILED = "failed"
    PENDING = "pending"


@dataclass(frozen=True)
class Failure:
    """Why the last attempt at a cell ended without a record, and how many attempts there were."""

    kind: str
    message: str
    attempts: int


class RunStore:
    """A run folder: `plan.json`, and `cells/<id>/` with `record.json`, `scores.npz`, `failure.json`, `log.txt`,
    `lease`.

    A file `shared` beside the plan says that several machines work on it; leases then have heartbeats. A file
    `submitted.json` names the cells that were handed in by others.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._watch = BeatWatch()

    def share(self) -> None:
        """Let several machines work on this run; holds for all processes, from the next cell each of them takes."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / SHARED_FILE).touch()

    @property
    def shared(self) -> bool:
        """Whether several machines may work on this run."""
        return (self.path / SHARED_FILE).exists()

    def folder(self, cell: str) -> Path:
        """The folder of a cell, whether or not it exists."""
        return self.path / "cells" / cell

    def write_plan(self, plan: Plan) -> None:
        """Write `plan.json` in one step, making the run folder."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path / PLAN_FILE, plan.to_json().encode())

    def read_plan(self) -> Plan:
        """The plan of this run.

        Raises:
            FileNotFoundError: nothing was ever planned here.
            ValueError: see `Plan.read`.
        """
        path = self.path / PLAN_FILE
        if not path.exists():
            raise FileNotFoundError(f"{path}: no plan, so {self.path} is not a run folder; name one under runs/")
        return Plan.read(path)

    def status(self, cell: str) -> Status:
        """Done, running, failed or pending, in this order.

        Done means a record whose checksum holds, that names this cell and stands beside files of the recorded hashes:
        a cell that a board would refuse is computed again. A failed cell that is being retried is running. In a
        shared run a holder on another machine counts as running until this store has watched its beat stand still,
        see `heartbeat`.
        """
        folder = self.folder(cell)
        try:
            record = read_header(folder)
            if record.cell == cell:
                check_files(folder, record)
                return Status.DONE
        except (RecordError, FileNotFoundError):  # the latter: another process replaces the record at this moment
            pass
        lease = folder / LEASE_FILE
        if is_beating(lease, self._watch) if self.shared else is_held(lease):
            return Status.RUNNING
        return Status.FAILED if (folder / FAILURE_FILE).exists() else Status.PENDING

    def statuses(self, cells: Iterable[str]) -> dict[str, Status]:
        """Status of each of these cells."""
        return {cell: self.status(cell) for cell in cells}

    def write(self, record: Record, scores: pd.DataFrame, attachments: Mapping[str, bytes] | None = None) -> Record:
        """Write the record of a finished cell and clear its failure; see `write_record` for the errors."""
        written = write_record(self.folder(record.cell), record, scores, attachments)
        (self.folder(record.cell) / FAILURE_FILE).unlink(missing_ok=True)
        return written

    def read(self, cell: str) -> tuple[Record, pd.DataFrame]:
        """Record and scores of a cell, fully checked.

        Raises:
            RecordError: absent, damaged, or the record of another cell.
        """
        record, scores = read_record(self.folder(cell))
        if record.cell != cell:
            raise RecordError(f"{self.folder(cell)}: holds the record of cell {record.cell}; delete it and run again")
        return record, scores

    def attachment(self, record: Record, name: str) -> bytes | None:
        """A further file of a cell, checked against its hash; None where its record names none of that name.

        Raises:
            RecordError: the file was altered.
        """
        return read_attachment(self.folder(record.cell), record, name)

    def submitted(self) -> dict[str, SubmittedCell]:
        """The cells that were handed in by others, by id; what is not in the plan has no meaning.

        Raises:
            ValueError: see `read_submitted`.
        """
        return read_submitted(self.path)

    def take(self, cell: str, other: RunStore) -> None:
        """Copy a finished cell of another run folder, everything checked on the way; handed in by others it stays.

        Its log comes along, which nothing vouches for.

        Raises:
            RecordError: absent or damaged there.
        """
        if (source := other.submitted().get(cell)) is not None:
            write_submitted(self.path, {**self.submitted(), cell: source})
        record, scores = other.read(cell)
        files = {name: other.attachment(record, name) or b"" for name in record.attachments}
        self.write(record, scores, files)
        with suppress(FileNotFoundError):
            write_atomically(self.folder(cell) / LOG_FILE, (other.folder(cell) / LOG_FILE).read_bytes())

    def write_failure(self, cell: str, kind: str, message: str) -> Failure:
        """Note a failed attempt: `kind` in one word or class name, `message` in one line with the remedy.

        Returns:
            The failure as written; `attempts` counts earlier ones too.
        """
        before = self.failure(cell)
        failure = Failure(kind, " ".join(message.split()), (before.attempts if before else 0) + 1)
        folder = self.folder(cell)
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(failure), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        write_atomically(folder / FAILURE_FILE, text.encode())
        return failure

    def failure(self, cell: str) -> Failure | None:
        """The last failure of a cell, or None; an unreadable note counts as one attempt."""
        path = self.folder(cell) / FAILURE_FILE
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            return Failure(str(raw["kind"]), str(raw["message"]), int(raw["attempts"]))
        except FileNotFoundError:
            return None
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError, OSError):
            return Failure("unreadable", f"{path} cannot be read; it is replaced at the next attempt", 1)

    @contextmanager
    def lease(self, cell: str) -> Iterator[Path]:
        """Hold a cell while computing it; yields its folder, made if absent.

        Raises:
            LeaseHeld: another process, or this one, holds it.
        """
        folder = self.folder(cell)
        folder.mkdir(parents=True, exist_ok=True)
        lease = folder / LEASE_FILE
        with hold_beating(lease, self._watch) if self.shared else hold(lease):
            yield folder

    def reclaim(self, cell: str) -> bool:
        """Give back the lease of a holder that this store has seen die; False while somebody holds it."""
        try:
            with self.lease(cell):
                return True
        except LeaseHeld:
            return False
