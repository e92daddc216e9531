"""The conformance suite: each promise, broken on purpose, is named; a model that keeps all of them passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from reshift.benchmark.check_model import Finding, check_model
from reshift.benchmark.promises import PROMISES

GOOD = """
import random
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from reshift.models.base import InspectionModule

drawn = random.Random()
kept = []

class Mine(InspectionModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 8, 5, 4), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten())
        self.net.append(nn.Linear(8, 2))
        self.register_buffer("seen", torch.zeros(()))

    def training_step(self, batch, batch_idx):
        return cross_entropy(self.net(batch["image"]), batch["label"])

    def validation_loss(self, batch):
        return self.training_step(batch, 0)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)

    def score(self, batch):
        return self.net(batch["image"]).diff(dim=1).squeeze(1)
"""

SCORE = 'return self.net(batch["image"]).diff(dim=1).squeeze(1)'
STEP = 'return cross_entropy(self.net(batch["image"]), batch["label"])'
BROKEN = {
    "builds from its arguments": ("super().__init__()", "super().__init__(); self.nothing.here"),
    "the same seed builds the same model, seed 0 too": (
        'self.register_buffer("seen", torch.zeros(()))',
        'self.register_buffer("seen", torch.tensor(drawn.random()))',
    ),
    "trains on labelled batches without a NaN": (STEP, STEP + " * float('nan')"),
    "the same seed trains the same model": (STEP, STEP + " * (1 + drawn.random())"),
    "a tiny fit lowers the validation loss": (
        "return self.training_step(batch, 0)",
        "return -self.training_step(batch, 0)",
    ),
    "learns from its batches alone": (
        STEP,
        "self._trainer and getattr(self.trainer.train_dataloader.dataset, 'table', None); " + STEP,
    ),
    "scores are finite, one a sample": (SCORE, 'return self.net(batch["image"])'),
    "scoring learns nothing": (SCORE, "self.seen += 1; " + SCORE),
    "scoring twice gives the same scores": (SCORE, SCORE + ' + torch.rand(len(batch["index"]))'),
    "a score does not depend on its batch mates": (SCORE, SCORE + ' - batch["image"].mean()'),
    "a score does not depend on a sample's number": (SCORE, SCORE + ' + batch["index"]'),
    "scores survive saving and loading the state": (
        SCORE,
        'self.offset = getattr(self, "offset", None) or kept.append(0) or len(kept); ' + SCORE + " + self.offset",
    ),
}


def found(folder: Path, source: str) -> list[Finding]:
    file = folder / "mine.py"
    file.write_text(source, encoding="utf-8")
    return check_model(f"{file}:Mine", {})


def test_a_model_that_keeps_every_promise_passes(tmp_path: Path) -> None:
    findings = found(tmp_path, GOOD)
    assert [str(finding) for finding in findings if not finding.ok] == []
    assert [finding.promise for finding in findings[1:]] == [promise.says for promise in PROMISES]


@pytest.mark.parametrize("promise", BROKEN)
def test_a_broken_promise_is_named_with_what_was_tried_and_what_to_do(tmp_path: Path, promise: str) -> None:
    old, new = BROKEN[promise]
    assert GOOD.count(old) == 1
    broken = [finding for finding in found(tmp_path, GOOD.replace(old, new)) if not finding.ok]
    (finding,) = [f for f in broken if f.promise == promise]
    assert finding.tried and finding.came_out and finding.to_do
    head, *lines = str(finding).splitlines()
    assert head == f"FAIL  {promise}"
    assert [line.split(":")[0].strip() for line in lines] == ["tried", "came out", "to do"]


def test_a_label_in_score_is_out_of_reach(tmp_path: Path) -> None:
    findings = found(tmp_path, GOOD.replace(SCORE, 'return batch["label"].float()'))
    (finding,) = [f for f in findings if f.promise == "scores are finite, one a sample"]
    assert finding.came_out == "KeyError: 'label'"


def test_a_missing_view_that_is_looked_at_is_named(tmp_path: Path) -> None:
    several = GOOD.replace("def __init__", 'views = "all"\n\n    def __init__').replace(
        'self.net(batch["image"])', 'self.net(batch["image"].amax(dim=1))'
    )
    broken = [finding.promise for finding in found(tmp_path, several) if not finding.ok]
    assert broken == ["a missing view does not change the score"]


def test_a_model_that_cannot_train_is_asked_nothing_further(tmp_path: Path) -> None:
    findings = found(tmp_path, GOOD.replace(STEP, STEP + " * float('nan')"))
    assert not findings[-1].ok and findings[-1].promise == "trains on labelled batches without a NaN"
    assert "training loss is nan at step 1" in findings[-1].came_out
