"""The two plots of docs/noise.md: AUROC against the contamination rate, and how well suspicion finds the noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator, PercentFormatter

from reshift.results.contamination_auroc import boards_in_order
from reshift.results.plot_style import INK, plain_style
from reshift.results.refinement_gain import AIM, MethodGain

# Okabe and Ito's colours without the yellow, which is lost on white; a marker of its own tells each apart in grey.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_GREY = "#777777"
_ORACLES = (("x", "--"), ("+", ":"))
_GUESSING = 0.5
_PANEL = 3.6
"""Width of a panel in inches; three fill a page of Markdown."""
_LEGEND = 7.2
"""Width in inches that a legend of two columns needs."""


@dataclass(frozen=True)
class Line:
    """How one model or ranker is drawn."""

    name: str
    label: str
    colour: str
    marker: str = ""
    style: str = "-"
    width: float = 1.6


def model_lines(baseline: str, oracles: Mapping[str, str], others: Mapping[str, str]) -> list[Line]:
    """Black for the baseline, grey for oracles, a colour and a marker each for the others.

    Args:
        oracles: what the legend calls the two, by name.
        others: the same, in the legend's order.

    Raises:
        ValueError: more others than colours that can be told apart.
    """
    _check(len(others), len(_COLOURS))
    known = [Line(name, label, _GREY, k, s) for (name, label), (k, s) in zip(oracles.items(), _ORACLES, strict=True)]
    return [
        Line(baseline, "vanilla flow, keeps everything", INK, width=2.4),
        *known,
        *(Line(name, label, c, m) for (name, label), c, m in zip(others.items(), _COLOURS, _MARKERS, strict=False)),
    ]


@plain_style()
def auroc_figure(aurocs: pd.DataFrame, gains: Sequence[MethodGain], lines: Sequence[Line]) -> Figure:
    """A column a board: above the mean AUROC by rate, below the gain over the baseline with its 95 % interval.

    AUROCs carry no intervals: those of two models would show how splits differ, which both models share.

    Args:
        aurocs: as `contamination_auroc.contamination_aurocs` gives them.
        lines: the first is the baseline, which the lower row has as its zero.
    """
    boards = boards_in_order(aurocs)
    figure = Figure(figsize=(max(_PANEL * len(boards), _LEGEND), 7.0), layout="constrained")
    axes = figure.subplots(2, len(boards), sharex=True, sharey="row", squeeze=False)
    for column, (dataset, unit) in enumerate(boards):
        top, bottom = axes[:, column]
        own = aurocs[(aurocs["dataset"] == dataset) & (aurocs["unit"] == unit)]
        means = own.groupby(["model", "rate"])["auroc"].mean()
        for line in lines:
            if line.name in means:
                _draw(top, line, means[line.name])
        _draw_gains(bottom, [g for g in gains if (g.dataset, g.unit) == (dataset, unit)], lines[1:])
        top.set_title(f"{_plain(dataset)},\n{unit}", fontsize=11)
        bottom.axhline(0, color=lines[0].colour, linewidth=lines[0].width, zorder=1)
        _finish_rates(bottom)
        for ax in (top, bottom):
            ax.axvspan(*AIM, color="#EEEEEE", zorder=0)
    axes[0, 0].set_ylabel("AUROC")
    axes[1, 0].set_ylabel("gain in AUROC over vanilla")
    _legend(figure, axes[0])
    return figure


@plain_style()
def separation_figure(separation: pd.DataFrame) -> Figure:
    """A row a board, a column a way to be scored: mean separation of bad from good candidates by rate, a line a method.

    Args:
        separation: columns dataset, unit, rate, method, how, separation; rows of all components together.

    Raises:
        ValueError: more methods than colours that can be told apart.
    """
    boards, ways = boards_in_order(separation), list(dict.fromkeys(separation["how"]))
    methods = sorted(separation["method"].unique())
    _check(len(methods), 1 + len(_COLOURS))
    lines = [Line(m, _plain(m), c, k) for m, c, k in zip(methods, (INK, *_COLOURS), ("x", *_MARKERS), strict=False)]
    figure = Figure(figsize=(_PANEL * len(ways), 1.4 + 2.6 * len(boards)), layout="constrained")
    axes = figure.subplots(len(boards), len(ways), sharex=True, sharey=True, squeeze=False)
    for row, (dataset, unit) in enumerate(boards):
        own = separation[(separation["dataset"] == dataset) & (separation["unit"] == unit)]
        for column, how in enumerate(ways):
            ax = axes[row, column]
            means = own[own["how"] == how].groupby(["method", "rate"])["separation"].mean()
            for line in lines:
                if line.name in means:
                    _draw(ax, line, means[line.name])
            ax.axhline(_GUESSING, color=_GREY, linestyle=":", linewidth=1)
            if row == 0:
                ax.set_title(how, fontsize=11)
            if row == len(boards) - 1:
                _finish_rates(ax)
        axes[row, 0].set_ylabel(f"{_plain(dataset)},\n{unit}")
    axes[0, 0].annotate("guessing", (0.98, _GUESSING), (0, 3), ("axes fraction", "data"), "offset points", ha="right")
    figure.supylabel("separation of bad from good (AUROC)", fontsize=10)
    _legend(figure, axes.ravel().tolist())
    return figure


def _check(lines: int, colours: int) -> None:
    if lines > colours:
        raise ValueError(f"{lines} lines in one panel, of which {colours} can be told apart; draw fewer")


def _draw(axes: Axes, line: Line, by_rate: pd.Series[float]) -> None:
    drawn = by_rate.sort_index()
    axes.plot(
        drawn.index,
        drawn.to_numpy(),
        color=line.colour,
        marker=line.marker,
        linestyle=line.style,
        linewidth=line.width,
        markersize=5,
        label=line.label,
    )


def _draw_gains(axes: Axes, gains: Sequence[MethodGain], lines: Sequence[Line]) -> None:
    for place, line in enumerate(lines):
        own = [g for g in gains if g.model == line.name and g.rate is not None]
        # Side by side, so that bars of one rate do not hide each other.
        shift = 0.01 * (place - (len(lines) - 1) / 2)
        bars = [(g.interval[0] - g.gain, g.interval[1] - g.gain) if g.interval else (0.0, 0.0) for g in own]
        axes.errorbar(
            [(g.rate or 0.0) + shift for g in own],
            [g.gain for g in own],
            [[-low for low, _ in bars], [high for _, high in bars]],
            color=line.colour,
            marker=line.marker,
            linestyle="",
            elinewidth=1.2,
            markersize=5,
        )


def _finish_rates(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MultipleLocator(0.1))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.set_xlabel("of the images called good are defective")


def _legend(figure: Figure, axes: Sequence[Axes]) -> None:
    found = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=2)


def _plain(name: str) -> str:
    return name.replace("_", " ")
