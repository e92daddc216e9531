"""A board of the report: its table, what each verdict came to, and how well each model did on each split."""

from __future__ import annotations

from collections.abc import Mapping

from reshift.results.board_rows import Row
from reshift.results.escape_bound import needed_parts
from reshift.results.report.chart import Axis, Curve, Point, line_chart
from reshift.results.report.heat_map import heat_cell
from reshift.results.report.html import cell, heading, link, row, table, text
from reshift.results.report.views import BoardView, CellPlaces
from reshift.results.risk_coverage import COVERAGES
from reshift.results.scored_units import Floats
from reshift.results.statistics import CONFIDENCE
from reshift.results.summary import Share, Summary, number, with_parts_interval
from reshift.results.thresholds import ALPHA

CLAIM = 0.01
NEEDED = f"{needed_parts(CLAIM, 1 - CONFIDENCE)} parts needed to claim {100 * CLAIM:g} %"
"""What stands beside every bound on escapes: a claim of 1 % takes so many defective parts, all of them caught."""

_GLYPH = 110
_SIDE = 4
_MARKED = "Training and test are not independent here, so these numbers flatter the models; shown for comparison only."


def board_table(view: BoardView, places: CellPlaces) -> str:
    """A line a model, best tier and AUROC first; every AUROC leads to its cells."""
    gaps = any(s.gap is not None for s in view.table)
    head = ["model", "tier", "AUROC (95 % over parts)", "interval (dashed: guessing)", "95 % over seeds", "worst split"]
    head += ["gap to matched control"] if gaps else []
    head += ["escapes", "false rejects", "parts", "cells"]
    note = f'<p class="warning">{_MARKED}</p>' if view.title != view.protocol else ""
    lows = [v for s in view.table for v in (s.auroc.mean, s.auroc.part_low) if v is not None]
    rows = (_line(s, view, places, gaps, min([0.5, *lows])) for s in view.table)
    return note + _prevalence(view) + table(head, rows, "sortable board")


def split_table(view: BoardView, places: CellPlaces) -> str:
    """The heat map: AUROC of every model on every split, controls left out."""
    rows = []
    for summary in view.table:
        cells = [heat_cell(summary.auroc.mean, places.target(view.number, summary.model))]
        for split in view.splits:
            found = view.aurocs.get((summary.model, split))
            mean = None if found is None else found.mean
            cells.append(heat_cell(mean, places.target(view.number, summary.model, split)))
        rows.append(row(summary.model, [heading(text(view.marked_model(summary.model))), *cells]))
    return table(["model", "mean", *view.splits], rows, "sortable heat", "AUROC by model and split")


def confusion_matrices(view: BoardView) -> str:
    """Verdicts of the best models at the shared threshold, each part counted once over all splits and seeds."""
    shown = [s for s in view.table if s.model in view.best and s.escapes and s.false_rejects]
    return f'<div class="cards">{"".join(map(_matrix, shown))}</div>' if shown else ""


def risk_chart(view: BoardView, risk: Mapping[str, Floats]) -> str:
    """How often the best models are wrong on the parts that each of them is surest of, from few parts to all."""
    if not risk:
        return ""
    highest = max(float(curve.max()) for curve in risk.values())
    step = next((s for s in (0.01, 0.02, 0.05, 0.1) if highest <= 5 * s), 0.2)
    ticks = [step * n for n in range(6)]
    curves = [
        Curve(model, [Point(c, float(r)) for c, r in zip(COVERAGES, risk[model], strict=True)], style)
        for style, model in enumerate(view.best)
        if model in risk
    ]
    return line_chart(
        f"{view.dataset}, {view.title}: wrong calls among the parts a model is surest of",
        curves,
        Axis("share of the parts that are called, surest first", 0.0, 1.0, (0, 0.2, 0.4, 0.6, 0.8, 1), _percent),
        Axis("wrong calls", 0.0, ticks[-1], ticks, _percent),
    )


