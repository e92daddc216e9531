"""Memory for table and all splits of a data set as large as Real-IAD."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from reshift.benchmark.speed.large_table import all_splits, preset_protocols, reader_rows
from reshift.benchmark.speed.measurement import Measurement
from reshift.splits.samples import validate_table

TARGET_MIB = 1024.0


def measure(scratch: Path) -> Measurement:
    """By how much the process's peak resident memory grows, the reader's rows included and all splits kept."""
    protocols = list(preset_protocols())
    before = peak_mib()
    table = validate_table(reader_rows(), "large table")
    with_table = peak_mib()
    splits = all_splits(table, protocols)
    return Measurement(
        what=f"memory for table and all {len(splits)} splits of {len(table):,} images",
        against="",
        value=peak_mib() - before,
        unit="MiB",
        bound="at most",
        target=TARGET_MIB,
        detail={"before_mib": before, "table_mib": with_table - before, "splits_mib": peak_mib() - with_table},
        note="Growth of the peak over what the imports take.",
    )


def peak_mib() -> float:
    """The largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # macOS counts bytes, Linux KiB
