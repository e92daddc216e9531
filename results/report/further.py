"""What a run's other boards say (localisation, partial classification, prognosis, ...), as tables of the page."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence

from reshift.results.boards import Boards, picture_name
from reshift.results.label_error_summary import HEAD as LABEL_ERROR_HEAD
from reshift.results.label_error_summary import READING as LABEL_ERROR_READING
from reshift.results.label_error_summary import label_error_notes, label_error_tables
from reshift.results.localisation_summary import HEAD as LOCALISATION_HEAD
from reshift.results.localisation_summary import READING as LOCALISATION_READING
from reshift.results.localisation_summary import localisation_tables
from reshift.results.partial_summary import HEAD as PARTIAL_HEAD
from reshift.results.partial_summary import READING as PARTIAL_READING
from reshift.results.partial_summary import partial_tables
from reshift.results.prognosis_summary import HEAD as PROGNOSIS_HEAD
from reshift.results.prognosis_summary import READING as PROGNOSIS_READING
from reshift.results.prognosis_summary import prognosis_tables
from reshift.results.published import beside
from reshift.results.report.html import cell, heading, link, row, table, text, text_table
from reshift.results.report.views import CellPlaces
from reshift.results.summary import number

Tables = Mapping[tuple[str, str], Sequence[Sequence[str]]]

_DRAWN = 3
"""Methods of a prognosis board whose pictures are shown: one takes some 100 kB."""


def reading(markdown: str) -> str:
    """A paragraph of ours whose emphasis is Markdown's."""
    emphasised = re.sub(r"[*][*](.+?)[*][*]", r"<strong>\1</strong>", text(markdown))
    return f"<p>{emphasised}</p>"


def prognosis(boards: Boards, places: CellPlaces) -> str:
    """Remaining life: a table a board, and the forecasts of its first methods as pictures."""
    tables = prognosis_tables(boards.prognosis)
    pictures = boards.pictures() if tables else {}
    found = reading(PROGNOSIS_READING) if tables else ""
    for (dataset, protocol), rows in tables.items():
        found += f"<h3>{text(dataset)}: {text(protocol)}</h3>"
        found += _table(boards, PROGNOSIS_HEAD, rows, places, dataset, protocol)
        for model, *_ in rows[:_DRAWN]:
            drawn = [(kind, picture_name(dataset, protocol, model, kind)) for kind in ("sequence", "lives")]
            found += "".join(
                f'<figure><img class="plot" alt="{text(f"forecasts of {model}: {kind}")}" '
                f'src="data:image/svg+xml;base64,{b64encode(pictures[name]).decode()}">'
                f"<figcaption>{text(model)}</figcaption></figure>"
                for kind, name in drawn
                if name in pictures
            )
    return found


def localisation(boards: Boards, places: CellPlaces) -> str:
    """Anomaly maps against masks."""
    return _tables(boards, LOCALISATION_READING, LOCALISATION_HEAD, localisation_tables(boards.localisation), places)


def partial(boards: Boards) -> str:
    """Parts that skip a re-test."""
    return _tables(boards, PARTIAL_READING, PARTIAL_HEAD, partial_tables(boards.partial, boards.marked_model))


def label_errors(boards: Boards, places: CellPlaces) -> str:
    """What wrong test labels do to the headline figures."""
    tables, notes = label_error_tables(boards.label_errors), label_error_notes(boards.label_errors)
    return _tables(boards, LABEL_ERROR_READING, LABEL_ERROR_HEAD, tables, places, notes)


def published(boards: Boards) -> str:
    """Figures from papers beside ours."""
    rows = []
    for found in beside(boards.plan.published, boards.overall):
        f = found.published
        model = boards.marked_model(f.model, f.dataset, f.protocol)
        rows.append([model, f.dataset, f.protocol, number(f.value), number(found.ours), found.level, f.source])
    return text_table(["model", "data", "protocol", "published AUROC", "ours", "by", "source"], rows) if rows else ""


def _tables(
    boards: Boards,
    explained: str,
    head: Sequence[str],
    tables: Tables,
    places: CellPlaces | None = None,
    notes: Mapping[tuple[str, str], str] | None = None,
) -> str:
    found = reading(explained) if tables else ""
    for (dataset, protocol), rows in tables.items():
        note = f"<p>{text(notes[dataset, protocol])}</p>" if notes else ""
        found += f"<h3>{text(dataset)}: {text(protocol)}</h3>{note}"
        found += _table(boards, head, rows, places, dataset, protocol)
    return found


def _table(
    boards: Boards,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    places: CellPlaces | None,
    dataset: str,
    protocol: str,
) -> str:
    """A table whose models lead to their cells, where the first column names models."""
    if places is None:
        return text_table(head, rows)
    board = places.board(dataset, protocol)
    lines = []
    for first, *others in rows:
        shown = boards.marked_model(first, dataset, protocol)
        named = heading(link(places.target(board, first), text(shown)))
        lines.append(row(first, [named, *(cell(text(value)) for value in others)]))
    return table(head, lines)
