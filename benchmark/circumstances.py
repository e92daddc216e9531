"""What a record says of where and when a cell ran: device, versions, code revision."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import reshift


def circumstances(device: torch.device) -> dict[str, Any]:
    """Device, git revision and versions, as plain values; recorded, never part of an identity."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        "device": f"{device.type}: {name}",
        "git": _git_revision(),
        "versions": {
            "reshift": reshift.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }


def told(found: dict[str, Any]) -> str:
    """`circumstances` in one line."""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return f"device {found['device']}; {versions}; code {found['git'] or 'of no git checkout'}"


@cache
def processor() -> str:
    """The processor's model, e.g. "AMD EPYC 9654", or its architecture where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


@cache
def _git_revision() -> str:
    """Revision of the checkout the code runs from, "+" where it has uncommitted changes, "" outside a checkout."""
    here = Path(reshift.__file__).resolve().parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
