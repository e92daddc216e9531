"""`reshift submit` and `reshift check-submission`: what they write, and what they say of it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from reshift.results.atomic_write import write_atomically
from reshift.results.store import RunStore
from reshift.results.submission import check_submission, submission
from reshift.results.submission_archive import SubmissionError


def submit(run: Path, out: Path | None) -> list[str]:
    """Pack a finished run.

    Args:
        run: its folder.
        out: file to write; the run's name and `.submission.zip` in the current folder where None.

    Returns:
        Lines for a person.

    Raises:
        SubmissionError: no folder to write to; see also `results.submission.submission`.
        OSError: the file cannot be written.
    """
    file = out or Path(f"{run.resolve().name}.submission.zip")
    if not file.parent.is_dir():
        raise SubmissionError(f"{file.parent}: no such folder; make it, or give another --out")
    content = submission(RunStore(run), os.environ)
    write_atomically(file, content)
    return [
        f"wrote {file} ({len(content) / 2**20:.1f} MiB, sha256 {hashlib.sha256(content).hexdigest()})",
        f"look at it as a stranger will: reshift check-submission {file}",
    ]


def checked(file: Path) -> list[str]:
    """Check a submission; lines for a person.

    Raises:
        SubmissionError: refused, with the first reason.
    """
    found = check_submission(file)
    lines = [
        f"accepted  {file}: run {found.run}, {found.cells} cells, {found.boards} boards recomputed from their scores",
        "self-reported until somebody runs the cells again",
    ]
    if found.not_applicable:
        lines.append(f"left out as not applicable by its plan: {found.not_applicable} cells")
    for revision in found.code:
        if not revision:
            lines.append("some records name no code revision: they did not run from a git checkout")
        elif revision.endswith("+"):
            lines.append(
                f"code {revision.removesuffix('+')} with uncommitted changes: nobody can run exactly that again"
            )
        else:
            lines.append(f"code {revision}")
    return lines
