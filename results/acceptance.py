"""A checked submission brought into a published board: its cells, marked as self-reported, or nothing of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from reshift.results.atomic_write import write_atomically
from reshift.results.boards import Progress
from reshift.results.fair_comparison import check_comparable
from reshift.results.leaderboard import write_boards
from reshift.results.plan import Plan, PlannedCell
from reshift.results.record import RECORD_FILE
from reshift.results.store import FAILURE_FILE, PLAN_FILE, RunStore, Status
from reshift.results.submission import opened_submission
from reshift.results.submission_archive import SubmissionError
from reshift.results.submitted_cells import SUBMITTED_FILE, SubmittedCell, write_submitted


@dataclass(frozen=True)
class Acceptance:
    """What a submission brought to a board.

    Attributes:
        pack: sha256 of the archive.
        models: names of the models whose cells were added.
        added, already: cells that were added, and those that the board had.
        not_applicable: added cells that the submitted plan leaves out, each with its reason: nothing proves them.
    """

    pack: str
    models: tuple[str, ...]
    added: int
    already: int
    not_applicable: tuple[PlannedCell, ...]


def accept(archive: Path, board: Path, progress: Progress | None = None) -> Acceptance:
    """Check a submission, add what the board does not have, and rebuild the board's files.

    Cells that the board has stay as they are. A new board takes the submission's whole plan, under the folder's name.
    Order of writing: the mark, then records and scores byte for byte, then the plan, which alone brings them onto the
    board; boards follow from it, and a second call makes up for boards that could not be written.

    Args:
        board: a published run folder, or one that does not exist yet.
        progress: told how many boards were judged, and of how many.

    Raises:
        SubmissionError: the submission is refused, or does not belong on this board; the board is untouched.
        ValueError: the board's own plan or `submitted.json` cannot be read.
        OSError: the disk refused; the board's plan is as before, or complete.
    """
    with opened_submission(archive) as (source, _):
        pack = hashlib.sha256(archive.read_bytes()).hexdigest()
        target = RunStore(board)
        theirs = source.read_plan()
        own = _plan_of(target, theirs)
        check_comparable(own if own.cells else theirs, theirs.cells)
        known = {cell.id for cell in own.cells}
        new = [cell for cell in theirs.cells if cell.id not in known]
        # A stray folder of an accept that was killed looks done: what is not planned is copied again.
        taken = [
            cell
            for cell in theirs.cells
            if not cell.not_applicable and (cell.id not in known or target.status(cell.id) is not Status.DONE)
        ]
        if new or taken:
            with _all_or_nothing(target, taken):
                marks = {cell.id: SubmittedCell(pack) for cell in taken}
                write_submitted(board, {**target.submitted(), **marks})
                for cell in taken:
                    _copy(cell.id, source, target)
                target.write_plan(replace(own, cells=(*own.cells, *new)))
        write_boards(board, progress)
    applied = sum(not cell.not_applicable for cell in theirs.cells)
    return Acceptance(
        pack=pack,
        models=tuple(sorted({cell.model for cell in taken})),
        added=len(taken),
        already=applied - len(taken),
        not_applicable=tuple(cell for cell in new if cell.not_applicable),
    )


def _plan_of(target: RunStore, theirs: Plan) -> Plan:
    """The board's plan, or the submission's without cells where the board is new."""
    if (target.path / PLAN_FILE).exists():
        return target.read_plan()
    # What an accept that was killed leaves is no obstacle; anybody else's folder is.
    strange = [path for path in _entries(target.path) if path.name not in ("cells", SUBMITTED_FILE)]
    if strange:
        raise SubmissionError(
            f"{target.path}: no board, yet holds {strange[0].name}; name a board's folder, or a new one"
        )
    return replace(theirs, name=target.path.resolve().name, cells=())


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


@contextmanager
def _all_or_nothing(target: RunStore, taken: Sequence[PlannedCell]) -> Iterator[None]:
    """Whatever breaks off before the plan is written takes its cells and marks away again."""
    existed = target.path.exists()
    target.path.mkdir(parents=True, exist_ok=True)
    path = target.path / SUBMITTED_FILE
    before = path.read_bytes() if path.exists() else None
    try:
        yield
    except BaseException:
        for cell in taken:
            _remove(target.folder(cell.id))
        with suppress(OSError):
            if before is None:
                path.unlink(missing_ok=True)
            elif path.read_bytes() != before:
                write_atomically(path, before)
        for folder in (target.folder("x").parent, *([] if existed else [target.path])):
            with suppress(OSError):
                folder.rmdir()
        raise


def _copy(cell: str, source: RunStore, target: RunStore) -> None:
    """Record, scores and attachments byte for byte, the record last; all of them were checked in the source."""
    folder = target.folder(cell)
    folder.mkdir(parents=True, exist_ok=True)
    files = sorted(source.folder(cell).iterdir(), key=lambda path: (path.name == RECORD_FILE, path.name))
    for path in files:
        write_atomically(folder / path.name, path.read_bytes())
    (folder / FAILURE_FILE).unlink(missing_ok=True)


def _remove(folder: Path) -> None:
    """What `_copy` may have put there; a cell that was to be taken had no valid record before."""
    with suppress(OSError):
        (folder / RECORD_FILE).unlink(missing_ok=True)
        for path in folder.glob("*.npz"):
            path.unlink()
        folder.rmdir()
