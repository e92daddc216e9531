"""The most wrong parts of each board, with every view of a part side by side where pictures are at hand."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reshift.results.report.examined import WrongPart
from reshift.results.report.html import link, text
from reshift.results.report.views import BoardView, CellPlaces

Pictures = Mapping[tuple[str, str], Sequence[bytes]]
"""PNG or JPEG files of the views of a part, in their order, by data set and part."""


@dataclass(frozen=True)
class WrongMaps:
    """Where each board's best model looks in the parts it gets most wrong.

    Attributes:
        views: by board number and part, a PNG or JPEG file for each of its `Pictures`: the view with its map over it,
            empty where there is none.
        missing: by board number, why parts go without, in one line.
    """

    views: Mapping[tuple[int, str], Sequence[bytes]] = field(default_factory=dict)
    missing: Mapping[int, str] = field(default_factory=dict)


_KINDS = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))


def gallery(
    view: BoardView, wrong: Sequence[WrongPart], pictures: Pictures, maps: WrongMaps, places: CellPlaces
) -> str:
    """Parts that the board's best model misjudges most; those without pictures are named only.

    Raises:
        ValueError: a picture that is neither PNG nor JPEG.
    """
    if not wrong:
        return ""
    shown = [pictures.get((part.dataset, part.part), ()) for part in wrong]
    looks = [maps.views.get((part.board, part.part), ()) if own else () for part, own in zip(wrong, shown, strict=True)]
    cards = "".join(map(_card, wrong, shown, looks))
    leads = link(places.target(view.number, wrong[0].model), text(wrong[0].model))
    about = f"<p>Parts that {leads} gets most wrong, defective ones first.</p>"
    if any(looks):
        about += f"<p>Below each view, in orange: where {leads} looks, on one scale for this board.</p>"
    if any(shown) and view.number in maps.missing:
        about += f"<p>Without maps: {text(maps.missing[view.number])}.</p>"
    return f'{about}<div class="cards">{cards}</div>'


def data_uri(picture: bytes) -> str:
    """The picture as an address that holds it whole.

    Raises:
        ValueError: neither PNG nor JPEG.
    """
    for start, kind in _KINDS:
        if picture.startswith(start):
            return f"data:{kind};base64,{b64encode(picture).decode()}"
    raise ValueError(f"a picture begins with {picture[:8]!r}; give PNG or JPEG files")


def _card(part: WrongPart, views: Sequence[bytes], maps: Sequence[bytes]) -> str:
    images = [f'<img alt="view {n} of {text(part.part)}" src="{data_uri(v)}">' for n, v in enumerate(views, 1)]
    for n, (seen, picture) in enumerate(zip(images, maps, strict=True) if maps else ()):
        if picture:
            look = f'<img alt="where {text(part.model)} looks in view {n + 1}" src="{data_uri(picture)}">'
            images[n] = f"<div>{seen}<br>{look}</div>"
    other, side = ("good", "above it") if part.label else ("defective", "below it")
    kind = f"defective ({text(part.defect)})" if part.label and part.defect else "defective" if part.label else "good"
    component = f", {text(part.component)}" if part.component else ""
    columns = "".join(images)
    about = f"{component}: {kind}, yet {100 * part.wrongness:.0f} % of the {other} parts score {side}"
    return (
        f'<figure class="card part"><div class="views">{columns}</div><figcaption><strong>{text(part.part)}</strong>'
        f"{about}</figcaption></figure>"
    )
