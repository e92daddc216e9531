"""The small network from scratch that the gates are measured with."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reshift.datamodules.progress import StderrProgress


class SmallNetwork(nn.Module):
    """Five convolutions; mean and maximum over the picture, since a defect is a small place in it."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        shapes = ((6, 24, 5, 2), (24, 32, 3, 2), (32, 48, 3, 1), (48, 64, 3, 2), (64, 64, 3, 1))
        for inputs, outputs, side, stride in shapes:
            layers += [
                nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(128, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits, (B,), of (B, 3, H, W) pictures."""
        maps = self.features(pictures)
        logits: Tensor = self.head(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1))
        return logits.squeeze(1)


def train_network(pictures: Tensor, labels: Tensor, epochs: int, seed: int, what: str) -> SmallNetwork:
    """A small network from scratch on uint8 pictures (N, 3, H, W), with flips and quarter turns."""
    torch.manual_seed(seed)
    draw = torch.Generator().manual_seed(seed)
    model, batch = SmallNetwork(), 16
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.02)
    steps = epochs * (len(labels) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    progress = StderrProgress(what)
    for epoch in range(epochs):
        order = torch.randperm(len(labels), generator=draw)
        for start in range(0, len(order) - batch + 1, batch):
            chosen = order[start : start + batch]
            inputs = _scaled(pictures[chosen])
            turn = int(torch.randint(8, (), generator=draw))
            inputs = torch.rot90(inputs.flip(3) if turn >= 4 else inputs, turn % 4, (2, 3))
            loss = nn.functional.binary_cross_entropy_with_logits(model(inputs), labels[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        progress(epoch + 1, epochs)
    return model.eval()


def network_scores(model: SmallNetwork, pictures: Tensor) -> NDArray[np.float64]:
    """Logits of all pictures."""
    with torch.inference_mode():
        return np.concatenate([model(_scaled(piece)).double().numpy() for piece in torch.split(pictures, 64)])


def _scaled(pictures: Tensor) -> Tensor:
    # every picture to mean 0 and spread 1, and beside it what differs from the surroundings
    inputs = pictures.float()
    mean, spread = inputs.mean((1, 2, 3), keepdim=True), inputs.std((1, 2, 3), keepdim=True)
    inputs = (inputs - mean) / spread
    return torch.cat([inputs, 3 * (inputs - nn.functional.avg_pool2d(inputs, 9, 1, 4, count_include_pad=False))], dim=1)
