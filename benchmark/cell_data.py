"""What a cell's model is given: the split's data in the form its contract asks for, and scores of any role."""

from __future__ import annotations

import os
from hashlib import sha256

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from reshift.benchmark.catalog import class_key
from reshift.benchmark.scoring import score_rows
from reshift.datamodules.dataset import Dataset
from reshift.datamodules.feature_cache import FrozenFeatures, cached_features
from reshift.datamodules.image_cache import cached_images
from reshift.datamodules.inspection_data import InspectionData
from reshift.datamodules.progress import Progress
from reshift.datamodules.rows import Role
from reshift.models.base import InspectionModule
from reshift.results.plan import canonical_json
from reshift.splits.protocol import Split, unit_hash


def purpose_seed(seed: int, purpose: str) -> int:
    """A seed of its own for each purpose, so that a change in one draw moves nothing else."""
    return int(unit_hash(seed, purpose) * 2**31)


def cell_data(
    model: InspectionModule,
    dataset: Dataset,
    split: Split,
    size: int,
    batch_size: int,
    seed: int,
    device: torch.device,
) -> InspectionData:
    """The data of a cell for this model; `seed` is the cell's."""
    extractor = model.extractor()
    features = None if extractor is None else _frozen(extractor, device)
    return InspectionData(
        dataset,
        split,
        size=size,
        views=model.views,
        learns_from=model.learns_from,
        train_copies=model.train_copies,
        score_copies=model.score_copies,
        masks=model.needs_masks,
        augmentation=model.augmentation(size),
        score_augmentation=model.score_augmentation(size),
        batch_size=batch_size,
        seed_order=purpose_seed(seed, "order"),
        seed_augmentation=purpose_seed(seed, "augmentation"),
        features=features,
        workers=loader_workers(device),
    )


def loader_workers(device: torch.device) -> int:
    """Processes that prepare images while the device works on others; none where the device is the processor itself.

    Preparing 32 images of 224 px takes 4 ms of one core (flips) to 9 ms (SimCLR's copies), a GPU's step of them about
    as long, so few suffice.
    """
    return 0 if device.type == "cpu" else max(1, min(4, (os.cpu_count() or 1) - 1))


def scored(model: InspectionModule, data: InspectionData, role: Role, device: torch.device) -> pd.DataFrame:
    """The rows of a role, each with its labels and its "score:" columns, headline first."""
    scores = score_rows(model, data.score_loader(role), device)
    return pd.concat([data.rows(role), scores.add_prefix("score:")], axis=1)


def picture_features(
    dataset: Dataset, size: int, extractor: nn.Module, device: torch.device, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Features (N, D) of every picture of the table as it is, computed once and cached."""
    return cached_features(cached_images(dataset, size), _frozen(extractor, device), None, 1, True, progress)[:, 0]


def _frozen(extractor: nn.Module, device: torch.device) -> FrozenFeatures:
    return FrozenFeatures(extractor, extractor_key(extractor), device)


def extractor_key(extractor: nn.Module) -> str:
    """Names a frozen network by its class, structure and every tensor: the key of its cached features."""
    digest = sha256(canonical_json(class_key(type(extractor))).encode())
    digest.update(repr(extractor).encode())
    for name, tensor in extractor.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return f"{type(extractor).__name__}-{digest.hexdigest()}"


def role_counts(split: Split, table: pd.DataFrame) -> dict[str, int]:
    """Images and parts by role, what was dropped, and how many training images are observed as defective."""
    part = table.set_index("sample")["part"]
    counts = {"dropped": split.dropped}
    for role in ("train", "val", "test", "calibration"):
        ids = list(getattr(split, role))
        counts[f"{role}_images"] = len(ids)
        counts[f"{role}_parts"] = int(part.loc[ids].nunique())
    observed = split.observed_labels(table).loc[list(split.train)]
    counts["train_observed_defective"] = int(observed.sum())
    return counts
