"""Training in phases: what happens between them leaves no trace in the next."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from reshift.benchmark.training import PhasedTraining, TrainingFailure
from reshift.models.base import Batch, InspectionModule


class Watched(InspectionModule):
    """Notes the mode of its dropout at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 1))
        self.modes: list[bool] = []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.modes.append(self.net[0].training)
        return self.net(batch["feature"]).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def score(self, batch: Batch) -> Tensor:
        return self.net(batch["feature"]).squeeze(1)


def phases(model: InspectionModule, judge: Callable[[InspectionModule], float] | None = None) -> PhasedTraining:
    return PhasedTraining(model, judge, every=1, select_from=0, seed=0, device=torch.device("cpu"))


def batches(value: float = 1.0) -> DataLoader[Batch]:
    """Two batches of four rows."""
    rows = [{"feature": torch.full((2,), value), "index": torch.tensor(i)} for i in range(8)]
    return DataLoader(rows, batch_size=4)  # type: ignore[arg-type]


def test_a_phase_after_scoring_trains_in_training_mode() -> None:
    model = Watched()
    training = phases(model)
    training.run(batches(), 2)
    model.eval()  # as scoring rows for refinement does
    training.run(batches(), 2)
    assert model.modes == [True] * 4


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_a_loss_that_is_not_finite_ends_the_training(value: float) -> None:
    with pytest.raises(TrainingFailure, match=r"training loss is (nan|inf) at step 1; lower the learning rate"):
        phases(Watched()).run(batches(value), 2)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_validation_loss_that_is_not_finite_ends_the_training(loss: float) -> None:
    losses = iter([0.5, loss])
    training = phases(Watched(), lambda model: next(losses))
    with pytest.raises(TrainingFailure, match=rf"validation loss is {loss} at step 2; lower the learning rate"):
        training.run(batches(), 2)
    assert training.progress.losses == [(1, 0.5)]


def test_a_loader_without_batches_is_no_training() -> None:
    with pytest.raises(TrainingFailure, match="asked for 3 steps, the loader gave 0"):
        phases(Watched()).run(DataLoader([]), 3)
