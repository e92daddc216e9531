"""What a bundle holds and which machines it serves: the `manifest.json` that stands first in its tar.

Read by `unpack` on a machine where nothing is installed yet: standard library only.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

NAME = "manifest.json"
FOLDERS = ("wheels", "weights", "data")
_TAGS = re.compile(r"(?:manylinux|macosx)_(\d+)_(\d+)_")
_BUILT_HERE = re.compile(r"-linux_\w+\.whl$")


class BundleError(ValueError):
    """A bundle that cannot be made or used; one line with the remedy."""


@dataclass(frozen=True)
class Manifest:
    """What `make bundle` says about its tar. The digests find damage; a forger could write them anew.

    Attributes:
        lock: sha256 of the requirements.lock that chose the wheels.
        python: implementation and minor version the wheels are for, e.g. "CPython 3.11".
        platform: system, processor and C library, e.g. "Linux x86_64 glibc".
        system: oldest version of glibc or macOS on which every wheel installs, e.g. (2, 28).
        members: sha256 of every other file of the tar, by its path there: `wheels/...`, `weights/...`, `data/...`.
    """

    lock: str
    python: str
    platform: str
    system: tuple[int, ...]
    members: dict[str, str]

    def as_json(self) -> bytes:
        return (json.dumps(asdict(self), indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """Read what `as_json` wrote; raises BundleError for anything else, and for a path outside the three folders."""
        try:
            raw = json.loads(text)
            lock, python, machine = (str(raw[key]) for key in ("lock", "python", "platform"))
            system = tuple(int(number) for number in raw["system"])
            members = {str(name): str(digest) for name, digest in raw["members"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BundleError(f"its {NAME} is not what `make bundle` of this version writes ({error!r})") from error
        for name in members:
            parts = PurePosixPath(name).parts
            if len(parts) < 2 or parts[0] not in FOLDERS or ".." in parts:
                raise BundleError(f"member {name!r} would land outside {', '.join(FOLDERS)}; do not use this bundle")
        return cls(lock, python, machine, system, members)

    def check_serves(self, lock: Path) -> None:
        """Raise BundleError unless the wheels are those of `lock`, for this Python on this machine."""
        if self.lock != sha256(lock):
            raise BundleError(
                f"it was packed for another {lock.name} ({self.lock[:8]}, here {sha256(lock)[:8]}); "
                f"run `make bundle` on a connected machine with this checkout"
            )
        if self.python != this_python():
            raise BundleError(
                f"its wheels are for {self.python}, this is {this_python()}; "
                f"choose another with PYTHON=python3.x, or run `make bundle` with this one"
            )
        if self.platform != this_platform() or self.system > this_system():
            packed = machine_text(self.platform, self.system)
            here = machine_text(this_platform(), this_system())
            raise BundleError(
                f"its wheels are for {packed} or newer, this is {here}; run `make bundle` on a machine like this one"
            )


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def this_python() -> str:
    """What wheels ask of an interpreter; a "t" marks the free-threaded ABI."""
    return f"{platform.python_implementation()} {sys.version_info[0]}.{sys.version_info[1]}{sys.abiflags}"


def this_platform() -> str:
    """System, processor and C library of this machine."""
    return " ".join(part for part in (platform.system(), platform.machine(), platform.libc_ver()[0]) if part)


def this_system() -> tuple[int, ...]:
    """Version of glibc (Linux) or macOS that wheels are chosen by."""
    version = platform.mac_ver()[0] or platform.libc_ver()[1]
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def machine_text(system: str, version: tuple[int, ...]) -> str:
    """A platform and its version as a person reads them: "Linux x86_64 glibc 2.28"."""
    return f"{system} {'.'.join(str(number) for number in version)}".strip()


def oldest_system(wheels: Iterable[str]) -> tuple[int, ...]:
    """The version of glibc or macOS that file names of wheels ask for (PEP 425, PEP 600); () if none does.

    A wheel with several tags installs where the lowest does. One compiled here carries no version: it gets this one.
    """
    needed: list[tuple[int, ...]] = []
    for wheel in wheels:
        versions = [(int(major), int(minor)) for major, minor in _TAGS.findall(wheel)]
        needed += [min(versions)] if versions else [this_system()] if _BUILT_HERE.search(wheel) else []
    return max(needed, default=())
