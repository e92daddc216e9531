"""AUROC as colour: blue above guessing, vermillion below, which colour-blind readers tell apart; the number stays."""

from __future__ import annotations

from reshift.results.report.html import cell, link
from reshift.results.summary import number

_STEPS = 10
_GUESSING = 0.5
_ABOVE, _BELOW = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)
_DARK = 9
"""From this step of blue on white is easier to read than black; vermillion stays light enough for black."""


def heat_cell(value: float | None, target: str) -> str:
    """A table cell with an AUROC in [0, 1] that leads to `target`, empty where there is none."""
    if value is None:
        return cell("", "")
    return cell(link(target, number(value)), round(value, 6), heat_class(value))


def heat_class(value: float) -> str:
    """The style of an AUROC: `a0` at guessing to `a10` at 1, `z1` to `z10` downwards to 0."""
    step = round(abs(value - _GUESSING) / _GUESSING * _STEPS)
    return f"z{step}" if value < _GUESSING and step else f"a{step}"


def heat_style() -> str:
    """CSS of every class that `heat_class` gives."""
    return "\n".join(
        f"td.{name}{step}{{background:{_mixed(colour, step / _STEPS)}}}"
        + (f"td.{name}{step} a{{color:#fff}}" if colour == _ABOVE and step >= _DARK else "")
        for name, colour in (("a", _ABOVE), ("z", _BELOW))
        for step in range(_STEPS + 1)
    )


def _mixed(colour: tuple[int, int, int], share: float) -> str:
    """White turning into a colour."""
    return "#" + "".join(f"{round(255 + (channel - 255) * share):02x}" for channel in colour)
