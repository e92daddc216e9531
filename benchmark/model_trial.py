"""A model on small made-up pictures, trained as a cell trains it: what the conformance suite looks at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from reshift.benchmark.training import PhasedTraining
from reshift.models.base import Batch, InspectionModule

SIZE, ROWS, VIEWS, STEPS = 64, 8, 3, 10

PATIENCE = 60
"""Steps after which a batch norm's running statistics have caught up with the weights."""


class Trial:
    """One model under examination; it is trained once, when it is first needed.

    Args:
        new_model: builds the prepared model from a seed, the same one for the same seed.
    """

    def __init__(self, new_model: Callable[[int], InspectionModule]) -> None:
        self.new_model = new_model
        self.before = self.after = 0.0
        self._trained: InspectionModule | None = None

    @property
    def trained(self) -> InspectionModule:
        """The model of seed 0 after `STEPS` steps, in evaluation mode; `before` and `after` hold its validation loss.

        Raises:
            Exception: whatever the model raises, and ValueError for a loss that is not finite.
        """
        if self._trained is None:
            self._trained, self.before, self.after = train(self.new_model(0))
        return self._trained

    def scores(self, model: InspectionModule, batch: Batch | None = None) -> dict[str, Tensor]:
        """Named scores of a batch, (rows,) each; of the test batch unless another is given."""
        with torch.no_grad():
            return model.predict_step(self.test_batch if batch is None else batch)

    @property
    def test_batch(self) -> Batch:
        """Pictures that training did not show, without a label, in as many copies as the model scores."""
        return pictures(self.trained, labels=False, copies=self.trained.score_copies, seed=1)


def pictures(model: InspectionModule, *, labels: bool, copies: int, seed: int = 0) -> Batch:
    """Noise pictures; the defective half carries a bright square, in one view where there are several."""
    draw = torch.Generator().manual_seed(seed)
    views = VIEWS if model.views == "all" else 1
    image = torch.rand(ROWS, views, 3, SIZE, SIZE, generator=draw) * 0.5
    label = torch.arange(ROWS) % 2
    image[label == 1, 0, :, 16:40, 16:40] = 1.0
    if model.learns_from == "good" and labels:
        image, label = image[label == 0].repeat(2, 1, 1, 1, 1), torch.zeros(ROWS, dtype=torch.int64)
    present = torch.ones(ROWS, views, dtype=torch.bool)
    batch: Batch = {
        "index": torch.arange(ROWS),
        "present": present,
        "extent": torch.full((ROWS, views, 2), float(SIZE)),
    }
    extractor = model.extractor()
    if extractor is None:
        batch["image"] = image
    else:
        with torch.no_grad():
            batch["feature"] = extractor.eval()(image.flatten(0, 1)).unflatten(0, (ROWS, views))
    if model.views == "one":
        batch = {k: v[:, 0] if k in ("image", "feature", "extent") else v for k, v in batch.items() if k != "present"}
    if labels and model.needs_masks:
        batch["mask"] = torch.zeros(ROWS, SIZE, SIZE)
        batch["mask"][label == 1, 16:40, 16:40] = 1.0
    if labels:
        batch |= {"label": label, "weight": torch.ones(ROWS), "group": torch.zeros(ROWS, dtype=torch.int64)}
    return {key: value.repeat_interleave(copies, dim=0) for key, value in batch.items()}


def train(model: InspectionModule, steps: int = STEPS) -> tuple[InspectionModule, float, float]:
    """Train on one batch over and over, or fit on it; the model in evaluation mode, validation loss before and after.

    Raises:
        ValueError: a training loss that is not finite.
    """
    before = after = 0.0
    if model.trained_by == "fit":
        single: Any = [pictures(model, labels=True, copies=1)]
        model.fit(single)
    elif model.trained_by == "gradient":
        batch = pictures(model, labels=True, copies=model.train_copies)
        watched = pictures(model, labels=True, copies=1)
        with torch.no_grad():
            before = float(model.eval().validation_loss(watched))
        model.train()
        configured: Any = model.configure_optimizers()
        optimizer = configured["optimizer"] if isinstance(configured, dict) else configured
        for number in range(steps):
            loss: Any = model.training_step(batch, number)
            loss = loss["loss"] if isinstance(loss, dict) else loss
            if not torch.isfinite(loss):
                raise ValueError(f"training loss is {float(loss.detach())} at step {number + 1}")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            after = float(model.eval().validation_loss(watched))
    return model.eval(), before, after


class WatchedPictures(Dataset[Batch]):
    """Training batches that note what else a model asks of them, a table or a path, say."""

    def __init__(self, batch: Batch, length: int) -> None:
        self._batch, self._length = batch, length
        self.asked: list[str] = []

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, number: int) -> Batch:
        if not 0 <= number < self._length:
            raise IndexError(number)
        return dict(self._batch)

    def __getattr__(self, name: str) -> Any:
        # Only called for what is not there. Python, torch and Lightning feel for names with underscores of their own.
        if not name.startswith("_"):
            self.asked.append(name)
        raise AttributeError(name)


def asked_in_training(model: InspectionModule) -> list[str]:
    """What a model asks of its training data beside batches, in two steps of a real Trainer or one fit."""
    steps = 2
    copies = model.train_copies if model.trained_by == "gradient" else 1
    data = WatchedPictures(pictures(model, labels=True, copies=copies), steps)
    loader: DataLoader[Batch] = DataLoader(data, batch_size=None)
    if model.trained_by == "fit":
        model.fit(loader)
    elif model.trained_by == "gradient":
        PhasedTraining(model, None, every=steps, select_from=0, seed=0, device=torch.device("cpu")).run(loader, steps)
    return data.asked
