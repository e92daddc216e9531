"""Workers as Slurm jobs: arrays through submitit, requeued where they are preempted or run out of time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reshift.benchmark.executor import Bundle, Ended
from reshift.benchmark.worker import Job, run_bundle, start_worker

LOGS = "slurm"  # folder in the run folder
ARRAY = 1000  # jobs in one array; Slurm's own limit is 1001 unless its administrator changed it
NAME = "reshift"
LOOK_SECONDS = 5.0  # a look at every job goes through the shared file system


class SlurmWorkers:
    """See `executor.Workers`. Jobs write their logs to `slurm/` in the run folder.

    Args:
        count: jobs at once, each with several bundles one after the other; None: a job for every bundle.
        gpus: of each job.
        parameters: what submitit's `AutoExecutor.update_parameters` takes (timeout_min, mem_gb, slurm_partition, ...);
            and `cluster`, "slurm" unless it says "local", which makes the jobs processes of this machine.

    Raises:
        RuntimeError: submitit is not installed, or there is no Slurm here.
        ValueError: a parameter that submitit does not know, or no `timeout_min`.
    """

    retries = 3  # a job that is preempted and requeued is not even counted

    def __init__(self, job: Job, count: int | None, gpus: int, parameters: Mapping[str, Any]) -> None:
        try:
            import submitit
        except ImportError as error:
            raise RuntimeError("--executor slurm needs the package submitit: pip install 'reshift[slurm]'") from error
        given = dict(parameters)
        if "timeout_min" not in given:
            # Submitit would take 5 minutes, in which few cells end.
            raise ValueError("--slurm: say how many minutes a job may take, e.g. --slurm '{timeout_min: 240}'")
        cluster = given.pop("cluster", "slurm")
        try:
            self._executor = submitit.AutoExecutor(folder=job.run / LOGS, cluster=cluster)
        except RuntimeError as error:
            raise RuntimeError(f"--executor slurm finds no Slurm here ({error}); start it on a login node") from error
        asked = {"name": NAME, "cpus_per_task": 1, "gpus_per_node": gpus or None, **given}
        try:
            self._executor.update_parameters(**asked)
        except (NameError, AssertionError, ValueError) as error:
            raise ValueError(f"--slurm: {error}") from error
        self._job, self._count = job, count
        self._look = 0.0 if cluster == "local" else LOOK_SECONDS
        self._waiting: dict[Any, Bundle] = {}

    @property
    def slots(self) -> int:
        return len(self._waiting)

    def submit(self, groups: Sequence[Bundle]) -> None:
        # Dealt like cards: every job gets long and short ones, and begins with its longest.
        jobs = min(self._count or len(groups), len(groups))
        hands = [[cell for bundle in groups[number::jobs] for cell in bundle] for number in range(jobs)]
        for start in range(0, jobs, ARRAY):
            part = hands[start : start + ARRAY]
            given = self._executor.map_array(
                BundleTask(), [self._job] * len(part), [[cell.id for cell in hand] for hand in part]
            )
            self._waiting.update(zip(given, part, strict=True))

    def ended(self, seconds: float) -> list[Ended]:
        time.sleep(max(seconds, self._look))
        return [self._ended(job) for job in list(self._waiting) if job.done()]

    def running(self) -> list[Bundle]:
        return list(self._waiting.values())

    def busy(self) -> bool:
        return bool(self._waiting)

    def close(self) -> None:
        for job in self._waiting:
            job.cancel(check=False)

    def _ended(self, job: Any) -> Ended:
        bundle = self._waiting.pop(job)
        log: Path = job.paths.stderr
        if not job.paths.result_pickle.exists():
            return Ended(bundle, lost=f"Slurm job {job.job_id} ended without a word ({job.state}); its log is {log}")
        error = job.exception()
        return Ended(bundle, error=f"see {log}") if error else Ended(bundle, frozenset(job.result()))


class BundleTask:
    """What a job runs: bundles, and after a requeue those of their cells that are not done."""

    def __call__(self, job: Job, cells: Sequence[str]) -> list[str]:
        start_worker()
        return run_bundle(job, cells)

    def checkpoint(self, job: Job, cells: Sequence[str]) -> Any:
        """Asked by submitit before the job is preempted or runs out of time; finished cells need no saving."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, job, cells)
