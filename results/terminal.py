"""The boards as plain text for a terminal."""

from __future__ import annotations

import re

from reshift.results.boards import Boards
from reshift.results.prognosis_summary import HEAD as PROGNOSIS_HEAD
from reshift.results.prognosis_summary import prognosis_tables
from reshift.results.provenance import provenance_notes
from reshift.results.summary import Share, Summary, number, progress, summaries, with_parts_interval

_HEAD = ("tier", "model", "AUROC (95 % parts)", "worst", "gap", "escapes", "false rejects", "cells")

# Of the prognosis table, as much as fits: intervals, warning time and numbers of sequences stand in the Markdown.
_PROGNOSIS = (0, 1, 2, 3, 5, 6, 7, 10)


def terminal_table(boards: Boards, width: int = 118) -> str:
    """One block a data set and protocol; no line is longer than `width`, long model names are cut with '~'.

    Escapes and false rejects read '2/57 <=11%': two of 57, at most 11 %.
    """
    notes = (*boards.plan.notes, *provenance_notes(boards.provenance))
    blocks = [f"{boards.plan.name}: {progress(boards)}", *(f"  {note}" for note in notes)]
    for (dataset, protocol), table in summaries(boards).items():
        title = f"{dataset}: {protocol}"
        blocks += ["", f"{title}   ** MARKED: flatters the models **" if "[breaks: " in protocol else title]
        blocks += _aligned(
            [_HEAD, *(_cells(s, boards.marked_model(s.model, s.dataset, s.protocol)) for s in table)], width, name=1
        )
    for (dataset, protocol), rows in prognosis_tables(boards.prognosis).items():
        blocks += ["", f"{dataset}: {protocol}, remaining life"]
        named = [[boards.marked_model(model, dataset, protocol), *others] for model, *others in rows]
        shown = [[re.sub(r" \(.*?\)", "", row[i]) or "-" for i in _PROGNOSIS] for row in (PROGNOSIS_HEAD, *named)]
        blocks += _aligned([tuple(row) for row in shown], width, name=0)
    blocks += [f"skipped: {dataset}: {protocol}: {reason}" for dataset, protocol, reason in boards.plan.skipped]
    blocks += [f"unreadable: {problem}" for problem in boards.problems]
    return "\n".join(blocks) + "\n"


def _cells(s: Summary, model: str) -> tuple[str, ...]:
    return (
        str(s.tier or ""),
        model,
        with_parts_interval(s.auroc).replace(" to ", "-") or "-",
        number(s.worst) or "-",
        with_parts_interval(s.gap, signed=True).split(" ")[0] or "-",
        _short(s.escapes),
        _short(s.false_rejects),
        s.auroc.coverage,
    )


def _short(share: Share | None) -> str:
    if share is None:
        return "-"
    bound = "" if share.upper is None else f" <={share.percent}%"
    return f"{share.wrong}/{share.n}{bound}"


def _aligned(rows: list[tuple[str, ...]], width: int, name: int) -> list[str]:
    """Columns of equal width; column `name` gives way where a line would be longer than `width`."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    gaps = 2 * len(widths)
    widths[name] = max(8, min(widths[name], width - gaps - (sum(widths) - widths[name])))
    lines = []
    for row in rows:
        cells = [c if len(c) <= w else c[: w - 1] + "~" for c, w in zip(row, widths, strict=True)]
        lines.append(("  " + "  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True))).rstrip())
    return lines
