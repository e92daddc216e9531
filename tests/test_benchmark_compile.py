"""Training steps through torch.compile: what is compiled, and what is not."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters
from torch.utils.data import DataLoader

from reshift.benchmark.training import PhasedTraining
from reshift.models.base import Batch, InspectionModule


class Line(InspectionModule):
    """Fits a line."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Linear(4, 1)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        value: Tensor = self.net(batch["feature"])
        return (value.squeeze(1) - batch["label"]).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def score(self, batch: Batch) -> Tensor:
        value: Tensor = self.net(batch["feature"])
        return value.squeeze(1)


def batches(count: int) -> DataLoader[Batch]:
    drawn = torch.randn(8 * count, 4, generator=torch.Generator().manual_seed(1))
    rows = [{"feature": row, "label": row.sum()} for row in drawn]
    return DataLoader(rows, batch_size=8)  # type: ignore[arg-type]


@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile wants a C++ compiler on a processor")
@pytest.mark.timeout(300)
def test_a_compiled_training_is_the_plain_one_to_rounding_and_leaves_the_model_as_it_was() -> None:
    weights, graphs = [], []
    for compiled in (False, True):
        counters.clear()
        model = Line()
        judged: list[object] = []

        def judge(model: InspectionModule, judged: list[object] = judged) -> float:
            judged.append(model.score({"feature": torch.ones(1, 4)}))
            return 0.0

        training = PhasedTraining(
            model, judge, every=3, select_from=0, seed=0, device=torch.device("cpu"), compiled=compiled
        )
        training.run(batches(3), 3)
        training.run(batches(3), 3)  # a phase that goes on
        assert training.progress.done == 6 and len(judged) == 2
        assert "training_step" not in vars(model)
        weights.append(model.net.weight.detach().clone())
        graphs.append(counters["stats"]["unique_graphs"])
    assert graphs[0] == 0 and graphs[1] >= 1
    assert float((weights[1] - Line().net.weight.detach()).abs().max()) > 0.1
    torch.testing.assert_close(weights[1], weights[0], rtol=1e-5, atol=1e-6)
