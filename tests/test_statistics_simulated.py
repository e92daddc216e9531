"""Intervals hold the truth, bounds and tests what they promise: a short run of what `make simulate` does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from simulate import STUDIES, main
from simulated_intervals import Generator, holds, parts, scores, units
from simulated_study import Study, repeat

from reshift.results.statistics import auroc_part_interval


@pytest.mark.parametrize("name", [name for name, study in STUDIES.items() if study.required])
def test_what_is_stated_holds_in_simulated_studies(name: str) -> None:
    study = STUDIES[name]
    found = repeat(study, study.short)
    assert not found.refuted, f"{name}: {found.held} of {found.judged}"


def images_taken_for_parts(rng: Generator) -> bool | None:
    part, label = parts(50, 6)
    test = units(part, label, scores(rng, part, label, 0.8))
    return holds(auroc_part_interval([replace(test, part=test.unit)]), 0.8)


@pytest.mark.parametrize(
    "wrong",
    [
        Study("too narrow", images_taken_for_parts, short=60),
        Study("too sure of itself", lambda rng: rng.random() < 0.91, short=1000),
        Study("too wide", lambda rng: rng.random() < 0.99, short=1000),
        Study("a bound that is broken", lambda rng: rng.random() < 0.92, "bound", short=1000),
        Study("a test that cries wolf", lambda rng: rng.random() < 0.1, "level", 0.05, short=1000),
    ],
    ids=lambda study: study.name,
)
def test_what_is_wrong_is_refuted(wrong: Study) -> None:
    assert repeat(wrong, wrong.short).refuted


@pytest.mark.parametrize(("truth", "parts_a_class"), [(0.8, 9), (0.95, 9)])
def test_nothing_is_said_below_the_minimum(truth: float, parts_a_class: int) -> None:
    rng = np.random.default_rng(0)
    part, label = parts(parts_a_class, 4)
    assert auroc_part_interval([units(part, label, scores(rng, part, label, truth))]) is None


def test_the_table_has_a_line_for_every_study(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--studies", "30", "--only", "seeds"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {name}" for name in STUDIES if "seeds" in name]
