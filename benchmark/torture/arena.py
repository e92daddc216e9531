"""One run under torture: started, awaited, killed, started again, until it is finished; then the next."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

from reshift.benchmark.torture.processes import kill, left_after, workers_of
from reshift.benchmark.torture.study import HANG_SECONDS, RUN, Reference, Study
from reshift.benchmark.torture.volume import Volume
from reshift.benchmark.torture.watch import Watch

LOOK_SECONDS = 0.03
ORPHAN_SECONDS = 20.0
EARLY_SECONDS = 6.0  # about what a run needs before its first cell is done
TRACEBACK = b"Traceback (most recent call last)"


class Arena:
    """The run folder, its processes, and what they lost.

    Attributes:
        parent: the `reshift run` at work, or None.
        counts: kills, restarts, studies, cells.
        losses: one line for everything that must not happen and did.
        environment: of the processes that are started from now on.
    """

    def __init__(self, study: Study, reference: Reference, volume: Volume, log: Path, workers: int) -> None:
        self.study, self.reference, self.volume, self.log, self.workers = study, reference, volume, log, workers
        self.parent: subprocess.Popen[bytes] | None = None
        self.counts: Counter[str] = Counter()
        self.losses: list[str] = []
        self.environment: dict[str, str] = {}
        self._disturbed = False
        self._seen_of_log = 0
        self.watch = self._new_watch()

    def new_process(self) -> subprocess.Popen[bytes]:
        """Start `reshift run`, beside the parent if there is one."""
        self.counts["starts"] += 1
        return self.study.start(self.volume.path, self.log, self.workers, **self.environment)

    def running(self) -> subprocess.Popen[bytes]:
        """The parent, started if there is none; a run that ended is judged, and begun anew if it was complete."""
        for _ in range(100):
            if self.parent is None:
                self.parent, self._disturbed = self.new_process(), False
            if self.parent.poll() is None:
                return self.parent
            self._ended(self.parent.returncode)
        raise RuntimeError(f"the run ended a hundred times as soon as it was started; see {self.log}")

    def disturb(self) -> None:
        """From now on the parent may end with any error, as long as it is told without a traceback."""
        self._disturbed = True

    def moment(self, rng: random.Random) -> None:
        """Let the run go on for a random while: after one to four more records, or early, at whatever it is at."""
        if rng.random() < 0.3:
            self._pass(rng.uniform(0, EARLY_SECONDS))
            return
        wanted, appeared, until = rng.randint(1, 4), 0, time.monotonic() + HANG_SECONDS
        while appeared < wanted and time.monotonic() < until:
            self.running()
            time.sleep(LOOK_SECONDS)
            appeared += self.watch.glance()
        if appeared < wanted:
            self.losses.append(f"hangs: no record in {HANG_SECONDS:.0f} s")
        self._pass(rng.uniform(0, 0.15))

    def killed(self, process: int) -> None:
        """SIGKILL one process, and count it."""
        self.counts["kills"] += kill(process)

    def stop(self, rng: random.Random) -> None:
        """SIGKILL the parent, and in half of all cases its workers with it; none may live on without it."""
        if (parent := self.parent) is None:
            return
        orphans = workers_of(parent.pid)
        victims = [parent.pid, *(orphans if rng.random() < 0.5 else ())]
        rng.shuffle(victims)
        self.listen()
        for victim in victims:
            self.killed(victim)
        parent.wait()
        for orphan in left_after(orphans, ORPHAN_SECONDS):
            self.losses.append(f"orphan: worker {orphan} lives {ORPHAN_SECONDS:.0f} s after its parent was killed")
            kill(orphan)
        self.parent = None
        self.not_heard()
        self.look()

    def not_heard(self) -> None:
        """Pass over what was said since the last time: a worker whose parent dies while it is being started complains
        of that to nobody who could mend it."""
        self._seen_of_log = self.log.stat().st_size

    def look(self) -> None:
        """With no process at work: check every cell, and what was said."""
        self.watch.look()
        self.listen()

    def listen(self) -> None:
        """Check what was said since the last time."""
        said = self.log.read_bytes() if self.log.exists() else b""
        if TRACEBACK in said[self._seen_of_log :]:
            at = said.index(TRACEBACK, self._seen_of_log)
            self.losses.append(f"a traceback reached the user: {said[at : at + 2000].decode(errors='replace')}")
        self._seen_of_log = len(said)

    def finish(self) -> None:
        """Let the run go on, started as often as that takes, until it is complete."""
        studies, until = self.counts["studies"], time.monotonic() + 2 * HANG_SECONDS
        while self.counts["studies"] == studies:
            if time.monotonic() > until:
                self.losses.append(f"hangs: not complete after {2 * HANG_SECONDS:.0f} s")
                return
            if self.parent is None:
                self.running()
            elif self.parent.poll() is not None:
                self._ended(self.parent.returncode)
            self._pass(LOOK_SECONDS)

    def close(self) -> None:
        """Leave no process behind."""
        if self.parent is not None:
            victims = [self.parent.pid, *workers_of(self.parent.pid)]
            for victim in victims:
                kill(victim)
            self.parent.wait()
            self.parent = None

    def _ended(self, code: int) -> None:
        self.parent = None
        self.look()
        if code == 0:
            self.watch.finish()
            self.counts["studies"] += 1
            self.counts["cells"] += self.watch.computed
            shutil.rmtree(self.volume.path / "runs")
            shutil.rmtree(self.volume.path / "cache", ignore_errors=True)
            self.watch = self._new_watch()
        elif code != 1 and not self._disturbed:
            said = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise RuntimeError(f"an undisturbed run refused to go on (exit code {code}): {said[-1] if said else ''}")

    def _pass(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(min(LOOK_SECONDS, seconds))
            self.watch.glance()

    def _new_watch(self) -> Watch:
        return Watch(self.volume.path / "runs" / RUN, self.reference, self.losses)
