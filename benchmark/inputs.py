"""Tells, without torch and without reading pictures, whether a plan is still current."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import reshift
from reshift.benchmark.preset import Preset, published_file
from reshift.results.plan import canonical_json


def inputs_hash(preset: Preset) -> str:
    """Hash of all a plan depends on, cheap and without torch: preset, the package's source, the data's file stamps."""
    digest = hashlib.sha256(canonical_json(preset.as_dict()).encode())
    package = Path(reshift.__file__).parent
    # Links to the rooms are followed: in a checkout they are symbolic links, in a wheel plain folders.
    for folder in sorted(_packages(package)):
        for source in sorted(folder.glob("*.py")):
            digest.update(source.read_bytes())
    given = [d.args for d in preset.datasets] + [p.args for p in preset.protocols]
    given += [m.args for m in preset.models] + [p.args for p in preset.prognoses]
    paths = [Path(v) for args in given for v in args.values() if isinstance(v, str) and v]
    paths += [Path(d.corrections) for d in preset.datasets if d.corrections]
    paths += [path] if (path := published_file(preset)) else []
    used = [m.use for m in preset.models] + [p.use for p in preset.prognoses]
    paths += [Path(use.rpartition(":")[0]) for use in used if ".py:" in use]
    for path in paths:
        for stamp in _stamps(path):
            digest.update(canonical_json(stamp).encode())
    return digest.hexdigest()


def _packages(folder: Path) -> Iterator[Path]:
    """A package and all below it, without the thousands of folders that published boards lie in."""
    if (folder / "__init__.py").is_file():
        yield folder
        for below in folder.iterdir():
            yield from _packages(below)


def _stamps(path: Path) -> Iterator[tuple[str, int, int]]:
    if path.is_file():
        info = path.stat()
        yield str(path), info.st_size, info.st_mtime_ns
        # A manifest names pictures beside it.
        if path.suffix == ".csv":
            yield from _stamps(path.parent)
    elif path.is_dir():
        for folder, _, names in sorted(os.walk(path)):
            for name in sorted(names):
                info = Path(folder, name).stat()
                yield str(Path(folder, name)), info.st_size, info.st_mtime_ns
