"""Hostile records: damaged ones, and forged ones whose checksums are right."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any

import numpy as np

from reshift.benchmark.fuzz.mutation import damaged, replaced
from reshift.benchmark.fuzz.small_run import write_small_run
from reshift.benchmark.fuzz.target import Target, Write, clear, put
from reshift.results.plan import canonical_json
from reshift.results.record import RECORD_FILE, SCORES_FILE, RecordError, read_columns, read_header

STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 10**30, "", "text", "\0", "..", ".", "/etc/passwd", "../../plan.json", "record.json",
    "x" * 5000, "\ud800", [], [[]], [1, 2], {}, {"x": 1}, {"class_path": "os.system"},
)  # fmt: skip


class Records(Target):
    """Status, header, scores, columns, attachment and failure note of one cell of a run."""

    name = "record"
    refusals = (RecordError,)
    mention = "cells"

    def __init__(self, folder: Any) -> None:
        super().__init__(folder)
        self.store = write_small_run(folder / "run")
        self.cell = self.store.read_plan().cells[0].id
        self.files = {path: path.read_bytes() for path in sorted(self.store.folder(self.cell).iterdir())}
        self.record, self.scores = (self.store.folder(self.cell) / name for name in (RECORD_FILE, SCORES_FILE))
        self.failure = self.store.folder(self.cell) / "failure.json"

    def read(self) -> object:
        self.store.status(self.cell)
        self.store.failure(self.cell)
        record, scores = self.store.read(self.cell)
        for name in record.attachments:
            self.store.attachment(record, name)
        folder = self.store.folder(self.cell)
        return scores, read_columns(folder, read_header(folder))

    def write_valid(self) -> None:
        clear(self.failure)
        for path, content in self.files.items():
            put(path, content)

    def write_random(self, draw: Random) -> None:
        self.write_valid()
        kind = draw.randrange(4)
        if kind == 0:
            path = draw.choice(sorted(self.files))
            put(path, damaged(self.files[path], draw))
        elif kind == 1:
            self._forge(replaced(json.loads(self.files[self.record]), draw, STRANGE))
        elif kind == 2:
            self._forge_scores(_damaged_arrays(self.files[self.scores], draw))
        else:
            put(self.failure, damaged(b'{"kind": "RuntimeError", "message": "what", "attempts": 2}\n', draw))

    def hand_made(self) -> Sequence[Write]:
        def content(path: Any, content: bytes) -> None:
            self.write_valid()
            put(path, content)

        def folder(path: Any) -> None:
            self.write_valid()
            clear(path)
            path.mkdir()

        def scores(content: bytes) -> None:
            self.write_valid()
            self._forge_scores(content)

        deep = b'{"checksum": ' + b"[" * 100_000
        texts = [b"", b"null", b"[]", b"\xff\xfe", deep, b'{"schema": ' + b"9" * 5000 + b"}", b'{"schema": NaN}']
        trap = pickle.dumps(np.array([{"any": "object"}], dtype=object))
        arrays = [
            b"",
            trap,
            _npz({"columns.npy": trap}),
            _npz({"columns.npy": npy("<U8", (1 << 50,))}),
            _npz({"columns.npy": npy("|O", (1,)) + trap}),
            _npz({"columns.npy": npy("<f8", (1 << 28,)) + bytes(1 << 28)}, times=5),
            npy("<f8", (2,)) + bytes(16),
        ]
        return [
            *(partial(content, path, text) for path in (self.record, self.failure) for text in texts),
            *(partial(folder, path) for path in (*self.files, self.failure)),
            *(partial(scores, content) for content in arrays),
        ]

    def _forge(self, raw: Any) -> None:
        """A record of this content with the checksum that belongs to it."""
        if isinstance(raw, dict):
            raw.pop("checksum", None)
            try:
                raw["checksum"] = hashlib.sha256(canonical_json(raw).encode()).hexdigest()
            except (ValueError, UnicodeError):
                raw["checksum"] = ""
        put(self.record, json.dumps(raw).encode())

    def _forge_scores(self, content: bytes) -> None:
        raw = json.loads(self.files[self.record])
        raw["scores"].update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        put(self.scores, content)
        self._forge(raw)


def npy(kind: str, shape: tuple[int, ...]) -> bytes:
    """The head of an array that claims this type and shape."""
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\0" + len(head).to_bytes(2, "little") + head


def _npz(members: dict[str, bytes], times: int = 1) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(times):
            for name, content in members.items():
                archive.writestr(name if number == 0 else f"{number}{name}", content)
    return buffer.getvalue()


def _damaged_arrays(content: bytes, draw: Random) -> bytes:
    """An npz one of whose members is damaged, or all of it."""
    if draw.random() < 0.4:
        return damaged(content, draw)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = draw.choice(sorted(members))
    return _npz({**members, name: damaged(members[name], draw, members[draw.choice(sorted(members))])})
