"""Drift: the tests against a loop and by hand, their level and power by simulation, and the command on a real run."""

from __future__ import annotations

import shutil
from argparse import Namespace
from dataclasses import replace
from itertools import combinations
from math import exp
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import write_parts
from deployed import SOURCE, finished, inspect_arguments, refitted
from scipy.stats import binom, fisher_exact, norm
from statsmodels.stats.multitest import multipletests

from reshift.benchmark.catalog import LookupFailure
from reshift.benchmark.deploy.commands import inspect
from reshift.benchmark.deploy.evidence import EvidenceError
from reshift.benchmark.deploy.model_file import write_model_json
from reshift.benchmark.deploy.model_folder import read_folder
from reshift.benchmark.monitor import monitor, reference_scores
from reshift.datamodules.dataset import DataError
from reshift.results.drift import (
    LEVEL,
    MIN_PARTS,
    DriftTest,
    feature_test,
    holm,
    more_rejects,
    moved_scores,
    parts_needed,
    power,
    reject_test,
    score_test,
)
from reshift.results.drift_verdict import Observed, drift_lines, drift_tests
from reshift.results.mmd import MOST_ROWS, mmd_test, squared_mmd
from reshift.results.store import RunStore

__all__ = ["finished"]

REPEATS = 2000


def by_loops(x: np.ndarray, y: np.ndarray, s2: float) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return exp(-float(((a - b) ** 2).sum()) / (2 * s2))

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def test_the_discrepancy_of_a_case_worked_by_hand() -> None:
    """Rows 0 and 1 against rows 0 and 2 on a line: k(0,1) + k(0,2) - (1 + k(0,2) + k(0,1) + k(1,2)) / 2."""
    gram = np.array([[1, 0.5, 1, 0.2], [0.5, 1, 0.5, 0.4], [1, 0.5, 1, 0.2], [0.2, 0.4, 0.2, 1]])
    found = squared_mmd(gram, np.array([[True, True, False, False]]))
    assert found == pytest.approx([0.5 + 0.2 - (1 + 0.2 + 0.5 + 0.4) / 2])


def test_the_discrepancy_and_all_its_permutations_against_loops() -> None:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(7, 3))
    pairs = [float(((rows[i] - rows[j]) ** 2).sum()) for i, j in combinations(range(7), 2)]
    s2 = float(np.median(pairs))
    value, p = mmd_test(rows[:4], rows[4:], seed=0, permutations=20_000)
    assert value == pytest.approx(by_loops(rows[:4], rows[4:], s2))
    ways = [by_loops(rows[list(w)], np.delete(rows, w, axis=0), s2) for w in combinations(range(7), 4)]
    exact = float(np.mean(np.array(ways) >= value - 1e-12))
    assert p == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 20_000) ** 0.5 + 1e-4)


def test_the_same_seed_gives_the_same_p_and_many_rows_are_sampled() -> None:
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(30, 2)), generator.normal(size=(25, 2))
    assert mmd_test(x, y, seed=3) == mmd_test(x, y, seed=3)
    assert mmd_test(x, y, seed=3)[0] == mmd_test(x, y, seed=4)[0]
    many = generator.normal(size=(MOST_ROWS + 200, 2))
    assert mmd_test(many, y, seed=3, permutations=9) != mmd_test(many, y, seed=4, permutations=9)


def test_equal_rows_on_both_sides_are_no_drift() -> None:
    assert mmd_test(np.ones((20, 3)), np.ones((20, 3)), seed=0) == (0.0, 1.0)


