"""Live logging: where a run stands, cell by cell, in Weights & Biases while it trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reshift.benchmark.progress import RunProgress
from reshift.results.plan import PlannedCell
from reshift.results.store import RunStore
from reshift.results.wandb_run import Mode, close_run, open_run


class LiveLog(RunProgress):
    """Progress that is also logged: cells done and failed, seconds and best validation loss of each finished one.

    It is the parent that logs, so that no cell waits for a server or fails with it. Once the run is open, an error of
    wandb is said once and ends the logging, not the run.

    Raises:
        PublishError: no key or no server as it starts, see `open_run`; nothing was computed yet.
    """

    def __init__(
        self, cells: Sequence[PlannedCell], already_done: int, workers: int, run: Path, project: str, mode: Mode
    ) -> None:
        super().__init__(cells, already_done, workers)
        self.store, self.mode = RunStore(run), mode
        name = f"{run.resolve().name} live"
        self.log: Any = open_run(run, project, mode, None, id=None, name=name, job_type="live")

    def finished(self, cell: str, seconds: float) -> None:
        """See `RunProgress`."""
        planned = self.open[cell]
        super().finished(cell, seconds)
        values: dict[str, float] = {f"seconds/{planned.model}": seconds}
        training = self.store.read(cell)[0].training or {}
        if losses := training.get("validation_losses"):
            values[f"validation_loss/{planned.model}"] = min(loss for _, loss in losses)
        self._log(values)

    def failure(self, cell: str, reason: str) -> None:
        """See `RunProgress`."""
        super().failure(cell, reason)
        self._log({})

    def close(self) -> None:
        """See `RunProgress`."""
        super().close()
        self._quietly(lambda log: close_run(log, self.mode))
        self.log = None

    def _log(self, values: dict[str, float]) -> None:
        self._quietly(lambda log: log.log({"cells/done": self.done, "cells/failed": self.failed, **values}))

    def _quietly(self, action: Any) -> None:
        if self.log is None:
            return
        try:
            action(self.log)
        except Exception as error:
            # Whatever goes wrong there, training does not depend on it.
            self.log = None
            self._line(f"live logging ended: {type(error).__name__}: {' '.join(str(error).split())}")
