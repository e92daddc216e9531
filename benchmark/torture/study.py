"""The study under torture: many small cells on synthetic pictures, and what they give when nothing disturbs them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from reshift.benchmark.speed.pictures import write_pictures
from reshift.results.plan import Plan
from reshift.results.record import Record, read_header
from reshift.results.store import RunStore

RUN = "study"
PICTURES, SIDE, FOLDS = 40, 16, 2
MODELS = ("size_brightness", "class_prior", "gaussian", "gaussian_found")
HANG_SECONDS = 300.0

PRESET = """\
description: "Small cells that read the caches of images, of features and of suspicion"
datasets: [{{use: manifest, args: {{csv: "{csv}"}}}}]
size: {side}
seeds: {seeds}
steps: 1
batch_size: 8
checks: 1
protocols: [{{use: in_distribution, args: {{folds_used: {folds}, val: 0.5}}}}]
models:
  - {{use: size_brightness}}
  - {{use: class_prior}}
  - {{use: gaussian, args: &net {{backbone: test_efficientnet, weights: none, stages: [2], scales: [1.0]}}}}
  - {{name: gaussian_found, use: gaussian, args: *net, cross_fit: {{use: remove, budget: 0.1, folds: 2}}}}
"""


@dataclass(frozen=True)
class Study:
    """Pictures and a preset of cells on them, in a folder that no fault touches."""

    folder: Path
    cells: int

    @classmethod
    def write(cls, folder: Path, cells: int) -> Study:
        """At least so many cells, at most seven more."""
        csv = write_pictures(folder / "pictures", PICTURES, SIDE)
        seeds = -(-cells // (len(MODELS) * FOLDS))
        text = PRESET.format(csv=csv.resolve(), side=SIDE, seeds=list(range(seeds)), folds=FOLDS)
        (folder / "study.yaml").write_text(text, encoding="utf-8")
        return cls(folder.resolve(), seeds * len(MODELS) * FOLDS)

    def start(self, place: Path, log: Path, workers: int, **more: str) -> subprocess.Popen[bytes]:
        """`reshift run` in `place`, with its caches there; all it says is added to `log`. `more` is environment."""
        command = [sys.executable, "-m", "reshift.benchmark", "run", "--preset", str(self.folder / "study.yaml")]
        environment = {
            **os.environ,
            **{"OMP_NUM_THREADS": "1", "NO_ALBUMENTATIONS_UPDATE": "1", "RESHIFT_CACHE": str(place / "cache")},
            **more,
        }
        with log.open("ab") as out:
            return subprocess.Popen(
                [*command, "--run", RUN, "--workers", str(workers), "--device", "cpu"],
                cwd=place,
                env=environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


@dataclass(frozen=True)
class Reference:
    """An undisturbed run: its plan, its records by cell, without what was measured, and its boards by file name."""

    plan: Plan
    records: dict[str, Record]
    boards: dict[str, bytes]

    @classmethod
    def compute(cls, study: Study, place: Path, workers: int) -> Reference:
        """Run the study once.

        Raises:
            RuntimeError: it did not finish, so that there is nothing to compare with.
        """
        place.mkdir()
        log = place / "run.log"
        code = study.start(place, log, workers).wait(HANG_SECONDS)
        store = RunStore(place / "runs" / RUN)
        if code or len((plan := store.read_plan()).cells) != study.cells:
            raise RuntimeError(f"the undisturbed run did not finish (exit code {code}); see {log}")
        return cls(plan, {cell.id: result_of(store.folder(cell.id)) for cell in plan.cells}, boards(store.path))


def result_of(folder: Path) -> Record:
    """The record of a finished cell without what may differ from one computation to the next: times and machine."""
    return replace(read_header(folder), run={})


def boards(run: Path) -> dict[str, bytes]:
    """The CSVs that must not depend on how a run went; measured costs are no part of it."""
    return {p.name: p.read_bytes() for p in (run / "leaderboards").glob("*.csv") if p.name != "cost.csv"}
