"""The ends of cells' logs as far as they fit on the page; failed cells' come first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reshift.results.log_file import LOG_FILE, log_tail
from reshift.results.report.html import script_json
from reshift.results.store import RunStore, Status

LINES, CHARACTERS = 60, 6000
"""Of one log at most."""
PAGE_BYTES = 1_000_000
"""Of all logs on the page, which is to stay under 5 MB."""
_FEWEST = 500
"""Characters below which a piece of a log says nothing."""


def log_tails(store: RunStore, status: Mapping[str, Status]) -> dict[str, str]:
    """The last lines of every log by cell id; cells without a log are left out, "" stands where there is no room.

    Args:
        status: of the cells to ask.
    """
    logged = [cell for cell in status if (store.folder(cell) / LOG_FILE).exists()]
    done = [cell for cell in logged if status[cell] is Status.DONE]
    found, left = _tails(store, [cell for cell in logged if status[cell] is not Status.DONE], CHARACTERS, PAGE_BYTES)
    return found | _tails(store, done, min(CHARACTERS, left // max(1, len(done))), left)[0]


def _tails(store: RunStore, cells: Sequence[str], room: int, left: int) -> tuple[dict[str, str], int]:
    """Tails of so many characters each and of `left` bytes together, and the bytes that are left then."""
    found: dict[str, str] = {}
    for cell in cells:
        tail = log_tail(store.folder(cell), LINES, room) if room >= _FEWEST else ""
        size = len(script_json(tail).encode())
        found[cell] = tail if size <= left else ""
        left -= size if size <= left else 0
    return found, left
