"""Workers on this machine: processes that stay warm and whose death costs one cell."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from pebble import ProcessExpired, ProcessPool

from reshift.benchmark.executor import Bundle, Ended
from reshift.benchmark.worker import GPU_LOST_EXIT, Job, run_bundle, start_worker

BROKEN_POOLS = 5
"""So many pools in a row are replaced; a worker that is killed now and then breaks one at most."""

TERMINATION_SECONDS = 3.0
"""A worker that has not ended by then is killed by the pool."""


class LocalWorkers:
    """See `executor.Workers`.

    Args:
        count: processes at once; results do not depend on it.
    """

    retries = 1

    def __init__(self, job: Job, count: int) -> None:
        self.slots = count
        self._job = job
        self._pool = self._new_pool()
        self._waiting: dict[Future[Any], Bundle] = {}
        self._broken = 0

    def submit(self, groups: Sequence[Bundle]) -> None:
        if not self._pool.active:
            self._replace_pool()
        for bundle in groups:
            self._waiting[self._pool.schedule(run_bundle, args=[self._job, [cell.id for cell in bundle]])] = bundle

    def ended(self, seconds: float) -> list[Ended]:
        if not self._waiting:
            time.sleep(seconds)
        futures, _ = wait(self._waiting, timeout=seconds, return_when=FIRST_COMPLETED)
        if not self._pool.active:
            self._replace_pool()
        return [self._ended(future) for future in futures if future in self._waiting]

    def running(self) -> list[Bundle]:
        return [bundle for future, bundle in self._waiting.items() if future.running()]

    def busy(self) -> bool:
        return bool(self._waiting)

    def close(self) -> None:
        self._pool.stop()  # type: ignore[no-untyped-call]
        # The pool takes its locks away before it ends its workers: one that is only just starting would miss them, and
        # tell the user so by a traceback.
        workers = multiprocessing.active_children()
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join(TERMINATION_SECONDS)
        self._pool.join()

    def _new_pool(self) -> ProcessPool:
        return ProcessPool(
            max_workers=self.slots, context=multiprocessing.get_context("spawn"), initializer=start_worker
        )

    def _replace_pool(self) -> None:
        """A pool takes a worker that dies between two tasks for the death of all, and forgets what it was given.

        What has not ended goes to another pool, unless pool after pool breaks without that any bundle ends.
        """
        self._broken += 1
        if self._broken > BROKEN_POOLS:
            raise RuntimeError(
                f"worker processes died as they started, {self._broken} times in a row; out of memory is the usual "
                f"cause: run fewer --workers; finished cells are kept"
            )
        self.close()
        left = [future for future in self._waiting if _open(future)]
        bundles = [self._waiting.pop(future) for future in left]
        self._pool = self._new_pool()
        self.submit(bundles)

    def _ended(self, future: Future[Any]) -> Ended:
        self._broken = 0
        bundle = self._waiting.pop(future)
        error = future.exception()
        if isinstance(error, ProcessExpired):
            code = error.exitcode
            if code == GPU_LOST_EXIT:
                return Ended(bundle, lost="its worker was replaced, since the GPU failed under another cell")
            return Ended(bundle, lost=f"its worker process died (exit code {code}); out of memory is the usual cause")
        return Ended(bundle, error=str(error)) if error else Ended(bundle, frozenset(future.result()))


def _open(future: Future[Any]) -> bool:
    """Whether its bundle is still to be computed, now that its pool is closed."""
    return not future.done() or future.cancelled() or isinstance(future.exception(), BrokenProcessPool)
