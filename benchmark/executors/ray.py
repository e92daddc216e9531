"""Workers on a Ray cluster: one task a bundle, several tasks on one GPU where that is asked for."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from reshift.benchmark.executor import Bundle, Ended
from reshift.benchmark.worker import Job, run_bundle, start_worker

STORE_BYTES = 100 * 2**20  # results travel through the run folder, not through Ray
PATIENCE_SECONDS = 300.0  # with a cluster that lost every node a bundle fits on
SETTINGS = ("RESHIFT_", "HF_", "TORCH_HOME", "NO_ALBUMENTATIONS_UPDATE")


class RayWorkers:
    """See `executor.Workers`. A bundle takes one CPU; a task in which Ray lost its worker or node is begun again.

    Args:
        address: of a running cluster, as `ray.init` takes it; None takes the environment's RAY_ADDRESS and starts a
            Ray of its own on this machine where there is none.
        count: bundles at once; None: as many as the cluster has room for.
        gpu_share: of one GPU, in (0, 1], for each bundle; 0 for none. Ray keeps count, but does not divide memory.

    Raises:
        RuntimeError: Ray is not installed, the cluster is not reached, or no node has room for a bundle.
    """

    retries = 3  # losing a worker is often not the cell's doing on machines that may be taken away

    def __init__(self, job: Job, address: str | None = None, count: int | None = None, gpu_share: float = 0.0) -> None:
        try:
            import ray
        except ImportError as error:
            raise RuntimeError("--executor ray needs the package ray: pip install 'reshift[ray]'") from error
        self._ray: Any = ray
        self._job, self._count, self._share = job, count, gpu_share
        self._queue: deque[Bundle] = deque()
        self._waiting: dict[Any, Bundle] = {}
        self._full_since: float | None = None
        address = address or os.environ.get("RAY_ADDRESS") or "local"
        own: dict[str, Any] = {}
        if address == "local":
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            cpus = count or os.cpu_count()
            own = {"num_cpus": cpus, "object_store_memory": STORE_BYTES, "include_dashboard": False}
        try:
            self._ray.init(address=address, log_to_driver=False, logging_level="ERROR", **own)
        except ConnectionError as error:
            raise RuntimeError(f"no Ray cluster answers at {address}: {error}; start one with `ray start`") from error
        self._task = ray.remote(num_cpus=1, num_gpus=gpu_share, max_retries=0)(_compute)
        if not self.slots:
            found = "; ".join(f"{_count(node, 'CPU')} CPU, {_count(node, 'GPU')} GPU" for node in self._nodes())
            ray.shutdown()
            asked = f"1 CPU and {gpu_share:g} GPU" if gpu_share else "1 CPU"
            raise RuntimeError(
                f"a bundle asks for {asked}, which no node of the Ray cluster at {address} has (nodes: {found}); "
                f"add such a node, or change --gpu-share or --device"
            )

    @property
    def slots(self) -> int:
        """How many bundles fit on the nodes that are alive."""
        room = sum(min(_count(node, "CPU"), self._gpu_room(node)) for node in self._nodes())
        return min(room, self._count) if self._count else room

    def submit(self, groups: Sequence[Bundle]) -> None:
        self._queue.extend(groups)

    def ended(self, seconds: float) -> list[Ended]:
        self._fill()
        if not self._waiting:
            time.sleep(seconds)
            return []
        references = list(self._waiting)
        done, _ = self._ray.wait(references, num_returns=1, timeout=seconds)
        if done:
            done, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        return [self._ended(reference) for reference in done]

    def running(self) -> list[Bundle]:
        return list(self._waiting.values())

    def busy(self) -> bool:
        return bool(self._queue or self._waiting)

    def close(self) -> None:
        for reference in self._waiting:
            self._ray.cancel(reference, force=True)
        self._ray.shutdown()

    def _fill(self) -> None:
        """Hand Ray no more than fits, so that bundles begin in their order and none waits for what is not there."""
        room = self.slots
        while self._queue and len(self._waiting) < room:
            bundle = self._queue.popleft()
            reference = self._task.remote(self._job, [cell.id for cell in bundle], os.getcwd(), _settings())
            self._waiting[reference] = bundle
        if room or not self._queue:
            self._full_since = None
            return
        self._full_since = self._full_since or time.monotonic()
        if time.monotonic() - self._full_since > PATIENCE_SECONDS:
            raise RuntimeError(
                f"the Ray cluster has had no node with room for a bundle for {PATIENCE_SECONDS:.0f} s; "
                "add one and run the same command again, finished cells are kept"
            )

    def _ended(self, reference: Any) -> Ended:
        bundle = self._waiting.pop(reference)
        try:
            return Ended(bundle, frozenset(self._ray.get(reference)))
        except self._ray.exceptions.RayTaskError as error:
            return Ended(bundle, error=str(error.cause))
        except self._ray.exceptions.RayError as error:
            kind = type(error).__name__
            return Ended(
                bundle, lost=f"Ray lost its worker ({kind}); out of memory or a lost node are the usual causes"
            )

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in self._ray.nodes() if node["Alive"]]

    def _gpu_room(self, node: dict[str, Any]) -> int:
        # Ray gives a share of one GPU, never of two together.
        return _count(node, "GPU") * int(1 / self._share + 1e-9) if self._share else _count(node, "CPU")


def _count(node: dict[str, Any], what: str) -> int:
    return int(node["Resources"].get(what, 0))


def _settings() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key.startswith(SETTINGS)}


def _compute(job: Job, cells: Sequence[str], folder: str, settings: Mapping[str, str]) -> list[str]:
    """A bundle in a Ray worker, which stands elsewhere and has another environment than the run."""
    os.environ.update(settings)
    os.chdir(folder)  # presets name files from where the run was started
    start_worker()
    return run_bundle(job, cells)
