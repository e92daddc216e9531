"""How long a training step waits for its batch: on a GPU where there is one, else on the processor."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from reshift.benchmark.cell_data import loader_workers
from reshift.benchmark.preset import Precision
from reshift.benchmark.speed.classifier_training import BACKBONE, BATCH, classifier_and_data
from reshift.benchmark.speed.measurement import Measurement
from reshift.benchmark.training import PhasedTraining
from reshift.models.base import Batch

SIDE, STEPS_CPU, STEPS_GPU = 224, 12, 400


def measure(scratch: Path, side: int = SIDE, steps: int | None = None, backbone: str = BACKBONE) -> Measurement:
    """Seconds that the Trainer stands in the loader, of the seconds of a whole phase, after an untimed phase."""
    gpu = torch.cuda.is_available()
    precision: Precision
    device, precision = (torch.device("cuda"), "bf16") if gpu else (torch.device("cpu"), "fp32")
    steps = steps or (STEPS_GPU if gpu else STEPS_CPU)
    data, model = classifier_and_data(scratch, side, 2 * steps, backbone, device)
    training = PhasedTraining(model, None, every=steps, select_from=0, seed=0, device=device, precision=precision)
    training.run(data.train_loader(None, 0, steps), steps)
    watched = Watched(data.train_loader(None, steps, steps))
    started = time.perf_counter()
    training.run(watched, steps)  # type: ignore[arg-type]
    whole = time.perf_counter() - started
    return Measurement(
        what=f"waiting for the next batch, ResNet-18 training at {side} px in {precision}",
        against="the whole training",
        value=100 * sum(watched.waits) / whole,
        unit="%",
        bound="at most",
        target=5,
        detail={
            "step_s": whole / steps,
            "first_wait_s": watched.waits[0],
            "later_wait_s": sum(watched.waits[1:]) / max(1, len(watched.waits) - 1),
            "loader_workers": loader_workers(device),
            "steps": steps,
            "batch": BATCH,
            "side_px": side,
        },
        note="processes prepare batches beside the GPU" if gpu else "the processor prepares its batches itself",
    )


class Watched:
    """A loader that notes how long whoever asks for a batch has to wait; `waits` in seconds."""

    def __init__(self, loader: DataLoader[Batch]) -> None:
        self.loader = loader
        self.waits: list[float] = []

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        asked = time.perf_counter()
        for batch in self.loader:
            self.waits.append(time.perf_counter() - asked)
            yield batch
            asked = time.perf_counter()
