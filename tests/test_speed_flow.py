"""The plain loop that the flow is timed against does the same work, and the figures made of it add up."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from FrEIA.modules import PermuteRandom

from reshift.benchmark.cell_data import cell_data
from reshift.benchmark.executor import bundles
from reshift.benchmark.planning import make_plan
from reshift.benchmark.preset import DatasetSpec, load_preset
from reshift.benchmark.scoring import score_rows
from reshift.benchmark.speed import flow_step, noise_study
from reshift.benchmark.speed.reference_flow import ReferenceFlow
from reshift.datamodules.inspection_data import InspectionData
from reshift.datamodules.manifest import Manifest
from reshift.models.differnet import DifferNet
from reshift.models.flow import CouplingFlow, Flow
from reshift.splits.in_distribution import InDistribution

CPU = torch.device("cpu")
SIDE, BATCH = 32, 4
SMALL = {"backbone": "test_efficientnet", "weights": "none", "stages": [2], "timm_options": None}
TINY = {**SMALL, "blocks": 2, "hidden": 16, "train_transforms": 2, "score_transforms": 3}


@dataclass(frozen=True)
class Sides:
    """The suite's model and data, and the plain loop of the same start."""

    model: DifferNet
    data: InspectionData
    plain: ReferenceFlow


@pytest.fixture
def sides(parts_manifest: Path) -> Sides:
    parts = Manifest(parts_manifest).read()
    split = next(InDistribution(val=0.3).splits(parts.table, seed=0))
    torch.manual_seed(0)
    model = DifferNet(**TINY)
    data = cell_data(model, parts, split, SIDE, BATCH, 0, CPU)
    return Sides(model, data, ReferenceFlow(model, parts, split, SIDE, BATCH))


