"""What a cell costs to train and to hold: seconds, peak memory, parameters; recorded, no part of an identity."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from reshift.datamodules.inspection_data import InspectionData
from reshift.datamodules.split_rows import NoRowsError
from reshift.models.base import Batch, InspectionModule


class Stopwatch:
    """Seconds spent inside its `with` blocks, summed up, but for what is `paused` in them."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since: float | None = None

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        assert self._since is not None
        self.seconds += time.monotonic() - self._since
        self._since = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside does not count, where the watch runs at all."""
        began = time.monotonic()
        try:
            yield
        finally:
            if self._since is not None:
                self._since += time.monotonic() - began


class PeakMemory:
    """Peak memory since it was made: what torch allocated on a GPU, else what this process held resident.

    Resident memory counts libraries, data and the pages of mapped caches too. Only Linux can start its peak anew.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._known = True
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        try:
            # proc(5): 5 resets the peak resident set size to the current one.
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        except OSError:
            self._known = False

    def read(self) -> dict[str, int]:
        """`peak_bytes`; nothing where this system cannot tell."""
        if self._device.type == "cuda":
            return {"peak_bytes": torch.cuda.max_memory_allocated(self._device)}
        if not self._known:
            return {}
        status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        peak = next(line for line in status if line.startswith("VmHWM:"))
        return {"peak_bytes": int(peak.split()[1]) * 1024}


def open_caches(model: InspectionModule, data: InspectionData) -> None:
    """Decode the images and compute the frozen features that training will read, so that their time is not its own.

    Draws from no random generator.
    """
    loaders: list[Callable[[], DataLoader[Batch]]] = [partial(data.score_loader, "val")]
    if model.trained_by == "gradient":
        loaders += [data.train_loader, data.val_loader]
    elif model.trained_by == "fit":
        loaders += [data.fit_loader]
    for loader in loaders:
        # A role without rows is training's to report, and only if it needs them.
        with suppress(NoRowsError):
            batches = loader()
            if data.features is not None:
                # A batch by number: iterating over a loader would draw from torch's generator.
                _ = batches.dataset[0]


def parameter_counts(model: InspectionModule) -> dict[str, int]:
    """`parameters`, the frozen extractor's included, and `trained_parameters`.

    Trained by gradient are those that require one. A closed form keeps what it learned (moments, a memory bank) in
    floating buffers: they count as parameters and as trained.
    """
    extractor = model.extractor()
    frozen = [] if extractor is None else list(extractor.parameters())
    skipped = {id(tensor) for tensor in frozen} | {id(b) for b in (extractor.buffers() if extractor else ())}
    own = [p for p in model.parameters() if id(p) not in skipped]
    fitted = []
    if model.trained_by == "fit":
        fitted = [b for b in model.buffers() if b.is_floating_point() and id(b) not in skipped]
    learned = [p for p in own if p.requires_grad and model.trained_by != "nothing"]
    return {
        "parameters": sum(tensor.numel() for tensor in (*own, *frozen, *fitted)),
        "trained_parameters": sum(tensor.numel() for tensor in (*learned, *fitted)),
    }
