"""What further labelled data change: the same folds and test parts, before and after."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import binomtest

from reshift.benchmark.cell_data import scored
from reshift.benchmark.deploy.cross_fitted import CrossFitted, cross_fitted, outcome_of
from reshift.benchmark.deploy.evidence import Evidence
from reshift.benchmark.deploy.more_data import join, paired_splits
from reshift.benchmark.deploy.refit import train_split
from reshift.datamodules.dataset import Dataset
from reshift.datamodules.progress import Progress
from reshift.results.clustered_auroc import auroc
from reshift.splits.samples import fingerprint
from reshift.splits.verify import Verifier


def compare(
    evidence: Evidence, further: Dataset, device: torch.device, progress: Progress | None = None
) -> tuple[Evidence, dict[str, Any]]:
    """Train every fold of the model twice, without the further data and with them, and judge both on the same parts.

    The threshold before is made from earlier parts alone, as it would have been; the one after from all.

    Returns:
        The evidence on all data, from which to refit, and for earlier and new parts each: `auroc` before and after
        (mean over the folds that test both classes, of parts' largest scores; None where no fold does), escapes and
        false rejects `before` and `after`, verdicts `mended` and `spoiled`, and the exact McNemar `p` of these two.

    Raises:
        DataError, TableError: see `join`.
        SplitError: a fold that cannot be run.
        ValueError: too few good parts, see `cross_fitted`.
    """
    data = join(evidence.dataset, further)
    table = fingerprint(data.both.table)
    # Reader and version stay those of the earlier data; the table is another.
    key = {**evidence.cell.identity["dataset"], "name": data.both.name, "fingerprint": table}
    cell = replace(evidence.cell, dataset=data.both.name, identity={**evidence.cell.identity, "dataset": key})
    widened = replace(evidence, dataset=data.both, cell=cell, cells=())
    protocol, folds = cell.identity["protocol"], evidence.fitted.folds
    pairs = [pair for pair in paired_splits(data, protocol["args"], protocol["seed"]) if pair[0].name in folds]
    verifier = Verifier(data.both.table)
    for split in (split for pair in pairs for split in pair):
        verifier.check(split)
    frames: tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]] = ({}, {})
    for done, pair in enumerate(pairs, start=1):
        for arm, split in zip(frames, pair, strict=True):
            _, trained, batches = train_split(widened, split, device)
            arm[split.name] = scored(trained.model, batches, "test", device)
        if progress is not None:
            progress(done, len(pairs))
    name, earlier, new = evidence.fitted.score, set(data.earlier.table["part"]), set(data.further.table["part"])
    before, after = cross_fitted(name, frames[0], earlier), cross_fitted(name, frames[1])
    groups = {"earlier parts": _change(before, after, earlier), "new parts": _change(before, after, new)}
    found = {
        "data": data.further.name,
        "fingerprint": fingerprint(further.table),
        "new_parts": len(new),
        "folds": sorted(frames[0]),
        "thresholds": [before.threshold, after.threshold],
        "judged": [before.judged, after.judged],
        "groups": {group: change for group, change in groups.items() if change},
    }
    return replace(widened, fitted=after), found


def _change(before: CrossFitted, after: CrossFitted, members: set[str]) -> dict[str, Any]:
    """Of those parts of `members` that were tested; nothing where none was."""
    ours = [f.verdicts[f.verdicts["part"].isin(members)].sort_values(["fold", "part"]) for f in (before, after)]
    if ours[0].empty:
        return {}
    label = ours[0]["label"].to_numpy(dtype=np.int64)
    called = [frame["called"].to_numpy(dtype=np.int64) for frame in ours]
    mended = int(((called[0] != label) & (called[1] == label)).sum())
    spoiled = int(((called[0] == label) & (called[1] != label)).sum())
    aurocs = [_mean_auroc(frame) for frame in ours]
    return {
        "auroc": None if None in aurocs else aurocs,
        "before": outcome_of(label, called[0]),
        "after": outcome_of(label, called[1]),
        "mended": mended,
        "spoiled": spoiled,
        "p": float(binomtest(mended, mended + spoiled).pvalue) if mended + spoiled else 1.0,
    }


def _mean_auroc(parts: pd.DataFrame) -> float | None:
    folds = [fold for _, fold in parts.groupby("fold") if fold["label"].nunique() == 2]
    if not folds:
        return None
    return float(np.mean([auroc(fold["label"].to_numpy(), fold["score"].to_numpy()) for fold in folds]))
