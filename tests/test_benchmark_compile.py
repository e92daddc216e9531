"""Training steps through torch.compile: what is compiled, what is not, and whose identity it is part of."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import write_parts
from torch import Tensor, nn
from torch._dynamo.utils import counters
from torch.utils.data import DataLoader

from reshift.benchmark.planning import make_plan
from reshift.benchmark.preset import DatasetSpec, load_preset
from reshift.benchmark.training import PhasedTraining
from reshift.models.base import Batch, InspectionModule

TINY = Path(__file__).parent / "tiny.yaml"


class Line(InspectionModule):
    """Fits a line; says whether a step was traced by the compiler or run as it stands."""

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


def test_it_is_part_of_the_identity_of_what_trains_by_gradient_and_of_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parts(tmp_path / "photos", 30)
    monkeypatch.setenv("RESHIFT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "compiled.yaml").write_text(TINY.read_text(encoding="utf-8") + "compile: true\n", encoding="utf-8")
    plans = []
    for path in (TINY, tmp_path / "compiled.yaml"):
        data = [DatasetSpec("manifest", {"csv": str(tmp_path / "photos" / "parts.csv")})]
        plans.append(make_plan(replace(load_preset(str(path)), datasets=data), "tiny"))
    plain, compiled = plans
    moved = {a.model for a, b in zip(plain.cells, compiled.cells, strict=True) if a.id != b.id}
    kept = {a.model for a, b in zip(plain.cells, compiled.cells, strict=True) if a.id == b.id}
    assert {"classifier", "differnet_iterative"} <= moved
    assert "size_brightness" in kept and not moved & kept
    assert all("compile" not in cell.identity for cell in plain.cells)
    assert any("torch.compile" in note for note in compiled.notes)
    assert not any("torch.compile" in note for note in plain.notes)
