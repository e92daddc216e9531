"""Workers on this machine: processes that stay warm and whose death costs one cell."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from pebble import ProcessExpired, ProcessPool

from reshift.benchmark.executor import Bundle, Ended
from reshift.benchmark.worker import GPU_LOST_EXIT, Job, run_bundle, start_worker


class LocalWorkers:
    """See `executor.Workers`.

    Args:
        count: processes at once; results do not depend on it.
    """

    retries = 1

    def __init__(self, job: Job, count: int) -> None:
        self.slots = count
        self._job = job
        self._pool = ProcessPool(
            max_workers=count, context=multiprocessing.get_context("spawn"), initializer=start_worker
        )
        self._waiting: dict[Future[Any], Bundle] = {}

    def submit(self, groups: Sequence[Bundle]) -> None:
        for bundle in groups:
            self._waiting[self._pool.schedule(run_bundle, args=[self._job, [cell.id for cell in bundle]])] = bundle

    def ended(self, seconds: float) -> list[Ended]:
        if not self._waiting:
            time.sleep(seconds)
        futures, _ = wait(self._waiting, timeout=seconds, return_when=FIRST_COMPLETED)
        return [self._ended(future) for future in futures]

    def running(self) -> list[Bundle]:
        return [bundle for future, bundle in self._waiting.items() if future.running()]

    def busy(self) -> bool:
        return bool(self._waiting)

    def close(self) -> None:
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()

    def _ended(self, future: Future[Any]) -> Ended:
        bundle = self._waiting.pop(future)
        error = future.exception()
        if isinstance(error, ProcessExpired):
            code = error.exitcode
            if code == GPU_LOST_EXIT:
                return Ended(bundle, lost="its worker was replaced, since the GPU failed under another cell")
            return Ended(bundle, lost=f"its worker process died (exit code {code}); out of memory is the usual cause")
        return Ended(bundle, error=str(error)) if error else Ended(bundle, frozenset(future.result()))
