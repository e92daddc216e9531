"""`python -m reshift.benchmark.bundle.pack`: everything set-up, models and data need, in one tar."""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from reshift.benchmark.bundle.manifest import (
    NAME,
    BundleError,
    Manifest,
    machine_text,
    oldest_system,
    sha256,
    this_platform,
    this_python,
)


def pack(bundle: Path, lock: Path, weights: Sequence[str], data: Sequence[Path]) -> Manifest:
    """Write `bundle`, a plain tar (wheels and weights do not compress); nothing of that name is seen until it is whole.

    Args:
        lock: exact requirements; their wheels are fetched for this Python on this machine, with the pip used here.
        weights: timm names; their files of the hub's cache land in `weights/`, fetched where the cache lacks them.
        data: folders; they land in `data/` under their own names, links followed.

    Raises:
        BundleError: something cannot be fetched or read; says what to change.
    """
    if not lock.is_file():
        raise BundleError(f"{lock}: no such file")
    # What fails early goes first: the wheels are gigabytes.
    files = _data_files(data)
    if weights:
        from reshift.benchmark.bundle.weights import hub_files  # with torch: seconds that a bundle without can save

        files.update({f"weights/{name}": path for model in weights for name, path in hub_files(model).items()})
    scratch, partial = (bundle.with_name(bundle.name + end) for end in (".wheels", ".partial"))
    shutil.rmtree(scratch, ignore_errors=True)  # left by a killed call
    try:
        wheels = _fetch_wheels(lock, scratch)
        files.update({f"wheels/{wheel.name}": wheel for wheel in wheels})
        manifest = Manifest(
            lock=sha256(lock),
            python=this_python(),
            platform=this_platform(),
            system=oldest_system(wheel.name for wheel in wheels),
            members={name: sha256(files[name]) for name in sorted(files)},
        )
        _write(partial, manifest, files)
        os.replace(partial, bundle)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        partial.unlink(missing_ok=True)
    return manifest


def _data_files(folders: Sequence[Path]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    taken: dict[str, Path] = {}
    for folder in folders:
        name = folder.resolve().name
        if not folder.is_dir():
            raise BundleError(f"{folder}: no such folder; DATA names folders, separated by spaces")
        if name in taken:
            raise BundleError(f"{taken[name]} and {folder} would both become data/{name}; rename one")
        taken[name] = folder
        for where, _, names in os.walk(folder, followlinks=True):
            for path in (Path(where, file) for file in names):
                if not path.is_file():
                    raise BundleError(f"{path}: a dead link or no plain file; remove it or leave {folder} out")
                files[f"data/{name}/{path.relative_to(folder).as_posix()}"] = path
    return files


def _fetch_wheels(lock: Path, folder: Path) -> list[Path]:
    """Wheels of all requirements and of pip itself, which a bare Python may lack; sources are built here."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    command += ["--wheel-dir", str(folder), "--requirement", str(lock), f"pip=={version('pip')}"]
    if subprocess.run(command, check=False).returncode:
        raise BundleError(f"pip could not fetch or build every wheel of {lock}; its own words stand above")
    return sorted(folder.glob("*.whl"))


def _write(path: Path, manifest: Manifest, files: dict[str, Path]) -> None:
    text = manifest.as_json()
    head = tarfile.TarInfo(NAME)
    head.size = len(text)
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT, dereference=True) as tar:
        tar.addfile(head, io.BytesIO(text))
        for name in manifest.members:
            tar.add(files[name], name, recursive=False, filter=_nobodys)


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def main(arguments: Sequence[str] | None = None) -> int:
    """Pack and say what was packed; 0, or 2 after one line that says why not."""
    parser = argparse.ArgumentParser(prog="bundle", description=__doc__, allow_abbrev=False)
    parser.add_argument("bundle", type=Path, help="the tar to write")
    parser.add_argument("--lock", type=Path, required=True, help="requirements.lock")
    parser.add_argument("--weights", nargs="*", default=[], help="timm names, or none; by default what the models load")
    parser.add_argument("--data", nargs="*", default=[], type=Path, help="folders of pictures")
    given = parser.parse_args(arguments)
    try:
        if given.weights == ["none"]:
            weights = []
        elif given.weights:
            weights = given.weights
        else:
            from reshift.benchmark.bundle.weights import default_backbones

            weights = default_backbones()
        manifest = pack(given.bundle, given.lock, weights, given.data)
    except (ValueError, OSError) as error:
        print(f"bundle: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    wheels = sum(name.startswith("wheels/") for name in manifest.members)
    print(f"{given.bundle}: {given.bundle.stat().st_size / 1e9:.2f} GB, {len(manifest.members)} files")
    print(f"  wheels   {wheels} for {manifest.python} on {machine_text(manifest.platform, manifest.system)} or newer")
    print(f"  weights  {' '.join(weights) or 'none'}")
    print(f"  data     {' '.join(str(folder) for folder in given.data) or 'none'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
