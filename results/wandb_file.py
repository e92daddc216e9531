"""Reading the transaction log that an offline Weights & Biases run leaves (`run-<id>.wandb`)."""

from __future__ import annotations

import importlib
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK = 32768
_FILE_HEADER = struct.Struct("<4sHB")
_RECORD_HEADER = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def read_wandb_file(path: Path) -> Iterator[Any]:
    """The protobuf records (`wandb.proto.wandb_internal_pb2.Record`) of a run file, up to where it is complete.

    The file is a LevelDB log: blocks of 32 KiB, each piece of a record with a CRC-32, a length and its place.
    wandb 0.31 ships no reader for it in Python. A file that is still being written ends the iteration early.

    Raises:
        ValueError: not a run file, or a damaged piece in its middle.
    """
    # Generated classes that no type checker sees.
    messages: Any = importlib.import_module("wandb.proto.wandb_internal_pb2")
    for content in _payloads(path):
        record = messages.Record()
        record.ParseFromString(content)
        yield record


def is_finished(path: Path) -> bool:
    """Whether the run file holds its exit record: `finish()` may return before it does."""
    try:
        return any(record.WhichOneof("record_type") == "exit" for record in read_wandb_file(path))
    except (FileNotFoundError, ValueError):
        return False


def _payloads(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    if len(data) < _FILE_HEADER.size or _FILE_HEADER.unpack_from(data)[:2] != (b":W&B", 0xBEE1):
        raise ValueError(f"{path}: no Weights & Biases run file, or one that is still empty; wait for finish()")
    at, pieces = _FILE_HEADER.size, b""
    while at + _RECORD_HEADER.size <= len(data):
        left = _BLOCK - at % _BLOCK
        if left < _RECORD_HEADER.size:
            at += left
            continue
        checksum, length, place = _RECORD_HEADER.unpack_from(data, at)
        at += _RECORD_HEADER.size
        content = data[at : at + length]
        if len(content) < length:
            return
        if place not in (_FULL, _FIRST, _MIDDLE, _LAST) or zlib.crc32(bytes([place]) + content) != checksum:
            raise ValueError(f"{path}: damaged at byte {at}; publish again")
        at += length
        pieces = content if place in (_FULL, _FIRST) else pieces + content
        if place in (_FULL, _LAST):
            yield pieces