def test_false_alarms_keep_their_level() -> None:
    """2,000 times all three tests where nothing changed: each at most 5 % but for chance, the exact one just 5 %."""
    generator = np.random.default_rng(7)
    alarms = {"scores": 0, "rejects": 0, "features": 0, "any": 0}
    for repeat in range(REPEATS):
        before, now = generator.exponential(size=40), generator.exponential(size=25)
        # As with a real threshold, the reference itself has set the cut.
        tests = [score_test(before, now), reject_test(before, now, float(np.sort(before)[36]))]
        x, y = generator.normal(size=(40, 3)), generator.normal(size=(25, 3))
        tests.append(DriftTest("features", "", mmd_test(x, y, seed=repeat, permutations=199)[1]))
        for test in tests:
            alarms[test.what] += test.p <= LEVEL
        alarms["any"] += any(test.drifted for test in holm(tests))
    low, high = binom.ppf([0.005, 0.995], REPEATS, LEVEL)
    assert low <= alarms["features"] <= high, alarms
    assert max(alarms.values()) <= high, alarms
    assert alarms["any"] > 0


def test_a_plain_shift_is_found_in_scores_and_in_features() -> None:
    generator = np.random.default_rng(8)
    found = {"scores": 0, "features": 0}
    for seed in range(60):
        x, y = generator.normal(size=(60, 3)), generator.normal(size=(40, 3)) + 1
        tests = drift_tests(Observed(x[:, 0], x), Observed(y[:, 0], y), cut=1.6, same_model=True, seed=seed)
        for test in tests:
            if test.what in found:
                found[test.what] += test.drifted
    assert found["scores"] >= 54 and found["features"] == 60


def test_a_change_of_spread_alone_is_found_in_features() -> None:
    generator = np.random.default_rng(9)
    assert feature_test(generator.normal(size=(80, 4)), generator.normal(size=(80, 4)) * 2, seed=0).p < 0.01


def test_holm_by_hand_and_against_statsmodels() -> None:
    """Sorted .01 .02 .04 times 3 2 1, never falling: .03 .04 .04."""
    tests = holm([DriftTest("a", "", 0.04), DriftTest("b", "", 0.01), DriftTest("c", "", 0.02)])
    assert [test.adjusted for test in tests] == pytest.approx([0.04, 0.03, 0.04])
    assert holm([]) == []
    drawn = np.random.default_rng(2).random(9) ** 3
    found = [test.adjusted for test in holm([DriftTest("", "", p) for p in drawn])]
    assert found == pytest.approx(multipletests(drawn, method="holm")[1])


def test_rejects_are_compared_by_count() -> None:
    """1 of 20 against 11 of 20, by the hypergeometric distribution of 12 rejects over 40 parts."""
    before, now = np.r_[np.zeros(19), 9.0], np.r_[np.zeros(9), np.full(11, 9.0)]
    found = reject_test(before, now, cut=5.0)
    assert found.said == "11 of 20, against 1 of 20 before"
    assert found.p == pytest.approx(0.00123, abs=5e-5)


def test_power_of_a_normal_score_is_that_of_a_study_of_its_own() -> None:
    generator = np.random.default_rng(10)
    reference = norm.ppf((np.arange(200) + 0.5) / 200)
    studies = 400
    found = 0
    for _ in range(studies):
        x, y = generator.normal(size=200), generator.normal(size=60) + 0.5
        grid = np.sort(np.r_[x, y])
        distance = np.abs((x[:, None] <= grid).mean(axis=0) - (y[:, None] <= grid).mean(axis=0)).max()
        # Kolmogorov's limit: P(D > d) = 2 sum (-1)^(k-1) exp(-2 k^2 d^2 nm/(n+m)); its first terms.
        z = 2 * distance**2 * 200 * 60 / 260
        found += 2 * (exp(-z) - exp(-4 * z) + exp(-9 * z)) < LEVEL
    assert power(moved_scores(reference, 0.5), 60, LEVEL) == pytest.approx(found / studies, abs=0.09)
    assert power(moved_scores(reference, 0.0), 60, LEVEL) < 0.09


