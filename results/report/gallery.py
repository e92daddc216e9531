"""The most wrong parts of each board, with every view of a part side by side where pictures are at hand."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence

from reshift.results.report.examined import WrongPart
from reshift.results.report.html import link, text
from reshift.results.report.views import BoardView, CellPlaces

Pictures = Mapping[tuple[str, str], Sequence[bytes]]
"""PNG or JPEG files of the views of a part, in their order, by data set and part."""

_KINDS = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))


def gallery(view: BoardView, wrong: Sequence[WrongPart], pictures: Pictures, places: CellPlaces) -> str:
    """Parts that the board's best model misjudges most; those without pictures are named only.

    Raises:
        ValueError: a picture that is neither PNG nor JPEG.
    """
    if not wrong:
        return ""
    cards = "".join(_card(part, pictures.get((part.dataset, part.part), ())) for part in wrong)
    leads = link(places.target(view.number, wrong[0].model), text(wrong[0].model))
    return f'<p>Parts that {leads} gets most wrong, defective ones first.</p><div class="cards">{cards}</div>'


def data_uri(picture: bytes) -> str:
    """The picture as an address that holds it whole.

    Raises:
        ValueError: neither PNG nor JPEG.
    """
    for start, kind in _KINDS:
        if picture.startswith(start):
            return f"data:{kind};base64,{b64encode(picture).decode()}"
    raise ValueError(f"a picture begins with {picture[:8]!r}; give PNG or JPEG files")


def _card(part: WrongPart, views: Sequence[bytes]) -> str:
    images = "".join(f'<img alt="view {n} of {text(part.part)}" src="{data_uri(v)}">' for n, v in enumerate(views, 1))
    other, side = ("good", "above it") if part.label else ("defective", "below it")
    kind = f"defective ({text(part.defect)})" if part.label and part.defect else "defective" if part.label else "good"
    component = f", {text(part.component)}" if part.component else ""
    return (
        f'<figure class="card part"><div class="views">{images}</div><figcaption><strong>{text(part.part)}</strong>'
        f"{component}: {kind}, yet {100 * part.wrongness:.0f} % of the {other} parts score {side}</figcaption></figure>"
    )
