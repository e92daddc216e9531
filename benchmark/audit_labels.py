"""Audits all labels of a data set by the models of a preset, and leaves its files."""

from __future__ import annotations

from pathlib import Path

import torch

from reshift.benchmark.audit import LabelAudit, auditing_models, everything
from reshift.benchmark.audit_files import audit_lines, audit_table, check_free, write_audit
from reshift.benchmark.world import World
from reshift.datamodules.dataset import Dataset
from reshift.refinement.cross_fit import Over


def audit_labels(
    dataset: Dataset,
    world: World,
    folder: Path,
    *,
    over: Over,
    folds: int,
    repeats: int,
    sheet: int,
    device: torch.device,
) -> list[str]:
    """Cross-fit every model over all samples, write `audit.csv` and `sheet.png` to the folder, say what was found.

    What would be training, validation and test is judged alike, each label by models that never saw its part (over
    "images": its picture). The labels that a person then looks at are not drawn at random, so what is found wrong among
    them is no `results.label_error.Audit`: its share would be too high.

    Raises:
        DataError: the folder holds an audit that somebody has begun to fill in.
        ValueError, NoRowsError: see `LabelAudit.judged`.
    """
    check_free(folder)
    found = {}
    for name, (spec, cls) in auditing_models(world).items():
        title = f"{dataset.name} {name}"
        audit = LabelAudit(dataset, everything(dataset), spec, cls, world.preset, device=device, title=title)
        found[name] = audit.of_images(audit.judged(over, folds=folds, repeats=repeats))
    table = audit_table(dataset, found)
    write_audit(dataset, table, folder, sheet)
    return audit_lines(dataset, table, folder)
