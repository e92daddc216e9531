"""Seeded damage to a valid file: bits, lengths and pieces, as disks, networks and forgers leave them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

_EDGES = (0, 1, -1, 127, 255, 32767, 65535, 2**31 - 1, 2**32 - 1)
"""Lengths and counts that readers forget."""


def damaged(content: bytes, draw: Random, other: bytes = b"") -> bytes:
    """The content after one to three kinds of damage.

    Args:
        other: what pieces may be taken from; the content itself where empty.
    """
    for _ in range(draw.randint(1, 3)):
        content = draw.choice(_DAMAGES)(content, draw, other or content)
    return content


def replaced(value: Any, draw: Random, strange: Sequence[Any]) -> Any:
    """A JSON-like value with one entry at any depth replaced by a strange one, dropped, or added."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        key = draw.choice(sorted(value, key=str))
        return _with(value, key, draw, strange)
    if isinstance(value, list) and value and draw.random() < 0.9:
        place = draw.randrange(len(value))
        return [*value[:place], replaced(value[place], draw, strange), *value[place + 1 :]]
    return draw.choice(strange)


def _with(value: dict[Any, Any], key: Any, draw: Random, strange: Sequence[Any]) -> dict[Any, Any]:
    kind = draw.random()
    if kind < 0.08:
        return {k: v for k, v in value.items() if k != key}
    if kind < 0.12:
        return {**value, f"{key}_": draw.choice(strange)}
    return {**value, key: replaced(value[key], draw, strange)}


def _flip(content: bytes, draw: Random, other: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8, 64)) if changed else 0):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _flip_head(content: bytes, draw: Random, other: bytes) -> bytes:
    """Headers are short and decide most; flips all over a file seldom meet them."""
    return _flip(content[:64], draw, other) + content[64:]


def _truncate(content: bytes, draw: Random, other: bytes) -> bytes:
    return content[: draw.randint(0, len(content))]


def _splice(content: bytes, draw: Random, other: bytes) -> bytes:
    start = draw.randint(0, len(other))
    piece = other[start : start + draw.choice((1, 4, 16, 256))]
    place = draw.randint(0, len(content))
    return content[:place] + piece + content[place + draw.choice((0, len(piece))) :]


def _remove(content: bytes, draw: Random, other: bytes) -> bytes:
    place = draw.randint(0, len(content))
    return content[:place] + content[place + draw.choice((1, 2, 8, 64)) :]


def _edge(content: bytes, draw: Random, other: bytes) -> bytes:
    order, form = draw.choice("<>"), draw.choice("HIQ")
    size = struct.calcsize(f"{order}{form}")
    number = draw.choice(_EDGES) % (1 << 8 * size)
    place = draw.randint(0, max(0, len(content) - size))
    return content[:place] + struct.pack(f"{order}{form}", number) + content[place + size :]


_DAMAGES: tuple[Callable[[bytes, Random, bytes], bytes], ...] = (_flip, _flip_head, _truncate, _splice, _remove, _edge)