def test_the_plain_step_teaches_the_flow_what_the_suite_teaches_it(sides: Sides) -> None:
    images = torch.rand(8, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    ours = copy.deepcopy(sides.model)
    with torch.no_grad():
        feature = ours.backbone(images)
    optimizer = ours.configure_optimizers()
    for _ in range(3):
        loss = ours.training_step({"feature": feature, "weight": torch.ones(8)}, 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert sides.plain.step(images) == pytest.approx(float(loss.detach()), rel=1e-5)
    trained = zip(
        sides.model.flow.parameters(), ours.flow.parameters(), sides.plain.model.flow.parameters(), strict=True
    )
    moved = 0.0
    for start, mine, theirs in trained:
        torch.testing.assert_close(theirs, mine, rtol=1e-4, atol=1e-6)
        moved += float((mine - start).abs().sum().detach())
    assert moved > 0


def test_gradients_pass_the_network_whose_weights_stay_and_every_subnet_runs_twice(sides: Sides) -> None:
    network, before = sides.plain.model.backbone, copy.deepcopy(sides.plain.model.backbone.state_dict())
    calls = []
    for coupling in sides.plain.model.flow.layers[1::2]:
        coupling.subnet1.register_forward_hook(lambda *_: calls.append(1))
    sides.plain.train(1)
    assert len(calls) == 2 * TINY["blocks"]
    deepest = next(network.parameters())
    assert deepest.grad is not None and float(deepest.grad.abs().sum()) > 0
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_both_sides_draw_the_same_pictures_in_the_same_order(sides: Sides) -> None:
    suite = [batch["index"] for batch in sides.data.train_loader(steps=5)]
    plain = list(sides.plain.data.train_loader(steps=5))
    assert all(torch.equal(ours, theirs["index"]) for ours, theirs in zip(suite, plain, strict=True))
    assert plain[0]["image"].shape == (BATCH * 2, 3, SIDE, SIDE)


def test_plain_scores_are_the_suites_z2_of_the_same_copies(sides: Sides) -> None:
    ours = score_rows(sides.model, sides.data.score_loader("test"), CPU)["z2"]
    theirs = sides.plain.score("test")
    assert np.ptp(theirs) > 1e-6
    np.testing.assert_allclose(theirs, ours, rtol=1e-3)


def test_a_step_is_measured_by_the_step_however_many_a_round_holds(tmp_path: Path) -> None:
    tiles = load_preset("tiles")
    small = [replace(spec, args=TINY) for spec in tiles.models if spec.name == "differnet"]
    found = flow_step.measure(tmp_path, replace(tiles, models=small, size=SIDE), our_steps=3, rounds=1)
    ratio = found.detail["theirs_step_s"] / found.detail["ours_step_s"]
    assert found.value == pytest.approx(ratio)
    assert 0 <= found.detail["theirs_kernel_share"] <= 1
    assert found.detail["hidden"] == 16 and found.detail["images"] == 24 and found.detail["copies"] == 2


def test_the_study_is_54_cells_in_18_bundles_that_share_their_first_phase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_step, "HEIGHT", 8)
    monkeypatch.setattr(flow_step, "WIDTH", 8)
    flow_step.draw_tiles(tmp_path / "tiles", noise_study.PICTURES)
    whole = noise_study.noise_study()
    study = replace(
        whole,
        datasets=[DatasetSpec("magnetic_tiles", {"root": str(tmp_path / "tiles")})],
        models=[replace(spec, args=TINY) for spec in whole.models],
    )
    cells = make_plan(study, "run").cells
    assert len(cells) == 54 and not any(cell.not_applicable for cell in cells)
    assert len({cell.protocol for cell in cells}) == 6
    assert [[cell.model for cell in bundle] for bundle in bundles(cells)] == [list(noise_study.ARMS)] * 18


def test_the_figure_is_made_of_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = noise_study.noise_study()
    clean = [board for board in study.protocols if board.name == "contamination-00"]
    arms = [replace(arm, args=TINY) for arm in study.models]
    small = replace(study, protocols=clean, models=arms, size=SIDE, seeds=list(range(6)), steps=24, batch_size=4)
    pictures = {name: 6 for name in noise_study.PICTURES} | {"Free": 36}
    seconds = {}

    def noted(self: noise_study.PlainRun, looks: int) -> float:
        seconds["run"] = self.steps * self.step_s + len(self.tested) * self.image_s
        seconds["look"] = self.candidates * self.image_s
        return plain_seconds(self, looks)

    plain_seconds = noise_study.PlainRun.seconds
    monkeypatch.setattr(noise_study.PlainRun, "seconds", noted)
    found = noise_study.measure(tmp_path, small, pictures)
    detail = found.detail
    looks = detail["measured_scorings_of_training_images_a_bundle"]
    assert 1 <= looks <= 11
    assert detail["theirs_s"] == pytest.approx(6 * (3 * seconds["run"] + looks * seconds["look"]))
    first, warm = detail["measured_first_bundle_s"], detail["measured_warm_bundle_s"]
    assert detail["ours_s"] == pytest.approx(detail["measured_planning_s"] + first + 5 * warm)
    assert found.value == pytest.approx(detail["theirs_s"] / detail["ours_s"])


@pytest.mark.parametrize("shape", [(6,), (7, 5, 4)])
def test_permutations_are_freias_to_the_bit(shape: tuple[int, ...]) -> None:
    flow = Flow(shape, [lambda inputs, outputs: torch.nn.Identity()])
    ours, theirs = flow.layers[0], PermuteRandom([shape], seed=0)
    assert set(ours.state_dict()) == set(theirs.state_dict())
    x = torch.randn(5, *shape, generator=torch.Generator().manual_seed(0))
    for backwards in (False, True):
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        (left,), nothing = ours([a], rev=backwards)
        (right,), _ = theirs([b], rev=backwards)
        assert nothing == 0 and torch.equal(left, right) and not torch.equal(left, x)
        (left * x).sum().backward()
        (right * x).sum().backward()
        assert torch.equal(a.grad, b.grad)


def test_a_trained_flow_is_the_one_that_freias_permutations_give(monkeypatch: pytest.MonkeyPatch) -> None:
    def trained() -> list[torch.Tensor]:
        torch.manual_seed(0)
        flow = CouplingFlow(10, blocks=3, hidden=8)
        learned = [p for p in flow.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(learned, lr=1e-3)
        for _ in range(5):
            latent, log_det = flow(torch.randn(16, 10))
            optimizer.zero_grad()
            (latent.square().sum(1) / 2 - log_det).mean().backward()
            optimizer.step()
        return learned

    ours = trained()
    monkeypatch.setattr("reshift.models.flow._Permutation", PermuteRandom)
    assert all(torch.equal(a, b) for a, b in zip(ours, trained(), strict=True))
