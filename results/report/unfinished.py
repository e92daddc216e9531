"""What a run lacks: cells that failed and why, records that cannot be read, and what never applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from reshift.results.boards import Boards
from reshift.results.report.html import cell, heading, link, row, table, text, text_table
from reshift.results.store import Failure


def unfinished(boards: Boards, failures: Mapping[str, Failure]) -> str:
    """Tables of everything that has no number, each only where there is something to say.

    Args:
        failures: by cell id, of the planned cells that failed.
    """
    parts = [_failed(boards, failures), _unreadable(boards)]
    if boards.plan.skipped:
        parts.append("<h3>Protocols that these data cannot carry</h3>")
        parts.append(text_table(["data", "protocol", "reason"], boards.plan.skipped))
    apart = Counter((c.model, c.dataset, c.protocol, c.not_applicable) for c in boards.plan.cells if c.not_applicable)
    if apart:
        rows = [[*key[:3], str(n), key[3]] for key, n in sorted(apart.items())]
        parts.append("<h3>Models that do not apply</h3>")
        parts.append(text_table(["model", "data", "protocol", "cells", "reason"], rows))
    return "".join(parts)


def _failed(boards: Boards, failures: Mapping[str, Failure]) -> str:
    rows = []
    for planned in boards.plan.cells:
        if (failure := failures.get(planned.id)) is not None:
            values = (planned.dataset, planned.protocol, planned.split, planned.seed, failure.attempts)
            cells = [*(cell(text(value)) for value in values), cell(text(f"{failure.kind}: {failure.message}"))]
            rows.append(row(planned.model, [heading(link(f"c/{planned.id}", text(planned.model))), *cells]))
    head = ["model", "data", "protocol", "split", "seed", "attempts", "error"]
    return "<h3>Failed cells</h3>" + table(head, rows, "sortable wrap") if rows else ""


def _unreadable(boards: Boards) -> str:
    found = "".join(f"<li>{text(problem)}</li>" for problem in boards.problems)
    return f"<h3>Unreadable records, counted as missing</h3><ul>{found}</ul>" if found else ""
