"""Tuning by equal random trials: every model draws as many configurations from its declared space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from sklearn.metrics import roc_auc_score

from reshift.models.base import InspectionModule
from reshift.splits.protocol import unit_hash


def configurations(cls: type[InspectionModule], args: dict[str, Any], trials: int) -> list[dict[str, Any]]:
    """What tuning changes in `args`, trial by trial: nothing first, then random draws from `cls.space`.

    Draws depend on the trial's number and the argument's name alone, so that models which share an argument try the
    same values. A model without a space has one configuration.

    Raises:
        ValueError: the space names an argument the class does not take.
    """
    unknown = sorted(set(cls.space) - set(args))
    if unknown:
        raise ValueError(f"{cls.__name__}.space names {', '.join(unknown)}, which its constructor does not take")
    if not cls.space:
        return [{}]
    drawn = [
        {name: range_.draw(unit_hash(trial, "tuning", name)) for name, range_ in cls.space.items()}
        for trial in range(1, trials)
    ]
    return [{}, *drawn]


def validation_value(model: InspectionModule, scored: pd.DataFrame, best_loss: float) -> tuple[float, float]:
    """How good a trial is, lower is better; compares as a tuple.

    A model that learns from labels is judged by the AUROC of its headline score on validation against observed
    labels, then by its validation loss; one that learns from good samples only by its validation loss
    (docs/definitions.md, 'Tuning').

    Args:
        scored: validation rows with `observed_label` and the headline score as the first "score:" column.
        best_loss: lowest validation loss, infinite for a closed form.
    """
    if model.learns_from == "good" or scored["observed_label"].nunique() < 2:
        return best_loss, 0.0
    return -float(roc_auc_score(scored["observed_label"], scored[headline_column(scored)])), best_loss


def headline_column(scored: pd.DataFrame) -> str:
    """The column of the score that models are judged by."""
    return next(column for column in map(str, scored.columns) if column.startswith("score:"))


def trial_report(tried: Sequence[dict[str, Any]], values: Sequence[tuple[float, float]], chosen: int) -> dict[str, Any]:
    """What a record says of tuning: per trial its changes and its value, and which was chosen."""
    rows = [{"args": args, "value": value[0]} for args, value in zip(tried, values, strict=True)]
    return {"trials": rows, "chosen": chosen}
