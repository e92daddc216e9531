"""What a worker process does: compute the cells of a bundle one after the other, each on its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Literal

from reshift.benchmark.failure_kind import GPU_LOST, failure_kind, hint
from reshift.benchmark.preset import Preset
from reshift.benchmark.sharing import prefix_key, training_key
from reshift.benchmark.time_limit import time_limit
from reshift.results.lease import LeaseHeld
from reshift.results.log_file import LOG_FILE
from reshift.results.plan import PlannedCell
from reshift.results.store import PLAN_FILE, RunStore, Status

if TYPE_CHECKING:
    from reshift.benchmark.world import World

ORPHAN_EXIT = 71  # of a worker whose run was killed; nobody is left to read it
GPU_LOST_EXIT = 70  # of a worker that noted its cell's failure and can compute no other


@dataclass(frozen=True)
class Job:
    """What all bundles of a run share.

    Attributes:
        run: the run folder.
        preset: the preset as it was planned.
        device: "cpu" or "cuda".
        keep_weights: "best" keeps the trained tensors of small models beside their record.
        cell_seconds: a cell that takes longer fails; 0 sets no limit.
    """

    run: Path
    preset: Preset
    device: str
    keep_weights: Literal["none", "best"]
    cell_seconds: float = 0.0


def start_worker() -> None:
    """Prepare a fresh process: one computing thread, so that results do not depend on the number of workers.

    It ends with the process that started it, at whatever it is.
    """
    if (parent := multiprocessing.parent_process()) is not None:
        Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = "1"
    # The parent answers Ctrl-C by stopping the pool; a worker's own traceback would only hide its message.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def _end_with(parent: int) -> None:
    """Nobody waits for the cell of a run that was killed: it would keep memory, device and lease from the next.

    The pool's own way out, a pipe that breaks, is not taken before the cell is done, nor while a worker waits for a
    lock that another one took along as it was killed.
    """
    wait([parent])
    os._exit(ORPHAN_EXIT)


def run_bundle(job: Job, cells: Sequence[str]) -> list[str]:
    """Compute cells that may share training. Each leaves a record or a failure; none stops the others.

    Returns:
        The cells left to another process that holds them, or one whose training they share.
    """
    from reshift.benchmark.cell import compute_cell
    from reshift.benchmark.cell_log import cell_log
    from reshift.benchmark.cell_training import BundleMemory
    from reshift.benchmark.prognosis_cell import compute_prognosis

    store = RunStore(job.run)
    planned = _planned(job.run, (job.run / PLAN_FILE).stat().st_mtime_ns)
    memory = BundleMemory()
    keys = [training_key(planned[cell].identity) for cell in cells]
    prefixes = {cell: prefix_key(planned[cell].identity) for cell in cells}
    left: list[str] = []
    for position, cell in enumerate(cells):
        wanted = set(keys[position:])
        memory.trained = {key: trained for key, trained in memory.trained.items() if key in wanted}
        if store.status(cell) is Status.DONE:
            continue
        if any(prefixes[cell] == prefixes[other] for other in left):
            left.append(cell)
            continue
        try:
            with store.lease(cell) as folder:
                # Another process may have finished it between the look and the lease.
                if store.status(cell) is Status.DONE:
                    continue
                with cell_log(folder, planned[cell]), time_limit(job.cell_seconds, folder):
                    if planned[cell].forecasts:
                        store.write(*compute_prognosis(planned[cell], _world(job), job.device))
                    else:
                        store.write(*compute_cell(planned[cell], _world(job), job, memory, folder))
        except LeaseHeld:
            left.append(cell)
        except Exception as error:
            _note_failure(store, cell, error)
            if failure_kind(error) == GPU_LOST and multiprocessing.parent_process() is not None:
                # After such an error CUDA refuses everything in this process: another worker takes the other cells.
                os._exit(GPU_LOST_EXIT)
    return left


def _note_failure(store: RunStore, cell: str, error: Exception) -> None:
    kind = failure_kind(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    text = str(error) or repr(error)
    if not isinstance(error, ValueError | RuntimeError | OSError):
        text += f" ({Path(frame.filename).name}:{frame.lineno})"
    if advice := hint(kind):
        text += f"; {advice}"
    if (store.folder(cell) / LOG_FILE).exists():
        text += f"; see {store.folder(cell).relative_to(store.path) / LOG_FILE}"
    # A full disk cannot take the note either; the parent sees a cell without record and says so.
    with suppress(OSError):
        store.write_failure(cell, kind, text)


@lru_cache(maxsize=1)
def _planned(run: Path, written: int) -> dict[str, PlannedCell]:
    """The cells of a run's plan, parsed once a process and version of the file: a plan of 10,000 takes 0.2 s."""
    return {cell.id: cell for cell in RunStore(run).read_plan().cells}


_worlds: dict[Path, World] = {}


def _world(job: Job) -> World:
    """The run's data and splits, read once a process; one run at a time, so that memory stays bounded."""
    from reshift.benchmark.world import World

    if job.run not in _worlds:
        _worlds.clear()
        _worlds[job.run] = World(job.preset)
    return _worlds[job.run]
