"""Whoever waits longer than two seconds is told how long it still takes, on stderr; nobody else is told anything."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from conftest import write_parts

from reshift.benchmark.cli import main
from reshift.datamodules import progress
from reshift.datamodules.progress import StderrProgress, tracked

PRESET = """\
description: enough folds to make a threshold from
datasets: [{use: manifest, args: {csv: photos/parts.csv}}]
protocols: [{use: in_distribution, args: {val: 0.5, folds_used: 3}}]
models: [{use: classifier, args: {backbone: test_resnet, weights: none}}]
size: 32
seeds: [0]
steps: 4
batch_size: 8
checks: 2
"""
METRIC = "def missed(labels, scores):\n    return float(labels.sum())\n"


def test_nothing_is_said_before_two_seconds(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(tracked(range(1000), "counting")) == list(range(1000))
    assert capfd.readouterr() == ("", "")


def test_time_left_is_that_of_the_items_so_far(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # Each look at the clock finds 1.5 s more: the lines come at every second item.
    ticks = itertools.count(step=1.5)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(ticks))
    assert list(tracked("abcd", "reading")) == list("abcd")
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == ["reading: 2/4, about 3 s left", "reading: 4/4, about 0 s left"]


def test_a_count_that_begins_anew_has_its_own_time(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    seconds = iter([0, 1, 2, 100, 103])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(seconds))
    tell = StderrProgress("caches")
    for done in (0, 1, 2, 1, 2):
        tell(done, 4)
    assert capfd.readouterr().err.splitlines() == ["caches: 2/4, about 2 s left", "caches: 2/4, about 6 s left"]


def test_every_long_command_tells_what_it_is_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESHIFT_CACHE", str(tmp_path / "cache"))
    write_parts(tmp_path / "photos", 60)
    monkeypatch.setattr(StderrProgress, "interval", 0.0)
    Path("own.yaml").write_text(PRESET)
    Path("my_metric.py").write_text(METRIC)

    def told(*command: str) -> str:
        assert main(list(command)) == 0
        said = capfd.readouterr()
        assert "left\n" not in said.out
        return " ".join(sorted(set(re.findall(r"^(.*): \d+/\d+, about \d+ s left$", said.err, re.MULTILINE))))

    planning = told("run", "--preset", "own.yaml")
    for wanted in ("near-duplicates", "in_distribution: splits verified", "boards"):
        assert wanted in planning, wanted
    assert told("board", "own") == "boards"
    assert told("metric", "own", "my_metric.py:missed") == "rows judged"
    assert "boards examined" in told("report", "own", "--no-pictures")
    assert "training on all parts: steps" in told("refit", "own", "classifier", "--preset", "own.yaml")
    assert told("check-model", "class_prior") == "promises tried"
