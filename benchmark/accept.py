"""`reshift accept` and `reshift confirm`: what they do to a published board, and what they say of it."""

from __future__ import annotations

from pathlib import Path

from reshift.datamodules.progress import StderrProgress
from reshift.results.acceptance import accept
from reshift.results.leaderboard import FOLDER
from reshift.results.provenance import MARK
from reshift.results.rerun import TOLERANCE, RerunFinding, confirm


def accepted(file: Path, board: Path) -> list[str]:
    """Bring a submission into a board; lines for a person.

    Raises:
        SubmissionError, ValueError, OSError: see `accept`.
    """
    found = accept(file, board, StderrProgress("boards"))
    if not found.added:
        return [f"nothing to add: {board} has all {found.already} cells of {file}"]
    lines = [
        f"accepted  {file} into {board}: {found.added} cells of {', '.join(found.models)}, marked {MARK} self-reported",
        f"sha256 {found.pack}",
    ]
    if found.already:
        lines.append(f"{found.already} cells were on the board already and stay as they are")
    for cell in found.not_applicable:
        lines.append(
            f"left out by its plan, look at why: {cell.model} on {cell.protocol}/{cell.split}: {cell.not_applicable}"
        )
    lines.append(f"boards: {board / FOLDER}; after a run of one's own: reshift confirm {board} RUN")
    return lines


def confirmed(board: Path, run: Path) -> tuple[list[str], bool]:
    """Compare a board's self-reported rows with a run of one's own; lines for a person, and whether all agree.

    Raises:
        SubmissionError, ValueError, OSError: see `confirm`.
    """
    findings = confirm(board, run, StderrProgress("boards"))
    return [_line(finding) for finding in findings], all(finding.agrees for finding in findings)


def _line(found: RerunFinding) -> str:
    who = f"{found.model} on {found.protocol} of {found.dataset}"
    measured = f"largest difference of a score {found.score:.3g}, of a figure {found.figure:.3g}"
    if found.agrees:
        return f"agrees   {who}: {found.cells} cells, {measured}; no longer marked"
    if found.figure > TOLERANCE:
        return f"differs  {who}: {measured} (at most {TOLERANCE:g}), {found.where}; stays marked"
    return f"partial  {who}: {found.rerun} of {found.cells} cells run again, {measured}; stays marked until all are"
