"""Line charts as inline SVG: small, sharp at any size, and free of script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reshift.results.report.html import text

# Okabe and Ito's colours without the yellow, which is lost on white; a mark of its own tells each apart in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKS = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z",
    "M-3.5 -3.5H3.5V3.5H-3.5Z",
    "M0 -4.6L4.3 3.4H-4.3Z",
    "M0 -5L5 0L0 5L-5 0Z",
    "M0 4.6L4.3 -3.4H-4.3Z",
    "M-1.5 -5H1.5V-1.5H5V1.5H1.5V5H-1.5V1.5H-5V-1.5H-1.5Z",
)
_WIDTH, _HEIGHT = 640, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 28, 12, 44
_SIDE_BY_SIDE = 5
"""Pixels between the intervals of curves that have a point in the same place."""

Number = Callable[[float], str]


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high` with a number at every tick."""

    label: str
    low: float
    high: float
    ticks: Sequence[float]
    number: Number

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the low end; values beyond an end are drawn at it."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)


@dataclass(frozen=True)
class Point:
    """A value at a place of the x axis, with its interval where there is one."""

    x: float
    y: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Curve:
    """A line of a chart; `style` is its place among `COLOURS`, None draws it thin and grey, for company only."""

    label: str
    points: Sequence[Point]
    style: int | None = None


def line_chart(title: str, curves: Sequence[Curve], x: Axis, y: Axis) -> str:
    """A figure: the chart, and below it a legend of the curves that have a style; each curve says its name on hover."""
    shown = sorted(curves, key=lambda curve: curve.style is not None)
    styled = sum(curve.style is not None for curve in curves)
    lines = "".join(_curve(curve, styled, x, y) for curve in shown)
    grey = '<li><svg class="key" viewBox="-12 -7 24 14"><path class="faint" d="M-12 0H12"/></svg>other models</li>'
    legend = "".join(_key(curve) for curve in curves if curve.style is not None)
    return (
        f'<figure><svg class="chart" role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}"><title>{text(title)}</title>'
        f"{_axes(x, y)}{lines}</svg>"
        f'<ul class="legend">{legend}{grey if styled < len(curves) else ""}</ul>'
        f"<figcaption>{text(title)}</figcaption></figure>"
    )


def _axes(x: Axis, y: Axis) -> str:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    marks = [
        f'<path class="grid" d="M{_LEFT} {_y(y, t):.1f}H{right}"/>'
        f'<text x="{_LEFT - 6}" y="{_y(y, t) + 4:.1f}" text-anchor="end">{text(y.number(t))}</text>'
        for t in y.ticks
    ]
    marks += [
        f'<text x="{_x(x, t):.1f}" y="{bottom + 17}" text-anchor="middle">{text(x.number(t))}</text>' for t in x.ticks
    ]
    middle = (_TOP + bottom) / 2
    marks += [
        f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 8}" text-anchor="middle">{text(x.label)}</text>',
        f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{text(y.label)}</text>',
    ]
    return "".join(marks)


def _curve(curve: Curve, styled: int, x: Axis, y: Axis) -> str:
    places = [(_x(x, p.x), _y(y, p.y)) for p in curve.points]
    path = "M" + "L".join(f"{left:.1f} {top:.1f}" for left, top in places)
    title = f"<title>{text(curve.label)}</title>"
    if curve.style is None:
        return f'<g>{title}<path class="faint" d="{path}"/></g>'
    colour, mark = COLOURS[curve.style], _MARKS[curve.style]
    shift = _SIDE_BY_SIDE * (curve.style - (styled - 1) / 2)
    drawn = [f'<path class="line" stroke="{colour}" d="{path}"/>']
    for point, (left, top) in zip(curve.points, places, strict=True):
        if point.interval is not None:
            low, high = (_y(y, end) for end in point.interval)
            drawn.append(f'<path class="bar" stroke="{colour}" d="M{left + shift:.1f} {low:.1f}V{high:.1f}"/>')
        drawn.append(f'<path fill="{colour}" transform="translate({left:.1f} {top:.1f})" d="{mark}"/>')
    return f"<g>{title}{''.join(drawn)}</g>"


def _key(curve: Curve) -> str:
    assert curve.style is not None
    colour = COLOURS[curve.style]
    return (
        f'<li><svg class="key" viewBox="-12 -7 24 14"><path class="line" stroke="{colour}" d="M-12 0H12"/>'
        f'<path fill="{colour}" d="{_MARKS[curve.style]}"/></svg>{text(curve.label)}</li>'
    )


def _x(axis: Axis, value: float) -> float:
    return _LEFT + axis.share(value) * (_WIDTH - _LEFT - _RIGHT)


def _y(axis: Axis, value: float) -> float:
    return _HEIGHT - _BOTTOM - axis.share(value) * (_HEIGHT - _TOP - _BOTTOM)
