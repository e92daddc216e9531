"""Tables of docs/noise.md: a row a model or ranker, a column a contamination rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from reshift.results.contamination_auroc import boards_in_order
from reshift.results.markdown import markdown_table
from reshift.results.refinement_gain import AIM, MethodGain, Yardstick, method_gains, split_gains
from reshift.results.summary import number

_AIMED = f"{100 * AIM[0]:.0f}-{100 * AIM[1]:.0f} %"
_ROUNDING = 1e-9


def aim_table(gains: Sequence[MethodGain]) -> list[str]:
    """Markdown lines: gain and share over the rates of `AIM`, and the gain without contamination; largest gain first.

    Args:
        gains: as `method_gains` gives them, board by board.
    """
    clean = {(g.dataset, g.unit, g.model): signed_gain(g) for g in gains if g.rate == 0}
    boards = list(dict.fromkeys((g.dataset, g.unit) for g in gains))
    pooled = [g for g in gains if g.rate is None]
    pooled.sort(key=lambda g: (boards.index((g.dataset, g.unit)), -g.gain, g.model))
    rows = [
        [
            g.dataset,
            g.unit,
            g.model,
            signed_gain(g),
            oracle_share(g),
            clean.get((g.dataset, g.unit, g.model), ""),
            str(g.splits),
        ]
        for g in pooled
    ]
    head = ["data", "injected", "model", f"gain at {_AIMED} (95 %)", "share of the oracle's (95 %)"]
    return markdown_table([*head, "gain at 0 % (95 %)", "splits"], rows)


def lead_table(aurocs: pd.DataFrame, leads: Sequence[tuple[str, str]]) -> list[str]:
    """Markdown lines: how far a model leads another over the rates of `AIM` and without contamination, by board.

    Args:
        aurocs: as `contamination_auroc.contamination_aurocs` gives them.
        leads: (model, the other); pairs of which a board misses one have no row there.
    """
    rows = []
    for model, other in leads:
        found = [g for g in method_gains(split_gains(aurocs, other), Yardstick(other)) if g.model == model]
        clean = {(g.dataset, g.unit): signed_gain(g) for g in found if g.rate == 0}
        rows += [
            [g.dataset, g.unit, model, other, signed_gain(g), clean.get((g.dataset, g.unit), "")]
            for g in found
            if g.rate is None
        ]
    head = ["data", "injected", "model", "over", f"lead at {_AIMED} (95 %)", "lead at 0 % (95 %)"]
    return markdown_table(head, rows)


def gain_tables(gains: Sequence[MethodGain], shown: Callable[[MethodGain], str]) -> list[str]:
    """Markdown lines: a table a board, a row a model, a column a rate.

    Args:
        shown: what a cell says of a gain; a model of which it says nothing at any rate has no row.
    """
    rows = [(g.dataset, g.unit, g.rate, g.model, text) for g in gains if g.rate is not None and (text := shown(g))]
    return rate_tables(pd.DataFrame(rows, columns=["dataset", "unit", "rate", "model", "text"]), "model")


def mean_tables(frame: pd.DataFrame, name: str, value: str) -> list[str]:
    """Markdown lines: a table a board, a row a `name`, its mean `value` over splits and seeds at every rate."""
    found = [frame[(frame["dataset"] == d) & (frame["unit"] == u)] for d, u in boards_in_order(frame)]
    means = [own.groupby(["dataset", "unit", "rate", name], as_index=False)[value].mean() for own in found]
    rows = pd.concat(means)
    return rate_tables(rows.assign(text=rows[value].map(number)), name)


def rate_tables(cells: pd.DataFrame, name: str) -> list[str]:
    """Markdown lines: a table a board, a row a `name`, a column a rate; what is not there is blank.

    Args:
        cells: columns dataset, unit, rate, `name`, text.
    """
    lines: list[str] = []
    for dataset, unit in boards_in_order(cells):
        own = cells[(cells["dataset"] == dataset) & (cells["unit"] == unit)]
        table = own.pivot(index=name, columns="rate", values="text").fillna("").sort_index(axis=0).sort_index(axis=1)
        rows = [[str(key), *map(str, row)] for key, row in zip(table.index, table.to_numpy(), strict=True)]
        head = [name, *(f"{100 * rate:.0f} %" for rate in table.columns)]
        lines += [f"{dataset}, {unit}:", "", *markdown_table(head, rows), ""]
    return lines[:-1]


def signed_gain(gain: MethodGain) -> str:
    """'+0.012 (-0.003 to +0.027)', the interval left out where there is none."""
    if gain.interval is None:
        return f"{gain.gain + 0.0:+.3f}"
    low, high = gain.interval
    return f"{gain.gain + 0.0:+.3f} ({low + 0.0:+.3f} to {high + 0.0:+.3f})"


def oracle_share(gain: MethodGain) -> str:
    """'52 % (30 to 70)', nothing where there is no share; the oracle's own 100 % has no interval."""
    if gain.share is None or gain.share_interval is None:
        return ""
    low, high = gain.share_interval
    interval = f" ({round(100 * low)} to {round(100 * high)})" if high - low > _ROUNDING else ""
    return f"{round(100 * gain.share)} %{interval}"
