"""`reshift metric`: a function of one's own over the stored scores of a run, as one more CSV beside its boards."""

from __future__ import annotations

import pkgutil
import runpy
from pathlib import Path

from reshift.benchmark.catalog import LookupFailure
from reshift.datamodules.progress import StderrProgress
from reshift.results.atomic_write import write_atomically
from reshift.results.board_rows import MEAN
from reshift.results.custom_metric import Metric, metric_bytes, metric_rows
from reshift.results.leaderboard import FOLDER
from reshift.results.store import RunStore


def judge_by(run: Path, spec: str) -> list[str]:
    """Write `leaderboards/custom-<function>.csv` of a run; `reshift board` takes it away with all it did not write.

    Args:
        run: its folder.
        spec: `file.py:function` or `pkg.mod:function`, see `results.custom_metric.metric_rows`.

    Returns:
        Lines for a person: the mean of every model, with its interval, and where the CSV is.

    Raises:
        LookupFailure: no such function.
        MetricError, RecordError, ValueError, FileNotFoundError: see `metric_rows` and `RunStore.read_plan`.
    """
    metric, name = find_metric(spec), spec.rpartition(":")[2]
    store = RunStore(run)
    rows = list(metric_rows(store, store.read_plan(), name, metric, progress=StderrProgress("rows judged")))
    folder = run / FOLDER
    folder.mkdir(exist_ok=True)
    file = folder / f"custom-{name}.csv"
    write_atomically(file, metric_bytes(rows))
    lines = []
    for row in rows:
        if row.split == MEAN:
            value = "undefined" if row.mean is None else f"{row.mean:.3f}"
            between = f" [{row.part_low:.3f}, {row.part_high:.3f}]" if row.part_low is not None else ""
            lines.append(f"{row.dataset}: {row.protocol}  {row.model}  by {row.level}  {name} {value}{between}")
    return [*lines, f"wrote {file}"]


def find_metric(spec: str) -> Metric:
    """The function behind `file.py:function` or `pkg.mod:function`.

    Raises:
        LookupFailure: no such file, module or function, or one that does not import.
    """
    where, colon, name = spec.rpartition(":")
    if not colon or not name.isidentifier():
        raise LookupFailure(f"{spec!r} is no metric; give file.py:function or pkg.mod:function")
    try:
        found = runpy.run_path(where).get(name) if where.endswith(".py") else pkgutil.resolve_name(spec)
    except Exception as error:
        # Whatever somebody's file raises while it is imported is his to mend.
        raise LookupFailure(f"{where}: does not import: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise LookupFailure(f"{spec}: {where} has no function {name!r}")
    metric: Metric = found
    return metric
