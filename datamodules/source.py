"""Where a data set comes from, under which terms, and how to tell that a copy is whole."""

from __future__ import annotations

from dataclasses import dataclass

NOT_STATED = "not stated here"
"""What a field of `Source` says where we do not know; a guess would be taken for a fact."""


@dataclass(frozen=True)
class Source:
    """What a person needs in order to get a data set and to trust the copy; every field is one sentence or less.

    Attributes:
        address: page or repository of the authors, or where else the pictures are from.
        licence: terms of use, as far as the authors state them.
        size: number of pictures, and of bytes where known.
        get: how the pictures come to this machine.
        verify: what `reshift check-data` reports of a whole copy, in numbers.
    """

    address: str
    licence: str
    size: str
    get: str
    verify: str


def source_lines(name: str, source: Source | None) -> list[str]:
    """Lines for a person: the reader's name, then one line a field; a reader without a source says so."""
    if source is None:
        return [f"{name}: its reader states no source; ask whoever wrote it"]
    return [
        name,
        f"  from      {source.address}",
        f"  licence   {source.licence}",
        f"  size      {source.size}",
        f"  get it    {source.get}",
        f"  verify    {source.verify}",
    ]
