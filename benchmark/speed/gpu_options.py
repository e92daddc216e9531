"""What bf16 and torch.compile are worth on a GPU, and after how many steps the latter has paid for itself."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import torch

from reshift.benchmark.preset import Precision
from reshift.benchmark.speed.classifier_training import BACKBONE, BATCH, classifier_and_data
from reshift.benchmark.speed.data_wait import SIDE
from reshift.benchmark.speed.measurement import Measurement
from reshift.benchmark.training import PhasedTraining

STEPS, ROUNDS = 100, 7
KINDS: dict[str, tuple[Precision, bool]] = {
    "fp32": ("fp32", False),
    "bf16": ("bf16", False),
    "fp32_compiled": ("fp32", True),
    "bf16_compiled": ("bf16", True),
}


def measure(
    scratch: Path,
    side: int = SIDE,
    steps: int = STEPS,
    rounds: int = ROUNDS,
    backbone: str = BACKBONE,
    device_name: str = "cuda",
) -> Measurement:
    """A round is a phase of `steps` of every kind in turn; the first phase of each, which compiles, is apart."""
    device = torch.device(device_name)
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    trainings = {kind: _Training(scratch / kind, kind, side, steps, rounds, backbone, device) for kind in KINDS}
    for number in range(rounds + 1):
        # Who goes first alternates, as what a phase leaves behind may slow the next.
        for kind in list(KINDS) if number % 2 else reversed(KINDS):
            seconds[kind].append(trainings[kind].phase())
    first = {kind: times[0] for kind, times in seconds.items()}
    usual = {kind: statistics.median(times[1:]) for kind, times in seconds.items()}
    compiling = (first["bf16_compiled"] - usual["bf16_compiled"]) - (first["bf16"] - usual["bf16"])
    saved = (usual["bf16"] - usual["bf16_compiled"]) / steps
    pays = f"has paid for itself after {compiling / saved:.0f} steps" if saved > 0 else "never pays for itself"
    return Measurement(
        what=f"ResNet-18 training at {side} px in bf16",
        against="in fp32",
        value=statistics.median(a / b for a, b in zip(seconds["fp32"][1:], seconds["bf16"][1:], strict=True)),
        unit="x",
        bound="at least",
        target=1,
        detail={
            **{f"{kind}_step_s": total / steps for kind, total in usual.items()},
            "compiling_s": compiling,
            "rounds": rounds,
            "steps": steps,
            "batch": BATCH,
        },
        note=f"torch.compile takes {compiling:.0f} s, saves {1000 * saved:.2f} ms a step in bf16 and {pays}",
    )


class _Training:
    """A training that goes on phase by phase."""

    def __init__(
        self, folder: Path, kind: str, side: int, steps: int, rounds: int, backbone: str, device: torch.device
    ) -> None:
        precision, compiled = KINDS[kind]
        self.data, model = classifier_and_data(folder, side, steps * (rounds + 1), backbone, device)
        self.training = PhasedTraining(
            model, None, every=steps, select_from=0, seed=0, device=device, precision=precision, compiled=compiled
        )
        self.steps = steps

    def phase(self) -> float:
        """Train on; the seconds it took, every step having been waited for."""
        started = time.perf_counter()
        done = self.training.progress.done
        self.training.run(self.data.train_loader(None, done, self.steps), self.steps)
        return time.perf_counter() - started
