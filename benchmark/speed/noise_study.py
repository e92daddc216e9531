"""What the whole noise study on tiles costs: 54 cells through the suite against 54 runs of the plain loop."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from reshift.benchmark.executor import Bundle, bundles
from reshift.benchmark.planning import make_plan
from reshift.benchmark.preset import DatasetSpec, Preset, load_preset
from reshift.benchmark.speed.flow_step import draw_tiles, flow_arguments
from reshift.benchmark.speed.measurement import Measurement
from reshift.benchmark.speed.planned_run import check_done
from reshift.benchmark.speed.reference_flow import ReferenceFlow
from reshift.benchmark.worker import Job, run_bundle
from reshift.benchmark.world import World
from reshift.models.differnet import DifferNet
from reshift.results.store import RunStore
from reshift.splits.samples import GOOD

ARMS = ("differnet", "differnet_one_shot", "differnet_iterative")
PICTURES = {"Blowhole": 115, "Break": 85, "Crack": 57, "Fray": 32, "Uneven": 103, "Free": 952}
COLD, WARM = 0, (2, 5)
THEIR_STEPS = 3


def measure(scratch: Path, preset: Preset | None = None, pictures: dict[str, int] | None = None) -> Measurement:
    """The first of 18 bundles (a rate and a seed, three cells each) with empty caches, two more with full ones.

    In between, steps and scorings of the plain loop on the same split. All else follows by multiplication: the other
    bundles cost what the two do, a plain run its number of steps and of images scored.

    Args:
        preset, pictures: the study and how many pictures a class has, where not the whole of it is wanted.
    """
    draw_tiles(scratch / "tiles", pictures or PICTURES)
    study = replace(
        with_weights_file(preset or noise_study(), scratch / "weights.pth"),
        datasets=[DatasetSpec("magnetic_tiles", {"root": str(scratch / "tiles")})],
    )
    store = RunStore(scratch / "run")
    job = Job(store.path, study, "cpu", "none")
    began = time.perf_counter()
    plan = make_plan(study, "run")
    store.write_plan(plan)
    planning = time.perf_counter() - began
    groups = bundles(plan.cells)
    ours: dict[int, float] = {}
    looked: dict[int, list[int]] = {}

    def compute(number: int) -> None:
        ours[number] = _seconds(partial(run_bundle, job, [cell.id for cell in groups[number]]))
        check_done(job, groups[number])
        looked[number] = [looks(store, cell.id) for cell in groups[number]]

    compute(COLD)
    # Not before: it opens the cache of images that the first bundle has to fill.
    plain = PlainRun(study, groups[COLD])
    plain.measure()
    for number in WARM:
        compute(number)
        plain.measure()
    warm = statistics.mean(ours[number] for number in WARM)
    whole = planning + ours[COLD] + (len(groups) - 1) * warm
    independent = len(groups) * statistics.mean(sum(map(plain.seconds, each)) for each in looked.values())
    return Measurement(
        what="the noise study on tiles: 6 rates x {vanilla, one-shot, iterative} x 3 seeds",
        against="54 independent runs of the plain loop, extrapolated from its measured steps and scorings",
        value=independent / whole,
        unit="x",
        bound="at least",
        target=50,
        detail={
            "ours_s": whole,
            "theirs_s": independent,
            "measured_planning_s": planning,
            "measured_first_bundle_s": ours[COLD],
            "measured_warm_bundle_s": warm,
            "extrapolated_bundles": len(groups) - 1 - len(WARM),
            "measured_plain_step_s": plain.step_s,
            "measured_plain_image_scored_s": plain.image_s,
            "extrapolated_plain_runs": len(plan.cells),
            "measured_scorings_of_training_images_a_bundle": statistics.mean(map(sum, looked.values())),
            "steps": study.steps,
        },
        note="sizes of preset noise; of ours the first bundle fills the caches, and one worker does it all",
    )


def noise_study() -> Preset:
    """Pictures, budget and flow of preset noise on one division, with the three arms of preset tiles."""
    noise, tiles = load_preset("noise"), load_preset("tiles")
    boards = [replace(b, splits=[name.replace("*", "repeat=0") for name in b.splits]) for b in noise.protocols]
    arms = [spec for spec in tiles.models if spec.name in ARMS]
    flow = flow_arguments(noise)
    return replace(noise, protocols=boards, models=[replace(arm, args=flow, selection="last") for arm in arms])


def with_weights_file(study: Preset, file: Path) -> Preset:
    """The study with one random network in a file: else every seed would draw its own, and need features of its own."""
    torch.manual_seed(0)
    torch.save(DifferNet(**study.models[0].args).backbone.network.state_dict(), file)
    return replace(study, models=[replace(arm, args={**arm.args, "weights": str(file)}) for arm in study.models])


def looks(store: RunStore, cell: str) -> int:
    """How often a cell's refinement scored the training images."""
    trace = store.read(cell)[0].refinement
    return len(trace["rounds"]) if trace else 0


class PlainRun:
    """Measures the plain loop on the split of a bundle, and says what a whole run of it costs."""

    def __init__(self, study: Preset, bundle: Bundle) -> None:
        cell = bundle[0]
        place = World(study).place(cell.dataset)
        torch.manual_seed(0)
        model = DifferNet(**study.models[0].args)
        split = place.split(cell.protocol, cell.split)
        self.loop = ReferenceFlow(model, place.dataset, split, study.size, study.batch_size)
        self.steps = study.steps
        self.tested = self.loop.data.rows("test")["sample"].tolist()
        self.candidates = int((self.loop.data.rows("train")["observed_label"] == GOOD).sum())
        self._steps: list[float] = []
        self._images: list[float] = []
        self._sample = self.tested[: study.batch_size]
        self.loop.train(1)

    def measure(self) -> None:
        """Time some steps, and the scoring of one batch."""
        self._steps.append(_seconds(lambda: self.loop.train(THEIR_STEPS)) / THEIR_STEPS)
        self._images.append(_seconds(lambda: self.loop.score("test", self._sample)) / len(self._sample))

    @property
    def step_s(self) -> float:
        """Median seconds of a step."""
        return statistics.median(self._steps)

    @property
    def image_s(self) -> float:
        """Median seconds of scoring an image under all its transforms."""
        return statistics.median(self._images)

    def seconds(self, looks: int) -> float:
        """A run with so many scorings of its training images; validation is not scored, nor anything else counted."""
        return self.steps * self.step_s + (len(self.tested) + looks * self.candidates) * self.image_s


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
