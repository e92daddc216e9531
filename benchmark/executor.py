"""Runs pending cells in local worker processes that stay warm and whose death costs one cell."""

from __future__ import annotations

import multiprocessing
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from pebble import ProcessExpired, ProcessPool

from reshift.benchmark.progress import RunProgress
from reshift.benchmark.sharing import prefix_key
from reshift.benchmark.worker import Job, run_bundle, start_worker
from reshift.results.plan import PlannedCell
from reshift.results.record import read_header
from reshift.results.store import RunStore, Status

RETRIES = 1  # of a cell whose worker died; a cell that raised is retried by the next run


def bundles(cells: Sequence[PlannedCell]) -> list[list[PlannedCell]]:
    """Group cells that share their training, or its first phase.

    Bundles come in the order of their first cell, so an interrupted run is complete for early seeds.
    """
    groups: dict[str, list[PlannedCell]] = defaultdict(list)
    for cell in cells:
        groups[prefix_key(cell.identity)].append(cell)
    return list(groups.values())


def run_cells(job: Job, cells: Sequence[PlannedCell], progress: RunProgress, workers: int) -> None:
    """Compute the cells, in bundles, and report each as it ends.

    On return every cell has a record or a failure, or its failure could not be written and was reported. A worker
    that dies costs the cell it was at: the rest of its bundle goes to another one.

    Raises:
        KeyboardInterrupt: after the workers were stopped; finished cells stay.
    """
    store = RunStore(job.run)
    attempts = {cell.id: _attempts(store, cell.id) for cell in cells}
    deaths: Counter[str] = Counter()
    pool = ProcessPool(max_workers=workers, context=multiprocessing.get_context("spawn"), initializer=start_worker)
    waiting: dict[Future[Any], list[PlannedCell]] = {}

    def submit(bundle: list[PlannedCell]) -> None:
        waiting[pool.schedule(run_bundle, args=[job, [cell.id for cell in bundle]])] = bundle

    try:
        for bundle in bundles(cells):
            submit(bundle)
        while waiting:
            ended, _ = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
            active = {future: bundle for future, bundle in waiting.items() if future in ended or future.running()}
            for bundle in active.values():
                _report_ended(store, bundle, attempts, progress)
            progress.status(bundle[0] for bundle in active.values() if bundle)
            for future in ended:
                rest = waiting.pop(future)
                error = future.exception()
                if rest and isinstance(error, ProcessExpired):
                    victim = rest[0]
                    deaths[victim.id] += 1
                    reason = f"its worker process died (exit code {error.exitcode}); out of memory is the usual cause"
                    if deaths[victim.id] > RETRIES:
                        store.write_failure(victim.id, "WorkerDied", reason)
                        progress.failure(rest.pop(0).id, reason)
                    else:
                        progress.retry(victim.id, reason)
                    if rest:
                        submit(rest)
                    continue
                for cell in rest:
                    progress.failure(cell.id, f"left neither record nor failure: {error or 'is the disk full?'}")
    finally:
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()
        progress.close()


def _report_ended(
    store: RunStore, bundle: list[PlannedCell], attempts: Mapping[str, int], progress: RunProgress
) -> None:
    """Report and drop the cells of a bundle that ended; the first one left is the one being computed."""
    for cell in list(bundle):
        if store.status(cell.id) is Status.DONE:
            progress.finished(cell.id, float(read_header(store.folder(cell.id)).run["seconds"]))
        elif _attempts(store, cell.id) > attempts[cell.id]:
            failure = store.failure(cell.id)
            progress.failure(cell.id, failure.message if failure else "")
        else:
            continue
        bundle.remove(cell)


def _attempts(store: RunStore, cell: str) -> int:
    failure = store.failure(cell)
    return failure.attempts if failure else 0
