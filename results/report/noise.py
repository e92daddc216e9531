"""AUROC against the contamination rate, from the boards of a run that share a way of injecting noise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from reshift.results.board_rows import Row
from reshift.results.contamination_auroc import UNITS, rate_and_repeat, unit_of
from reshift.results.report.chart import Axis, Curve, Point, line_chart
from reshift.results.report.views import SHOWN, BoardView, CellPlaces

Rates = dict[str, dict[float, Point]]
"""Points by model and rate."""


def noise_charts(views: Sequence[BoardView], places: CellPlaces) -> str:
    """A chart a data set and way of injection with at least two rates; the best models in colour, others in grey.

    Intervals are 95 % over parts. They stand where a board holds one rate, or one split of it; the mean over several
    splits of a rate on a board of several has none.
    """
    charts = []
    for (dataset, unit), rates in noise_points(views, places).items():
        shares = sorted({rate for points in rates.values() for rate in points})
        if len(shares) > 1:
            charts.append(_chart(f"{dataset}, {unit} injected: AUROC against the contamination rate", rates, shares))
    return "".join(charts)


def noise_points(views: Sequence[BoardView], places: CellPlaces) -> dict[tuple[str, str], Rates]:
    """Mean AUROC by data set and unit, model and rate, second scores of a model and unfinished ones left out."""
    found: dict[tuple[str, str], Rates] = defaultdict(lambda: defaultdict(dict))
    for view in views:
        unit = unit_of(view.protocol) or UNITS.get(view.protocol)
        by_rate = _splits_by_rate(view)
        if unit is None or not by_rate:
            continue
        for summary in view.table:
            if places.model(summary.model) != summary.model:
                continue
            for rate, splits in by_rate.items():
                rows = [r for split in splits if (r := view.aurocs.get((summary.model, split))) is not None]
                whole = [summary.auroc] if len(by_rate) == 1 else rows
                if (point := _point(rate, whole)) is not None and len(rows) == len(splits):
                    found[view.dataset, unit][summary.model][rate] = point
    return {key: dict(rates) for key, rates in sorted(found.items())}


def _splits_by_rate(view: BoardView) -> dict[float, list[str]]:
    """Empty where a split's name states no rate."""
    found: dict[float, list[str]] = defaultdict(list)
    try:
        for split in view.splits:
            found[rate_and_repeat(split)[0]].append(split)
    except ValueError:
        return {}
    return dict(found)


def _point(rate: float, rows: Sequence[Row]) -> Point | None:
    means = [r.mean for r in rows if r.mean is not None]
    if not rows or len(means) < len(rows):
        return None
    interval = None
    if len(rows) == 1 and rows[0].part_low is not None and rows[0].part_high is not None:
        interval = rows[0].part_low, rows[0].part_high
    return Point(rate, sum(means) / len(means), interval)


def _chart(title: str, rates: Rates, shares: Sequence[float]) -> str:
    full = {model: points for model, points in rates.items() if len(points) == len(shares)}
    best = sorted(full, key=lambda model: (-sum(p.y for p in full[model].values()), model))[:SHOWN]
    others = sorted(set(rates) - set(best))
    curves = [Curve(m, [rates[m][rate] for rate in sorted(rates[m])], n) for n, m in enumerate(best)]
    curves += [Curve(m, [rates[m][rate] for rate in sorted(rates[m])]) for m in others]
    ends = [p.y for c in curves for p in c.points]
    ends += [end for c in curves if c.style is not None for p in c.points for end in p.interval or ()]
    low = min(int(min(ends) * 10) / 10, 0.9)
    ticks = [n / 10 for n in range(round(low * 10), 11)]
    margin = (shares[-1] - shares[0]) / 20
    x = Axis(
        "share of the images called good that are defective",
        shares[0] - margin,
        shares[-1] + margin,
        shares,
        lambda rate: f"{100 * rate:.0f} %",
    )
    return line_chart(title, curves, x, Axis("AUROC", low, 1.0, ticks, lambda value: f"{value:.1f}"))
