"""Hostile submissions: names that leave the folder, links, bombs, and members changed with their hashes made right."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import zipfile
from collections.abc import Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

from reshift.benchmark.fuzz.mutation import damaged, replaced
from reshift.benchmark.fuzz.records import STRANGE
from reshift.benchmark.fuzz.small_run import write_small_run
from reshift.benchmark.fuzz.target import Target, Write, clear, put
from reshift.results.submission import check_submission, submission
from reshift.results.submission_archive import MANIFEST, SubmissionError


class Submissions(Target):
    """`check_submission` on one archive."""

    name = "submission"
    refusals = (SubmissionError,)

    def __init__(self, folder: Any) -> None:
        super().__init__(folder)
        self.path = folder / "toy.zip"
        self.valid = submission(write_small_run(folder / "run"), {})
        with zipfile.ZipFile(io.BytesIO(self.valid)) as archive:
            self.members = {name: archive.read(name) for name in archive.namelist()}

    def read(self) -> object:
        return check_submission(self.path)

    def write_valid(self) -> None:
        put(self.path, self.valid)

    def write_random(self, draw: Random) -> None:
        name = draw.choice(sorted(self.members))
        content = self.members[name]
        if draw.random() < 0.3:
            put(self.path, damaged(self.valid, draw))
        elif name.endswith(".json") and draw.random() < 0.7:
            changed = {**self.members, name: json.dumps(replaced(json.loads(content), draw, STRANGE)).encode()}
            put(self.path, _archive(changed if name == MANIFEST else _listed(changed)))
        else:
            put(self.path, _archive(_listed({**self.members, name: damaged(content, draw)})))

    def hand_made(self) -> Sequence[Write]:
        cell = next(name for name in self.members if name.endswith("scores.npz"))
        link, device = (kind << 16 for kind in (stat.S_IFLNK | 0o777, stat.S_IFCHR | 0o666))
        bomb = _archive({"c00.npy": bytes(1 << 28)}, times=5)
        names = ("../x", "/x", "cells/../../x", "a\\b", "plan.json/x", "")
        archives = [
            b"",
            b"PK\x05\x06" + b"\0" * 18,
            _archive({}),
            _archive({MANIFEST: b"[" * 100_000}),
            _archive({MANIFEST: bytes(1 << 27)}),
            *(_archive({**self.members, name: b"x"}) for name in names),
            *(_archive(self.members, attributes={cell: kind}) for kind in (link, device)),
            _archive(_listed({**self.members, cell: bomb})),
            _archive(self.members, times=2),
            self.valid * 2,
        ]
        return [*(partial(put, self.path, content) for content in archives), partial(clear, self.path)]


def _listed(members: Mapping[str, bytes]) -> dict[str, bytes]:
    """The members with a manifest that lists them as they are."""
    try:
        manifest = json.loads(members[MANIFEST])
        for name in manifest["files"]:
            content = members[name]
            manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    except (ValueError, KeyError, TypeError):
        return dict(members)
    return {**members, MANIFEST: json.dumps(manifest).encode()}


def _archive(members: Mapping[str, bytes], times: int = 1, attributes: Mapping[str, int] | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(times):
            for name, content in members.items():
                info = zipfile.ZipInfo(name if number == 0 else f"{number}{name}")
                info.external_attr = (attributes or {}).get(name, (stat.S_IFREG | 0o644) << 16)
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, content)
    return buffer.getvalue()