def glyph(found: Row | None, low: float, high: float, zero: float) -> str:
    """A mean and its interval over parts as a small picture from `low` to `high`, with a line at `zero`."""
    if found is None or found.mean is None:
        return ""

    def place(value: float) -> str:
        return f"{_SIDE + (min(max(value, low), high) - low) / (high - low) * (_GLYPH - 2 * _SIDE):.1f}"

    bar = ""
    if found.part_low is not None and found.part_high is not None:
        bar = f'<path class="bar" d="M{place(found.part_low)} 7H{place(found.part_high)}"/>'
    return (
        f'<svg class="glyph" aria-hidden="true" viewBox="0 0 {_GLYPH} 14"><path class="zero" d="M{place(zero)} 0V14"/>'
        f'{bar}<circle cx="{place(found.mean)}" cy="7" r="3.5"/></svg>'
    )


def _prevalence(view: BoardView) -> str:
    known = [s for s in view.table if s.prevalence is not None and s.floor_f1 is not None]
    if not known:
        return "<p>Not complete, so no prevalence and floor yet.</p>"
    first = known[0]
    unit = "parts" if first.auroc.level == "part" else "images"
    return (
        f"<p>Judged by {first.auroc.level}. Of the tested {unit}, {100 * (first.prevalence or 0):.0f} % are "
        f"defective; calling everything defective has F1 {number(first.floor_f1)}.</p>"
    )


def _line(s: Summary, view: BoardView, places: CellPlaces, gaps: bool, low: float) -> str:
    all_cells = places.target(view.number, s.model)
    seeds = s.auroc
    spread = "" if seeds.seed_low is None else f"{number(seeds.seed_low)} to {number(seeds.seed_high)}"
    worst = link(places.target(view.number, s.model, s.worst_split), number(s.worst)) if s.worst_split else ""
    cells = [
        heading(text(view.marked_model(s.model))),
        cell(text(s.tier or ""), s.tier or ""),
        cell(link(all_cells, text(with_parts_interval(s.auroc))), _order(s.auroc.mean)),
        cell(glyph(s.auroc, low, 1.0, 0.5), _order(s.auroc.mean)),
        cell(text(spread)),
        cell(f"{worst} <small>{text(s.worst_split)}</small>", _order(s.worst)),
    ]
    if gaps:
        lost = link(all_cells, text(with_parts_interval(s.gap, signed=True)))
        cells.append(cell(lost, _order(s.gap.mean if s.gap else None)))
    cells += [_share(s.escapes, all_cells), _share(s.false_rejects, all_cells)]
    cells += [cell(text(s.auroc.n_parts or ""), s.auroc.n_parts or ""), cell(text(s.auroc.coverage))]
    return row(s.model, cells)


def _share(share: Share | None, target: str) -> str:
    if share is None:
        return cell("", "")
    return cell(link(target, text(share)), share.wrong / share.n)


def _matrix(s: Summary) -> str:
    assert s.escapes is not None and s.false_rejects is not None
    caught, passed = s.escapes.n - s.escapes.wrong, s.false_rejects.n - s.false_rejects.wrong
    lines = (
        ("defective", f"<td>{caught}</td>", f'<td class="wrong">{s.escapes.wrong}</td>'),
        ("good", f'<td class="wrong">{s.false_rejects.wrong}</td>', f"<td>{passed}</td>"),
    )
    body = "".join(f"<tr>{heading(f'is {name}')}{first}{second}</tr>" for name, first, second in lines)
    return (
        f'<div class="card"><h4>{text(s.model)}</h4><table class="matrix"><thead><tr><td></td>'
        f'<th scope="col">called defective</th><th scope="col">called good</th></tr></thead><tbody>{body}</tbody>'
        f"</table><p>escapes {text(s.escapes)}; {text(NEEDED)}</p><p>false rejects {text(s.false_rejects)} "
        f"(meant: {100 * ALPHA:.0f} %)</p></div>"
    )


def _order(value: float | None) -> float | str:
    return "" if value is None else round(value, 6)


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"
