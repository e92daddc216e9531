"""The report as one self-contained HTML file: it asks nothing of the network, and says so to the browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reshift.results.atomic_write import write_atomically
from reshift.results.provenance import provenance_notes
from reshift.results.report import further
from reshift.results.report.board import NEEDED, board_table, confusion_matrices, risk_chart, split_table
from reshift.results.report.cells import cell_data
from reshift.results.report.document import document
from reshift.results.report.examined import Examined
from reshift.results.report.gallery import Pictures, WrongMaps, gallery
from reshift.results.report.heat_map import heat_cell
from reshift.results.report.html import heading, link, row, script_json, section, table, text
from reshift.results.report.noise import noise_charts
from reshift.results.report.prepare import Report
from reshift.results.report.ranks import rank_tables
from reshift.results.report.rounds import rounds_table
from reshift.results.report.unfinished import unfinished
from reshift.results.report.views import BoardView, CellPlaces
from reshift.results.statistics import MIN_PARTS
from reshift.results.summary import progress
from reshift.results.thresholds import ALPHA

REPORT_FILE = Path("report") / "index.html"
_OPEN = 4
"""Boards of a run with more of them are folded, so that the page can be looked over."""

_READING = f"""\
**AUROC**: how often a defective part scores above a good one (0.5 is guessing, 1 perfect), mean over splits and seeds,
with the 95 % interval over parts (none below {MIN_PARTS} parts of a class). **Tier**: models of one tier cannot be told
apart on these parts; their order means nothing. **Worst split**: the split with the lowest AUROC. **Gap**: AUROC lost
to the shift, against a matched control on the same parts; an interval above 0 is a real loss. **Escapes**: defective
called good; **false rejects**: good called defective; at the threshold that is meant to reject {100 * ALPHA:.0f} % of
good ones, each part counted once, mean over seeds rounded up, "at most" an exact 95 % bound for new parts like these;
{NEEDED}."""


def write_report(report: Report, pictures: Pictures | None = None, maps: WrongMaps | None = None) -> Path:
    """Write `report/index.html` of the run in one step and return its path.

    Raises:
        ValueError: a picture that is neither PNG nor JPEG.
    """
    path = report.run / REPORT_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, report_html(report, pictures or {}, maps).encode())
    return path


def report_html(report: Report, pictures: Pictures, maps: WrongMaps | None = None) -> str:
    """The page; the same run, pictures and maps give the same text.

    Raises:
        ValueError: a picture that is neither PNG nor JPEG.
    """
    boards, places, views = report.boards, report.places, report.views
    aurocs = {name: value for found in report.examined for name, value in found.aurocs.items()}
    shown = [
        _board(view, found, pictures, maps or WrongMaps(), places, folded=len(views) > _OPEN)
        for view, found in zip(views, report.examined, strict=True)
    ]
    sections = [
        ("Overview", "overview", _overview(views, places)),
        ("Boards", "boards", further.reading(" ".join(_READING.split())) + "".join(shown) if shown else ""),
        ("Label noise", "noise", noise_charts(views, places)),
        ("What refinement removed", "refinement", rounds_table(boards, report.truth, places)),
        ("Ranks over data sets", "ranks", rank_tables(boards)),
        ("If test labels are wrong", "label-errors", further.label_errors(boards, places)),
        ("Where defects are seen", "localisation", further.localisation(boards, places)),
        ("Who skips the re-test", "partial", further.partial(boards)),
        ("Remaining life", "prognosis", further.prognosis(boards, places)),
        ("Published beside ours", "published", further.published(boards)),
        ("Not finished, not applicable", "unfinished", unfinished(boards, report.failures)),
    ]
    present = [(title, name, content) for title, name, content in sections if content]
    contents = "".join(f"<li>{link(name, text(title))}</li>" for title, name, _ in present)
    data = script_json(cell_data(boards, places, aurocs, report.status, report.failures, report.logs))
    body = (
        f"<header><h1>{text(boards.plan.name)}</h1><p><strong>{text(progress(boards))}</strong></p>{_notes(report)}"
        f"<nav><ul>{contents}</ul></nav></header>{_filter(views)}<main>"
        f"{''.join(section(*found) for found in present)}</main>"
        '<dialog id="panel" aria-labelledby="panel-title"></dialog>'
        f'<script type="application/json" id="cells">{data}</script>'
    )
    return document(f"{boards.plan.name}: ReShift report", body)


def _notes(report: Report) -> str:
    notes = "".join(f"<li>{text(note)}</li>" for note in report.boards.plan.notes)
    folded = f"<details><summary>Read this first</summary><ul>{notes}</ul></details>" if notes else ""
    # Who vouches for a row is not for a reader to unfold.
    return "".join(f"<p>{text(note)}</p>" for note in provenance_notes(report.boards.provenance)) + folded


def _filter(views: Sequence[BoardView]) -> str:
    """The form that narrows boards and rows; hidden until the script that serves it runs."""

    def choice(name: str, title: str, values: Sequence[str]) -> str:
        options = "".join(f'<option value="{text(v)}">{text(v)}</option>' for v in values)
        return f'<label>{title} <select name="{name}"><option value="">all</option>{options}</select></label>'

    datasets, protocols = sorted({v.dataset for v in views}), sorted({v.protocol for v in views})
    return (
        '<form id="filter" role="search" hidden><label>model <input type="search" name="model" placeholder="part of '
        f'its name"></label>{choice("dataset", "data", datasets)}{choice("protocol", "protocol", protocols)}'
        '<output aria-live="polite"></output></form>'
    )


def _overview(views: Sequence[BoardView], places: CellPlaces) -> str:
    """Mean AUROC of every model on every protocol, a heat map a data set."""
    found = ""
    for dataset in sorted({view.dataset for view in views}):
        own = [view for view in views if view.dataset == dataset]
        marks = {model: mark for view in own for model, mark in view.marks.items() if mark}
        means = {(s.model, view.number): s.auroc.mean for view in own for s in view.table}
        rows = [
            row(
                model,
                [
                    heading(text(model + marks.get(model, ""))),
                    *(heat_cell(means.get((model, v.number)), places.target(v.number, model)) for v in own),
                ],
            )
            for model in sorted({model for model, _ in means})
        ]
        head = ["model", *(view.title for view in own)]
        found += f"<h3>{text(dataset)}</h3>" + table(head, rows, "sortable heat", "mean AUROC by model and protocol")
    return found


def _board(
    view: BoardView, examined: Examined, pictures: Pictures, maps: WrongMaps, places: CellPlaces, *, folded: bool
) -> str:
    parts = [
        ("", board_table(view, places)),
        ("Split by split", split_table(view, places)),
        ("Verdicts of the first models", confusion_matrices(view)),
        ("Risk by coverage", risk_chart(view, examined.risk)),
        ("Most wrong parts", gallery(view, examined.wrong, pictures, maps, places)),
    ]
    content = "".join((f"<h3>{title}</h3>" if title else "") + found for title, found in parts if found)
    return (
        f'<details class="board" data-dataset="{text(view.dataset)}" data-protocol="{text(view.protocol)}"'
        f"{'' if folded else ' open'}><summary>{text(view.dataset)}: {text(view.title)}</summary>{content}</details>"
    )
