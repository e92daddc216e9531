"""What the open cells of a run should take, by finished cells of the same model; the unknown is said, not guessed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from reshift.benchmark.executors.costs import readable_records
from reshift.results.plan import PlannedCell, canonical_json
from reshift.results.store import RunStore

_NO_COST = ("dataset", "protocol", "split", "seed", "weights")
"""Parts of an identity that leave a cell's seconds about as they are: training is counted in steps, not in epochs."""


def expected_cost(store: RunStore, cells: Sequence[PlannedCell], device: str, workers: int) -> list[str]:
    """Lines for a person: seconds a cell by model, and how long all of them should take.

    A finished cell counts where it is of the same model with the same settings (arguments, steps, batch, size,
    refinement) and was computed on the same kind of device: in this run, or else in those beside it. The machine it
    was computed on may have been another one.

    Args:
        store: the run; its folder need not exist yet.
        cells: those without a record.
        device: "cpu" or "cuda", where they would be computed.
        workers: processes at once, at least 1.
    """
    if not cells:
        return []
    kinds: dict[tuple[str, str], int] = defaultdict(int)
    for cell in cells:
        kinds[cell.model, _workload(cell.identity)] += 1
    seconds = _mean_seconds(store, {workload for _, workload in kinds}, device)
    width = max(len(model) for model, _ in kinds)
    lines = [f"expected on {device}, by finished cells of the same model and settings below {store.path.parent}:"]
    for (model, workload), count in kinds.items():
        each = seconds.get(workload)
        cost = "unknown, none finished" if each is None else f"{each:.1f} s each, {in_words(each * count)}"
        lines.append(f"  {model:{width}}  {count} x  {cost}")
    total = sum(seconds[workload] * count for (_, workload), count in kinds.items() if workload in seconds)
    unknown = sum(count for (_, workload), count in kinds.items() if workload not in seconds)
    known = f"{in_words(total / workers)} with --workers {workers}" if unknown < len(cells) else "nothing known"
    return [*lines, f"in all: {known}" + (f", {unknown} cells of unknown cost not counted" if unknown else "")]


def in_words(seconds: float) -> str:
    """A duration to about two figures."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"about {seconds / size:.{0 if seconds >= 10 * size else 1}f} {unit}"
    return f"about {seconds:.0f} s"


def _mean_seconds(store: RunStore, workloads: set[str], device: str) -> dict[str, float]:
    """By workload; of this run's records, or of all runs' beside it for a workload that this run has none of."""
    beside = sorted(path.parent for path in store.path.parent.glob("*/cells") if path.parent != store.path)
    found: dict[str, float] = {}
    for runs in ([store.path], beside):
        taken: dict[str, list[float]] = defaultdict(list)
        for record in (r for run in runs for r in readable_records(run)):
            workload = _workload(record.identity)
            if workload in workloads - set(found) and str(record.run.get("device", "")).startswith(f"{device}:"):
                taken[workload].append(float(record.run["seconds"]))
        found |= {workload: mean(values) for workload, values in taken.items()}
        if workloads <= set(found):
            break
    return found


def _workload(identity: Mapping[str, Any]) -> str:
    return canonical_json({key: value for key, value in identity.items() if key not in _NO_COST})
