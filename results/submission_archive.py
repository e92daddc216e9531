"""The archive of a submission: a zip of checked files, written to the byte and unpacked without trusting any of it."""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCHEMA = 1
MANIFEST = "submission.json"
SELF_REPORTED = "self-reported"
MOST_BYTES, MOST_FILES = 1 << 30, 100_000
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError)
"""What zipfile raises at damaged bytes; the last at a name that is said to be UTF-8 and is not."""

_NAME = re.compile(
    r"submission\.json|plan\.json|leaderboards/(README\.md|[\w.=+-]+\.csv)|cells/[0-9a-f]{20}/(record\.json|\w+\.npz)"
)


class SubmissionError(ValueError):
    """A submission that is refused, or a run that makes none; one line: what, where, what to do."""


def archive_bytes(files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> bytes:
    """A zip of these files behind a manifest that holds their lengths and sha256; the same files, the same bytes.

    Raises:
        SubmissionError: a name that no submission has, such as a picture's or a weights file's.
    """
    for name in files:
        if not _NAME.fullmatch(name):
            raise SubmissionError(f"{name}: is neither plan, record, scores nor board, and is not submitted")
    listed = {name: {"bytes": len(part), "sha256": _sha256(part)} for name, part in sorted(files.items())}
    head = json.dumps({**manifest, "schema": SCHEMA, "files": listed}, indent=1, sort_keys=True) + "\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in ((MANIFEST, head.encode()), *sorted(files.items())):
            # A ZipInfo of one's own is stamped 1980-01-01, and carries no user and no time of this machine.
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, part)
    return buffer.getvalue()


def unpack(path: Path, folder: Path) -> dict[str, Any]:
    """Put the files of an archive below an empty `folder`, each checked against the manifest, which is returned.

    Only names a submission can have are written, so no `..`, no absolute path and no link leaves the folder; sizes are
    checked before anything is decompressed, and no more is decompressed than was declared.

    Raises:
        SubmissionError: no such archive, or one that holds anything else.
        OSError: the folder cannot be written to.
    """
    if not path.is_file():
        raise SubmissionError(f"{path}: no such file; `reshift submit RUN` writes one")
    if path.stat().st_size > MOST_BYTES:
        raise SubmissionError(f"{path}: larger than {MOST_BYTES >> 20} MiB; submit boards of fewer cells")
    try:
        with zipfile.ZipFile(path) as archive:
            members = _checked_members(archive)
            manifest = _manifest(_content(archive, members[MANIFEST]) if MANIFEST in members else b"")
            _same_names(set(members) - {MANIFEST}, set(manifest["files"]))
            for name, expected in manifest["files"].items():
                content = _content(archive, members[name])
                if (len(content), _sha256(content)) != (expected["bytes"], expected["sha256"]):
                    raise SubmissionError(f"{name}: sha256 does not match the manifest's; pack the run again")
                if name.endswith(".npz"):
                    _check_arrays(name, content)
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200]
        raise SubmissionError(f"{path}: not a readable zip archive ({reason}); pack the run again") from error
    return manifest


def _checked_members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    infos = archive.infolist()
    if len(infos) > MOST_FILES or sum(info.file_size for info in infos) > MOST_BYTES:
        raise SubmissionError(f"unpacks to more than {MOST_BYTES >> 20} MiB or {MOST_FILES} files; submit fewer cells")
    for info in infos:
        name = info.filename
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise SubmissionError(f"{name!r}: a link or device, not a plain file; pack the run with `reshift submit`")
        if not _NAME.fullmatch(name):
            raise SubmissionError(f"{name!r}: no file of a submission has this path; pack it with `reshift submit`")
        if name in found:
            raise SubmissionError(f"{name!r}: stands in the archive twice; pack the run with `reshift submit`")
        found[name] = info
    return found


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(info) as stream:
            # A bound keeps zipfile from decompressing what lies beyond the declared length.
            return stream.read(info.file_size + 1)
    except OSError as error:  # an offset before the file's begin, say
        raise SubmissionError(
            f"{info.filename[:200]!r}: cannot be read ({error.strerror}); pack the run again"
        ) from error


def _manifest(content: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(content)
        if manifest["schema"] != SCHEMA:
            raise SubmissionError(
                f"{MANIFEST}: schema {str(manifest['schema'])[:80]} is not {SCHEMA}; pack with this release"
            )
        if manifest["status"] != SELF_REPORTED:
            raise SubmissionError(
                f"{MANIFEST}: status {str(manifest['status'])[:80]!r} is not {SELF_REPORTED!r}; pack it again"
            )
        files = {name: {"bytes": int(f["bytes"]), "sha256": str(f["sha256"])} for name, f in manifest["files"].items()}
    except SubmissionError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SubmissionError(f"{MANIFEST}: no manifest ({type(error).__name__}); pack the run again") from error
    return {**manifest, "files": files}


def _same_names(there: set[str], listed: set[str]) -> None:
    for name in sorted(there ^ listed):
        lacks = "manifest" if name in there else "archive"
        raise SubmissionError(f"{name!r}: missing in the {lacks}; pack the run again")


def _check_arrays(name: str, content: bytes) -> None:
    """A scores file is an archive itself, and may claim to grow without end."""
    with zipfile.ZipFile(io.BytesIO(content)) as inner:
        if sum(info.file_size for info in inner.infolist()) > MOST_BYTES:
            raise SubmissionError(f"{name}: its arrays unpack to more than {MOST_BYTES >> 20} MiB; look at its source")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
