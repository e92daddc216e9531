"""What a figure of speed was measured on: without it no figure means anything."""

from __future__ import annotations

import os
import platform
from typing import Any

import torch

import reshift
from reshift.benchmark.circumstances import processor


def hardware() -> dict[str, Any]:
    """Processor, cores this process may use, accelerator ("" for none) and versions."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "processor": processor(),
        "cores": cores,
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "",
        "versions": {
            "reshift": reshift.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }


def slug(found: dict[str, Any]) -> str:
    """A file name for this hardware, e.g. "amd-epyc-2-cores"."""
    words = f"{found['accelerator'] or found['processor']} {found['cores']} cores"
    return "-".join("".join(c if c.isalnum() else " " for c in words.lower()).split())