def test_power_of_more_rejects_against_every_outcome() -> None:
    """Fisher's p of all counts of 25 and 30 parts, weighed by how likely they are: .05 before, .4 after."""
    expected = 0.0
    for before in range(26):
        for after in range(31):
            p = fisher_exact([[before, 25 - before], [after, 30 - after]]).pvalue
            expected += (p < LEVEL) * binom.pmf(before, 25, 0.05) * binom.pmf(after, 30, 0.4)
    assert power(more_rejects(25, 0.05, 0.4), 30, LEVEL) == pytest.approx(expected, abs=0.07)


def test_more_parts_are_needed_for_smaller_shifts_and_a_small_reference_never_suffices() -> None:
    reference = np.random.default_rng(11).normal(size=300)
    large, small = (parts_needed(moved_scores(reference, shift), LEVEL, most=3000) for shift in (1.0, 0.5))
    assert large is not None and small is not None and MIN_PARTS <= large < small
    study = moved_scores(reference, 0.5)
    assert power(study, small, LEVEL) >= 0.8 > power(study, int(small / 1.3), LEVEL)
    assert parts_needed(moved_scores(reference[:MIN_PARTS], 0.3), LEVEL, most=200) is None


def test_scores_of_other_models_are_not_compared_but_their_rejects_are() -> None:
    generator = np.random.default_rng(12)
    reference = Observed(generator.normal(size=60))
    rescaled = Observed(generator.normal(size=60) * 0.1 + 1)
    (rejects,) = drift_tests(reference, rescaled, cut=2.0, same_model=False)
    assert rejects.what == "rejects" and not rejects.drifted
    lines = drift_lines([rejects], reference, rescaled)
    assert lines[0].startswith("no sign of drift in 60 parts: the smallest p, of rejects, is ")
    assert lines[-1].startswith("power     a share of rejects that rises from 5% to 15%: found in ")
    both = drift_tests(reference, rescaled, cut=2.0, same_model=True)
    assert [test.drifted for test in both] == [False, True]
    assert drift_lines(both, reference, rescaled)[0].startswith("re-training is due: scores differ, largest distance ")


def test_too_few_parts_numbers_that_are_none_and_other_networks_are_refused() -> None:
    good = np.random.default_rng(13).normal(size=(30, 2))
    with pytest.raises(ValueError, match="19 new parts are too few"):
        score_test(good[:, 0], good[:19, 0])
    with pytest.raises(ValueError, match="not finite"):
        feature_test(good, np.full((30, 2), np.nan), 0)
    with pytest.raises(ValueError, match="two networks"):
        feature_test(good, good[:, :1], 0)


def arguments(model: Path, images: Path, **changes: Any) -> Namespace:
    asked = {"model": model, "images": images, "reference": "small", "model_class": "", "device": "cpu"}
    return Namespace(**{**SOURCE, **asked, "parts": None, "features": None, "baseline": None, **changes})


def fresh(folder: Path, light: float = 1.0) -> Path:
    """One picture each of 36 good parts as the run's were drawn, but other ones, perhaps under less light."""
    rows = pd.read_csv(write_parts(folder, 120))
    later = rows[rows["part"].str[1:].astype(int) >= 60]
    good = later[later["label"] == 0].drop_duplicates("part")["image"]
    for path in folder.glob("*.png"):
        if path.name not in set(good):
            path.unlink()
        elif light != 1:
            cv2.imwrite(str(path), (cv2.imread(str(path)) * light).astype(np.uint8))
    return folder


