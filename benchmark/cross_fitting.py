"""One fit of a cross-fit: a fresh model trained on some training rows, and its scores of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import torch

from reshift.benchmark.fitting import Fitting
from reshift.benchmark.scoring import score_rows
from reshift.datamodules.inspection_data import InspectionData
from reshift.datamodules.rows import Role
from reshift.models.base import InspectionModule


def scores_of_fit(
    new_model: Callable[[], InspectionModule],
    data: InspectionData,
    weights: Mapping[str, float],
    names: Sequence[str],
    *,
    steps: int,
    seed: int,
    device: torch.device,
) -> pd.DataFrame:
    """Named scores (n, ...) of training or calibration rows, headline first, by a model trained with these weights.

    Nothing is selected on validation: the last state scores.

    Args:
        new_model: builds the untrained model, the same one each time.
        weights: of the training rows, by the `sample` column of `data.rows("train")`.
        names: the n rows to score, of either role.
        steps: optimiser steps; closed forms have none.
        seed: of the training's random draws.
    """
    fitting = Fitting(
        new_model, data, steps=steps, every=steps, select_from=0.0, seed=seed, device=device, judge="last"
    )
    fitting.fit(weights, steps, True)
    fitting.finish()
    trained = set(data.rows("train")["sample"])
    scored: list[pd.DataFrame] = []
    roles: tuple[Role, ...] = ("train", "calibration")
    for role in roles:
        chosen = [name for name in names if (name in trained) == (role == "train")]
        if chosen:
            scores = score_rows(fitting.model, data.score_loader(role, chosen), device)
            scored.append(scores.set_axis(chosen, axis=0))
    return pd.concat(scored).loc[list(names)]
