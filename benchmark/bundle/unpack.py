"""`python -m reshift.benchmark.bundle.unpack`: check a bundle and unpack it, with the standard library alone.

It runs before anything is installed, with `src` on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from reshift.benchmark.bundle.manifest import NAME, BundleError, Manifest, sha256


def unpack(bundle: Path, folder: Path, lock: Path) -> bool:
    """Unpack `bundle` into `folder`, unless it is there already; returns whether there was anything to do.

    The files are unpacked beside `folder` and take its place when every digest is right, so that what stands there is
    whole. A bundle unpacked earlier is replaced, with its data.

    Raises:
        BundleError: no such bundle, one for another lock, Python or platform, or one that is damaged or unsafe.
    """
    if not bundle.is_file():
        raise BundleError(f"{bundle}: no such bundle; `make bundle` on a connected machine writes one")
    try:
        with tarfile.open(bundle, "r:") as tar:
            text = _manifest_text(tar)
            manifest = Manifest.from_json(text)
            manifest.check_serves(lock)
            if (folder / NAME).is_file() and (folder / NAME).read_bytes() == text:
                return False
            partial = folder.with_name(folder.name + ".partial")
            shutil.rmtree(partial, ignore_errors=True)
            try:
                _extract(tar, manifest, partial)
                (partial / NAME).write_bytes(text)
                (partial / ".gitignore").write_text("*\n", encoding="utf-8")
                shutil.rmtree(folder, ignore_errors=True)
                os.replace(partial, folder)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
    except (BundleError, tarfile.TarError) as error:
        remedy = "" if isinstance(error, BundleError) else "; copy it again"
        raise BundleError(f"{bundle}: {error}{remedy}") from error
    return True


def _manifest_text(tar: tarfile.TarFile) -> bytes:
    first = tar.next()
    file = tar.extractfile(first) if first is not None and first.name == NAME and first.isreg() else None
    if file is None:
        raise BundleError(f"does not begin with {NAME}, so it is no bundle of `make bundle`")
    return file.read()


def _extract(tar: tarfile.TarFile, manifest: Manifest, folder: Path) -> None:
    left = dict(manifest.members)
    while member := tar.next():
        digest = left.pop(member.name, None)
        if digest is None or not member.isreg():
            raise BundleError(f"member {member.name!r} is not one of its manifest; it was changed since it was packed")
        # Its content at a path the manifest's reader let pass, and nothing else of its header: no link, owner or mode.
        # That is less than tarfile's "data" filter lets through, which 3.11.0 to 3.11.3 (Debian 12) do not have.
        target = folder / member.name
        target.parent.mkdir(parents=True, exist_ok=True)
        with tar.extractfile(member) as content, target.open("xb") as file:  # type: ignore[union-attr]
            shutil.copyfileobj(content, file, 1 << 20)
        if sha256(target) != digest:
            raise BundleError(f"member {member.name!r} is damaged; copy it again")
    if left:
        raise BundleError(f"{len(left)} of {len(manifest.members)} members are missing; copy it again")


def main(arguments: Sequence[str] | None = None) -> int:
    """Unpack; 0, or 2 after one line that says why not."""
    parser = argparse.ArgumentParser(prog="unpack", description="Check a bundle and unpack it.", allow_abbrev=False)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("folder", type=Path, help="replaced where it holds another bundle")
    parser.add_argument("--lock", type=Path, required=True, help="the requirements.lock to be installed")
    given = parser.parse_args(arguments)
    try:
        if unpack(given.bundle, given.folder, given.lock):
            weights = (given.folder / "weights").resolve()
            print(f"unpacked {given.bundle} into {given.folder}")
            if weights.is_dir():
                print(f"make finds its weights; for other commands: export HF_HUB_CACHE={weights}")
    except (ValueError, OSError) as error:
        print(f"offline: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
