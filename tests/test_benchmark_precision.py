"""Training in bf16: what runs in it and what does not, whose identity it and compiling change, how far scores move."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import write_parts
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.utils.data import DataLoader

from reshift.benchmark.cli import main
from reshift.benchmark.planning import make_plan
from reshift.benchmark.preset import DatasetSpec, Precision, PresetError, load_preset, parse_preset
from reshift.benchmark.training import PhasedTraining
from reshift.models.base import Batch, InspectionModule, TrainingInfo
from reshift.models.differnet import DifferNet
from reshift.results.scores_file import score_names
from reshift.results.store import RunStore

TINY = Path(__file__).parent / "tiny.yaml"
CPU = torch.device("cpu")


class Watched(InspectionModule):
    """Notes in which precision its layer computes."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(2, 1)
        self.seen: list[torch.dtype] = []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        value: Tensor = self.net(batch["feature"])
        self.seen.append(value.dtype)
        return value.float().square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def score(self, batch: Batch) -> Tensor:
        value: Tensor = self.net(batch["feature"])
        return value.squeeze(1)


def loader_of(features: Tensor, batch_size: int) -> DataLoader[Any]:
    rows = [
        {"feature": row, "index": torch.tensor(i), "label": torch.tensor(0), "weight": torch.tensor(1.0)}
        for i, row in enumerate(features)
    ]
    return DataLoader(rows, batch_size=batch_size)  # type: ignore[arg-type]


@pytest.mark.parametrize(("precision", "computed"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_training_steps_alone_run_in_the_precision_asked_for(precision: Precision, computed: torch.dtype) -> None:
    model, judged = Watched(), []

    def judge(model: InspectionModule) -> float:
        judged.append(model.score({"feature": torch.ones(1, 2)}).dtype)
        return 0.0

    training = PhasedTraining(model, judge, every=1, select_from=0, seed=0, device=CPU, precision=precision)
    training.run(loader_of(torch.ones(8, 2), 4), 2)
    assert model.seen == [computed] * 2
    assert judged == [torch.float32] * 2
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def flow() -> DifferNet:
    torch.manual_seed(0)
    return DifferNet(
        backbone="test_efficientnet", weights="none", blocks=4, hidden=32, train_transforms=1, score_transforms=1
    )


def test_a_flow_trained_in_bf16_scores_alike() -> None:
    generator = torch.Generator().manual_seed(0)
    width = flow().extractor()(torch.rand(1, 3, 32, 32)).shape[1]
    good = torch.randn(64, width, generator=generator) * torch.linspace(0.5, 2, width)
    asked = torch.randn(200, width, generator=generator) * torch.linspace(0.4, 3, 200)[:, None]
    scores: list[Tensor] = []
    for precision in ("fp32", "bf16"):
        model = flow()
        model.prepare(TrainingInfo(60, (64, 0), 1, 1, 32))
        training = PhasedTraining(model, None, every=60, select_from=0, seed=0, device=CPU, precision=precision)
        training.run(loader_of(good.repeat(60, 1), 64), 60)
        with torch.no_grad():
            latent = model.eval().predict_step({"feature": asked, "index": torch.arange(200)})
        scores.append(next(iter(latent.values())))
    exact, rough = scores
    assert not torch.equal(exact, rough)
    assert float(((rough - exact).abs() / exact.abs().clamp(min=0.1)).median()) < 0.02
    assert spearmanr(exact, rough).statistic > 0.995


@pytest.mark.parametrize(
    ("line", "key", "note"), [("precision: bf16", "precision", "bf16"), ("compile: true", "compile", "torch.compile")]
)
def test_it_is_part_of_the_identity_of_what_trains_by_gradient_and_of_nothing_else(
    line: str, key: str, note: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parts(tmp_path / "photos", 30)
    monkeypatch.setenv("RESHIFT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "other.yaml").write_text(TINY.read_text(encoding="utf-8") + f"{line}\n", encoding="utf-8")
    plans = []
    for path in (TINY, tmp_path / "other.yaml"):
        preset = load_preset(str(path))
        data = [DatasetSpec("manifest", {"csv": str(tmp_path / "photos" / "parts.csv")})]
        plans.append(make_plan(replace(preset, datasets=data), "tiny"))
    usual, other = plans
    moved = {a.model for a, b in zip(usual.cells, other.cells, strict=True) if a.id != b.id}
    kept = {a.model for a, b in zip(usual.cells, other.cells, strict=True) if a.id == b.id}
    assert {"classifier", "differnet_iterative"} <= moved
    assert "size_brightness" in kept and not moved & kept
    assert all(key not in cell.identity for cell in usual.cells)
    assert any(note in said for said in other.notes) and not any(note in said for said in usual.notes)


def test_another_precision_is_refused() -> None:
    raw = {
        "description": "x",
        "datasets": [{"use": "manifest"}],
        "protocols": [{"use": "in_distribution"}],
        "models": [{"use": "gaussian"}],
        "precision": "fp16",
    }
    with pytest.raises(PresetError, match="precision"):
        parse_preset(raw, "mine")


TILES = Path(__file__).resolve().parents[2] / "shared" / "data" / "magnetic_tiles"


@pytest.mark.heavy  # the features of 21,504 pictures and two trainings: minutes
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not TILES.is_dir(), reason=f"{TILES} is not on this machine")
def test_on_the_tiles_a_flow_trained_in_bf16_stays_within_half_a_point_of_auroc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = files("reshift.benchmark").joinpath("presets/tiles.yaml").read_text(encoding="utf-8")
    text = preset.replace("../shared", str(TILES.parents[1]))
    monkeypatch.setenv("RESHIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    found = []
    for precision in ("fp32", "bf16"):
        path = tmp_path / f"{precision}.yaml"
        path.write_text(text + f"precision: {precision}\n", encoding="utf-8")
        chosen = ["--models", "differnet", "--protocols", "in_distribution", "--seeds", "0", "--data-root", str(TILES)]
        assert main(["run", "--preset", str(path), "--run", precision, *chosen]) == 0
        store = RunStore(tmp_path / "runs" / precision)
        _, scores = store.read(store.read_plan().cells[0].id)
        found.append(scores[scores["role"] == "test"].set_index("sample"))
    exact, rough = found[0], found[1].loc[found[0].index]
    name = "score:" + score_names(exact)[0]
    assert not np.array_equal(exact[name], rough[name])
    moved = roc_auc_score(rough["label"], rough[name]) - roc_auc_score(exact["label"], exact[name])
    assert abs(moved) < 0.005
    assert spearmanr(exact[name], rough[name]).statistic > 0.995
