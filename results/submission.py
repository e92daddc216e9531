"""A finished run as one file to hand in, and the checker that recomputes every board in it from its scores.

The checker proves that the boards are what these scores give and that no record was altered. That the scores came out
of the model named beside them it cannot prove: until somebody runs the cells again, the rows are self-reported.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reshift.results.boards import Boards, build_boards
from reshift.results.environment_secrets import environment_secrets
from reshift.results.judged_cells import checked_record
from reshift.results.leaderboard import FOLDER
from reshift.results.markdown import markdown
from reshift.results.plan import Plan, PlannedCell, canonical_json, identity_hash
from reshift.results.record import RECORD_FILE, Record, RecordError
from reshift.results.store import PLAN_FILE, RunStore
from reshift.results.submission_archive import SELF_REPORTED, SubmissionError, archive_bytes, unpack
from reshift.results.submitted_cells import SUBMITTED_FILE

NOTE = "**Self-reported**: recomputed from the submitted scores, not yet run again by anybody else."


@dataclass(frozen=True)
class Accepted:
    """What a checked submission holds.

    Attributes:
        run: name of its plan.
        cells: finished cells, every one of the plan that applies.
        not_applicable: cells the plan leaves out as models that cannot learn from their split.
        boards: CSV files, all recomputed.
        code: git revisions its records name, "+" for uncommitted changes, "" for none known.
    """

    run: str
    cells: int
    not_applicable: int
    boards: int
    code: tuple[str, ...]


def submission(store: RunStore, environment: Mapping[str, str]) -> bytes:
    """Plan, records, scores and boards of a finished run as one archive; no picture, no weights, no log.

    Args:
        environment: variables of this process; the value of one that is named like a key or a password must not stand
            in any text that is handed in.

    Raises:
        SubmissionError: an unfinished run, a damaged record, others' cells in it, or a secret in a text.
        FileNotFoundError, ValueError: no plan, or one of another schema.
    """
    plan = store.read_plan()
    if not store.submitted().keys().isdisjoint(cell.id for cell in plan.cells):
        raise SubmissionError(
            f"{store.path / SUBMITTED_FILE}: cells were handed in by others; submit a run of your own"
        )
    records = _verified_records(store, plan)
    files = {PLAN_FILE: (store.path / PLAN_FILE).read_bytes(), **_board_files(build_boards(store, plan))}
    for cell, record in records.items():
        assert record.scores is not None
        for name in (RECORD_FILE, record.scores.file, *record.attachments):
            files[f"cells/{cell}/{name}"] = (store.folder(cell) / name).read_bytes()
    _refuse_secrets(files, environment)
    return archive_bytes(files, {"status": SELF_REPORTED, "run": plan.name, "code": _revisions(records)})


def check_submission(path: Path) -> Accepted:
    """Unpack an archive aside, verify every record and recompute every board.

    Raises:
        SubmissionError: the first thing that is wrong, in one line.
    """
    with opened_submission(path) as (_, found):
        return found


@contextmanager
def opened_submission(path: Path) -> Iterator[tuple[RunStore, Accepted]]:
    """The run in an archive, checked as by `check_submission`; its folder is gone afterwards.

    Raises:
        SubmissionError: the first thing that is wrong, in one line.
    """
    with tempfile.TemporaryDirectory(prefix="reshift-submission-") as scratch:
        folder = Path(scratch)
        manifest = unpack(path, folder)
        try:
            found = _checked(RunStore(folder), manifest)
        except SubmissionError as error:
            raise SubmissionError(_without(folder, error)) from error
        except Exception as error:
            # Values of any type may stand in a stranger's plan and records: whatever they trip is a refusal.
            raise SubmissionError(f"no boards can be made of it: {_without(folder, error)}; pack it again") from error
        yield RunStore(folder), found


def _checked(store: RunStore, manifest: Mapping[str, Any]) -> Accepted:
    plan = store.read_plan()
    records = _verified_records(store, plan)
    expected = _board_files(build_boards(store, plan))
    present = {PLAN_FILE, *expected}
    for cell, record in records.items():
        assert record.scores is not None
        present |= {f"cells/{cell}/{name}" for name in (RECORD_FILE, record.scores.file, *record.attachments)}
    for name in sorted(present ^ set(manifest["files"])):
        raise SubmissionError(f"{name}: {'missing' if name in present else 'belongs to no cell or board of its plan'}")
    for name, content in sorted(expected.items()):
        submitted = (store.path / name).read_bytes()
        if submitted != content:
            raise SubmissionError(_difference(name, submitted, content))
    code = _revisions(records)
    if (manifest.get("run"), manifest.get("code")) != (plan.name, code):
        raise SubmissionError("submission.json: run or code are not those of plan and records; pack the run again")
    boards = sum(name.endswith(".csv") for name in expected)
    return Accepted(plan.name, len(records), len(plan.cells) - len(records), boards, tuple(code))


def _verified_records(store: RunStore, plan: Plan) -> dict[str, Record]:
    """The record of every cell that applies, each what its plan and its own hashes say."""
    found: dict[str, Record] = {}
    for cell in plan.cells:
        if identity_hash(cell.identity) != cell.id:
            raise SubmissionError(f"{PLAN_FILE}: cell {cell.id} is not the hash of its identity; plan the run again")
        if cell.not_applicable:
            continue
        try:
            found[cell.id] = checked_record(store, cell.id)
        except RecordError as error:
            raise SubmissionError(f"not a finished run: {error}") from error
        _same_cell(cell, found[cell.id])
    if not found:
        raise SubmissionError(f"{PLAN_FILE}: no cell of it applies; there is nothing to submit")
    return found


def _same_cell(cell: PlannedCell, record: Record) -> None:
    for field in ("identity", "dataset", "model", "protocol", "split", "seed", "held_out", "control_of", "breaks"):
        planned, recorded = getattr(cell, field), getattr(record, field)
        if canonical_json(planned) != canonical_json(recorded):
            raise SubmissionError(f"cells/{cell.id}/{RECORD_FILE}: {field} is not the plan's; run the cell again")


def _board_files(boards: Boards) -> dict[str, bytes]:
    """The CSVs and their Markdown twin with the note at its head; drawn forecasts stay at home."""
    tables = {name: content for name, content in boards.files().items() if name.endswith(".csv")}
    noted = replace(boards, plan=replace(boards.plan, notes=(NOTE, *boards.plan.notes)))
    files = {**tables, "README.md": markdown(noted, tables).encode()}
    return {f"{FOLDER}/{name}": content for name, content in files.items()}


def _revisions(records: Mapping[str, Record]) -> list[str]:
    return sorted({str(record.run.get("git", "")) for record in records.values()})


def _refuse_secrets(files: Mapping[str, bytes], environment: Mapping[str, str]) -> None:
    for variable, value in environment_secrets(environment).items():
        for name, content in files.items():
            if not name.endswith(".npz") and value.encode() in content:
                raise SubmissionError(f"{name}: holds the value of {variable}; take it out of the preset and run again")


def _difference(name: str, submitted: bytes, expected: bytes) -> str:
    """The first row of a board that its scores do not give."""
    theirs, ours = (list(csv.reader(io.StringIO(part.decode(errors="replace")))) for part in (submitted, expected))
    for number, (row, right) in enumerate(zip(theirs, ours, strict=False), start=1):
        if row != right and name.endswith(".csv"):
            columns = zip(ours[0], row, right, strict=False)
            column, said, given = next(((c, s, g) for c, s, g in columns if s != g), ("", "another row", ""))
            return f"{name}, row {number} ({','.join(right[:4])}): {column} is {said!r}, the scores give {given!r}"
        if row != right:
            return f"{name}, line {number}: is not what the scores give"
    return f"{name}: has {len(theirs)} lines, the scores give {len(ours)}"


def _without(folder: Path, error: Exception) -> str:
    return " ".join(str(error).replace(f"{folder}/", "").split()) or type(error).__name__
