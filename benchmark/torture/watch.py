"""Watches a run folder: what was finished stays as it was, and nothing is taken for finished that is not."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from reshift.benchmark.torture.study import Reference, boards, result_of
from reshift.results.plan import PlanError
from reshift.results.record import RECORD_FILE, SCORES_FILE, read_header
from reshift.results.store import PLAN_FILE, RunStore, Status
from reshift.results.weights_file import WeightsError, read_weights

Stamp = tuple[int, int]


class Watch:
    """What is known of one run folder.

    Attributes:
        losses: one line for everything that must not happen and did.
        computed: records that were seen to appear, those computed again after damage included.
    """

    def __init__(self, run: Path, reference: Reference, losses: list[str]) -> None:
        self.store, self.reference, self.losses = RunStore(run), reference, losses
        self.computed = 0
        self._finished: dict[str, Stamp] = {}

    @property
    def finished(self) -> set[str]:
        """Ids of the cells that are known to be finished and undamaged."""
        return set(self._finished)

    def glance(self) -> int:
        """Look for records that appeared, and for ones that changed, while the run goes on; how many appeared."""
        appeared = 0
        for cell in self.reference.records:
            stamp = _stamp(self.store.folder(cell) / RECORD_FILE)
            known = self._finished.get(cell)
            if stamp == known:
                continue
            if known is None:
                if self.store.status(cell) is Status.DONE:
                    self._finished[cell] = stamp or _ABSENT
                    appeared += 1
            elif stamp is None:
                self._lose(cell, "lost: its record is gone")
            else:
                self._lose(cell, "computed again, although its record was whole")
        self.computed += appeared
        return appeared

    def look(self) -> None:
        """With no process at work: what counts as done must be what an undisturbed run gives, and all of it there."""
        self.glance()
        for cell, wanted in self.reference.records.items():
            done = self.store.status(cell) is Status.DONE
            if cell in self._finished and not done:
                self._lose(cell, "lost: its record is no longer accepted")
            elif done and not self._as_undisturbed(cell):
                self._lose(cell, f"accepted, but is not what an undisturbed run gives ({wanted.model})")
        folders = {path.name for path in (self.store.path / "cells").glob("*")}
        if strangers := folders - set(self.reference.records):
            self.losses.append(f"cells of no plan: {', '.join(sorted(strangers))}")

    def damaged(self, cell: str) -> None:
        """Expect this cell to be computed again; a record that is accepted in spite of its damage is a loss.

        Damage that changes nothing a reader sees (`1e-5` for `1E-5`) is none.
        """
        self._finished.pop(cell, None)
        if self.store.status(cell) is not Status.DONE:
            return
        if not self._as_undisturbed(cell):
            self._lose(cell, "a damaged record was accepted")
        elif stamp := _stamp(self.store.folder(cell) / RECORD_FILE):
            self._finished[cell] = stamp

    def plan_damaged(self) -> None:
        """Do what the refusal of a damaged plan says; one that is accepted must be what was planned."""
        try:
            if self.store.read_plan() != self.reference.plan:
                self.losses.append("a damaged plan was accepted")
        except PlanError:
            (self.store.path / PLAN_FILE).unlink()

    def weights_damaged(self, cell: str) -> None:
        """Weights that were altered must be refused beside a record that is whole."""
        if self.store.status(cell) is not Status.DONE:
            return
        folder = self.store.folder(cell)
        with suppress(WeightsError):
            read_weights(folder, read_header(folder))
            self.losses.append(f"cell {cell}: damaged weights were accepted")

    def moved_in_time(self) -> None:
        """Take the dates of all files as they are now; somebody set them."""
        self._finished = {
            cell: stamp for cell in self._finished if (stamp := _stamp(self.store.folder(cell) / RECORD_FILE))
        }

    def finish(self) -> None:
        """After a run that says it is complete: every cell is there, and the boards are those of the reference."""
        self.look()
        if missing := set(self.reference.records) - set(self._finished):
            self.losses.append(f"said to be complete without {len(missing)} cells: {', '.join(sorted(missing)[:3])}")
        found = boards(self.store.path)
        for name in sorted(found.keys() | self.reference.boards.keys()):
            if found.get(name) != self.reference.boards.get(name):
                self.losses.append(f"{name} is not the board of an undisturbed run")

    def _as_undisturbed(self, cell: str) -> bool:
        # Hashed here too, since it is the store's own check that is under test.
        wanted, folder = self.reference.records[cell], self.store.folder(cell)
        assert wanted.scores is not None
        found = hashlib.sha256((folder / SCORES_FILE).read_bytes()).hexdigest()
        return found == wanted.scores.sha256 and result_of(folder) == wanted

    def _lose(self, cell: str, what: str) -> None:
        self._finished.pop(cell, None)
        self.losses.append(f"cell {cell}: {what}")


_ABSENT: Stamp = (0, 0)


def _stamp(path: Path) -> Stamp | None:
    """Inode and date of a record: a second writing changes both, since records are replaced, never rewritten."""
    try:
        info = path.stat()
    except FileNotFoundError:
        return None
    return info.st_ino, info.st_mtime_ns
