"""The conformance suite: does somebody's model keep the contract, in findings a newcomer understands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reshift.benchmark.catalog import build, find_class, full_arguments
from reshift.benchmark.model_trial import ROWS, SIZE, STEPS, VIEWS, Trial
from reshift.benchmark.promises import PROMISES, TRAINS, Promise
from reshift.benchmark.seeding import seed_everything
from reshift.benchmark.world import MODELS
from reshift.datamodules.progress import tracked
from reshift.models.base import InspectionModule, TrainingInfo

_BUILDS = "builds from its arguments"


@dataclass(frozen=True)
class Finding:
    """One promise of the contract and whether the model keeps it: what was tried, what came out, what to do."""

    ok: bool
    promise: str
    tried: str
    came_out: str = ""
    to_do: str = ""

    def __str__(self) -> str:
        if self.ok:
            return f"ok    {self.promise}"
        told = f"tried:    {self.tried}", f"came out: {self.came_out}", f"to do:    {self.to_do}"
        return "\n      ".join((f"FAIL  {self.promise}", *told))


def check_model(spec: str, arguments: Mapping[str, Any]) -> list[Finding]:
    """Try a model on small made-up pictures.

    Args:
        spec: as for `reshift run --models`.
        arguments: what to build it with beside its defaults.

    Returns:
        One finding a promise. A model that cannot be built, or not be trained, is asked nothing further.

    Raises:
        LookupFailure: no such model, or arguments it does not take.
    """
    cls = find_class(spec, MODELS, InspectionModule)
    full = full_arguments(cls, dict(arguments), f"model {spec}")

    def new_model(seed: int) -> InspectionModule:
        seed_everything(seed)
        model = build(cls, full)
        model.prepare(TrainingInfo(STEPS, (ROWS // 2, ROWS // 2), 1, VIEWS if model.views == "all" else 1, SIZE))
        return model

    tried = f"{cls.__name__} with {full or 'no arguments'}"
    try:
        new_model(0)
    except Exception as error:
        return [Finding(False, _BUILDS, tried, _line(error), "mend its __init__, or give the --args it needs")]
    findings = [Finding(True, _BUILDS, tried)]
    trial = Trial(new_model)
    # On stderr, and only for models that take their time: findings follow on stdout.
    for promise in tracked(PROMISES, "promises tried"):
        findings.append(_finding(promise, trial))
        if promise is TRAINS and not findings[-1].ok:
            break
    return findings


def _finding(promise: Promise, trial: Trial) -> Finding:
    try:
        came_out = promise.broken(trial)
    except Exception as error:
        # Whatever somebody's model raises is what a finding is there to say.
        came_out = _line(error)
    return Finding(not came_out, promise.says, promise.tried, came_out, promise.mend)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