def test_the_command_says_of_dark_pictures_that_re_training_is_due_and_of_others_that_it_is_not(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = refitted(finished, "gaussian")
    dark = fresh(tmp_path / "dark", light=0.5)
    (dark / "torn.png").write_bytes(b"")
    capsys.readouterr()
    assert monitor(arguments(folder, dark)) == 1
    said = capsys.readouterr()
    assert said.out.startswith("re-training is due: ") and "features differ" in said.out.splitlines()[0]
    assert "torn.png" in said.err and "36 of 36, against" in said.out
    assert monitor(arguments(folder, fresh(tmp_path / "same"))) == 0
    said = capsys.readouterr()
    assert said.out.startswith("no sign of drift in 36 parts: the smallest p, of features, rejects, is ")
    assert "scores    not compared" in said.out


def test_scores_are_compared_with_an_earlier_csv_of_the_same_model(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, photos = refitted(finished, "gaussian"), fresh(tmp_path / "same")
    earlier = tmp_path / "earlier.csv"
    assert inspect(inspect_arguments(folder, photos, out=earlier)) == 0
    capsys.readouterr()
    assert monitor(arguments(folder, photos, baseline=earlier)) == 0
    assert "scores    largest distance of their distributions 0.00; p = 1" in capsys.readouterr().out
    assert monitor(arguments(folder, fresh(tmp_path / "dim", light=0.9), baseline=earlier)) == 1
    assert "scores differ" in capsys.readouterr().out.splitlines()[0]
    with pytest.raises(DataError, match=r"earlier.csv: was not scored by this model"):
        monitor(arguments(refitted(finished, "patchcore"), photos, baseline=earlier))
    with pytest.raises(DataError, match=r"parts.csv: is no CSV of reshift inspect"):
        monitor(arguments(folder, photos, baseline=Path("photos/parts.csv")))


def test_a_trained_model_is_compared_by_the_frozen_network_of_another(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, photos = refitted(finished, "classifier"), fresh(tmp_path / "same")
    capsys.readouterr()
    monitor(arguments(folder, photos, features="gaussian"))
    assert "features  squared maximum mean discrepancy" in capsys.readouterr().out
    monitor(arguments(folder, photos))
    assert "features  not compared: the model has no frozen network" in capsys.readouterr().out
    with pytest.raises(LookupFailure, match="this model has no frozen network; take one such as gaussian"):
        monitor(arguments(folder, photos, features="classifier"))
    with pytest.raises(LookupFailure, match="this preset has n_views, classifier"):
        monitor(arguments(folder, photos, features="nothing"))


def test_a_model_of_whole_parts_is_told_which_pictures_belong_together(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, photos = refitted(finished, "multiview_classifier"), fresh(tmp_path / "dark", light=0.5)
    rows = pd.read_csv(photos / "parts.csv")
    kept = rows["image"].map(lambda image: (photos / image).is_file())
    rows.loc[kept, ["image", "part", "view"]].to_csv(tmp_path / "parts.csv", index=False)
    with pytest.raises(DataError, match="looks at all pictures of a part together; --parts, a CSV"):
        monitor(arguments(folder, photos))
    with pytest.raises(DataError, match="looks at one picture at a time; --parts, a CSV"):
        monitor(arguments(refitted(finished, "gaussian"), photos, parts=tmp_path / "parts.csv"))
    capsys.readouterr()
    assert monitor(arguments(folder, photos, parts=tmp_path / "parts.csv", features="gaussian")) == 1
    assert "features differ" in capsys.readouterr().out.splitlines()[0]


def test_the_reference_is_one_score_of_every_good_part_from_the_fold_that_did_not_see_it(finished: Path) -> None:
    said = read_folder(refitted(finished, "gaussian"))[0]
    found = reference_scores(RunStore(Path("runs/small")), said)
    cells = [RunStore(Path("runs/small")).read(cell)[1] for cell in said.threshold["cells"]]
    tested = pd.concat([rows[rows["role"] == "test"] for rows in cells])
    good = {part: set(rows["score:score"]) for part, rows in tested.groupby("part") if not rows["label"].any()}
    assert len(found) == len(good) == 36
    assert all(sum(score in scores for score in found) == 1 for scores in good.values())


def test_another_run_is_refused(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(refitted(finished, "gaussian"), folder)
    model = read_folder(folder)[0]
    write_model_json(folder, replace(model, threshold={**model.threshold, "cells": ["0" * 64]}))
    with pytest.raises(EvidenceError, match="was not refitted from runs/small"):
        monitor(arguments(folder, Path("photos")))
