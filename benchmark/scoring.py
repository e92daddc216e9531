"""Scores rows with a trained model: no label goes in, one row of named scores a sample comes out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

from reshift.benchmark.training import to_device
from reshift.models.base import Batch, InspectionModule


def score_rows(model: InspectionModule, loader: DataLoader[Batch], device: torch.device) -> pd.DataFrame:
    """One float64 column a named score, headline first, in the loader's order of samples.

    Raises:
        ValueError: see `InspectionModule.predict_step`.
    """
    model.to(device).eval()
    with torch.no_grad():
        batches = [model.predict_step(to_device(batch, device)) for batch in loader]
    columns = {name: np.concatenate([b[name].double().cpu().numpy() for b in batches]) for name in batches[0]}
    return pd.DataFrame(columns)
