"""A metric of one's own over stored scores, against a loop in numpy and a hand-worked case."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from reshift.benchmark.catalog import LookupFailure
from reshift.benchmark.custom_metric import find_metric, judge_by
from reshift.results.clustered_auroc import auroc
from reshift.results.custom_metric import MetricError, metric_bytes, metric_rows
from reshift.results.plan import Plan, PlannedCell, identity_hash
from reshift.results.record import Record
from reshift.results.scored_units import Floats, Labels
from reshift.results.scores_file import COLUMNS
from reshift.results.store import RunStore

SPLITS, SEEDS, PARTS = ("fold=0", "fold=1"), (0, 1), 40


def planned(split: str, seed: int) -> PlannedCell:
    identity = {"split": split, "seed": seed}
    return PlannedCell(identity_hash(identity), identity, "toy", "flow", "in_distribution", split, seed)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """One model, two splits, two seeds, two images a part."""
    store = RunStore(tmp_path / "run")
    cells = tuple(planned(split, seed) for split in SPLITS for seed in SEEDS)
    store.write_plan(Plan("toy", "inputs", cells))
    for cell in cells:
        draw = np.random.default_rng([ord(cell.split[-1]), cell.seed])
        rows = []
        for image in range(2 * PARTS):
            part, label = f"{cell.split}-p{image // 2}", image // 2 % 2
            rows.append((f"{part}-{image % 2}", part, "", "test", label, label, "", "", "", "", draw.normal() + label))
        store.write(Record.of(cell, "image", {}, {}), pd.DataFrame(rows, columns=[*COLUMNS, "score:score"]))
    return store


def precision(labels: Labels, scores: Floats) -> float:
    return float(average_precision_score(labels, scores))


def test_means_are_those_of_a_loop(store: RunStore) -> None:
    rows = {row.split: row for row in metric_rows(store, store.read_plan(), "precision", precision, resamples=20)}
    by_split = {}
    for split in SPLITS:
        frames = [store.read(planned(split, seed).id)[1] for seed in SEEDS]
        by_split[split] = np.mean([average_precision_score(f["label"], f["score:score"]) for f in frames])
        assert rows[split].mean == pytest.approx(by_split[split])
        assert (rows[split].n_seeds, rows[split].n_parts, rows[split].coverage) == (2, PARTS, "2/2")
    assert rows["mean"].mean == pytest.approx(np.mean(list(by_split.values())))
    assert (rows["mean"].n_parts, rows["mean"].coverage, rows["mean"].level) == (2 * PARTS, "4/4", "image")


def test_the_interval_is_that_of_a_bootstrap_over_whole_parts(store: RunStore) -> None:
    head = next(iter(metric_rows(store, store.read_plan(), "auroc", auroc, resamples=400)))
    frames = {s: [store.read(planned(s, seed).id)[1] for seed in SEEDS] for s in SPLITS}
    assert all(f["part"].iloc[::2].tolist() == f["part"].iloc[1::2].tolist() for fs in frames.values() for f in fs)
    draw, means = np.random.default_rng(5), []
    for _ in range(400):
        values = []
        for first, second in frames.values():
            y = first["label"].to_numpy()[::2]
            chosen = np.concatenate([draw.choice(np.flatnonzero(y == v), (y == v).sum()) for v in (0, 1)])
            rows = np.concatenate([2 * chosen, 2 * chosen + 1])
            values += [auroc(f["label"].to_numpy()[rows], f["score:score"].to_numpy()[rows]) for f in (first, second)]
        means.append(np.mean(values))
    low, high = np.quantile(means, [0.025, 0.975])
    assert head.part_low is not None and head.part_high is not None
    assert head.part_low == pytest.approx(low, abs=0.02) and head.part_high == pytest.approx(high, abs=0.02)
    again = next(iter(metric_rows(store, store.read_plan(), "auroc", auroc, resamples=400)))
    assert again == head


def test_a_missing_cell_leaves_the_mean_blank(store: RunStore) -> None:
    (store.folder(planned("fold=1", 1).id) / "record.json").unlink()
    rows = {row.split: row for row in metric_rows(store, store.read_plan(), "precision", precision, resamples=5)}
    assert (rows["mean"].mean, rows["mean"].part_low, rows["mean"].coverage) == (None, None, "3/4")
    assert rows["fold=1"].mean is None and rows["fold=0"].mean is not None


def test_an_undefined_metric_is_absent_and_never_zero(store: RunStore) -> None:
    rows = list(metric_rows(store, store.read_plan(), "nothing", lambda labels, scores: float("nan"), resamples=5))
    assert all(row.mean is None and row.part_low is None for row in rows)
    lines = list(csv.DictReader(io.StringIO(metric_bytes(rows).decode())))
    assert {line["mean"] for line in lines} == {""}


def test_draws_that_all_agree_are_no_interval(store: RunStore) -> None:
    head = next(iter(metric_rows(store, store.read_plan(), "units", lambda labels, scores: len(labels), resamples=20)))
    assert (head.mean, head.part_low, head.part_high) == (2 * PARTS, None, None)


def test_a_metric_cannot_change_the_scores(store: RunStore) -> None:
    def greedy(labels: Labels, scores: Floats) -> float:
        value = float(scores.mean())
        scores += 1
        return value

    first, second = (list(metric_rows(store, store.read_plan(), "greedy", greedy, resamples=5)) for _ in range(2))
    assert first == second
    assert first[1].mean == pytest.approx(
        np.mean([store.read(planned("fold=0", seed).id)[1]["score:score"].mean() for seed in SEEDS])
    )


def test_a_metric_that_fails_is_named_with_its_cell(store: RunStore) -> None:
    def broken(labels: Labels, scores: Floats) -> float:
        raise KeyError("what")

    with pytest.raises(MetricError, match=r"broken on in_distribution/fold=0, flow: KeyError: 'what'"):
        list(metric_rows(store, store.read_plan(), "broken", broken))


def test_a_file_becomes_a_csv_beside_the_boards(store: RunStore, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def highest(labels, scores):\n    return scores.max()\n", encoding="utf-8")
    told = judge_by(store.path, f"{file}:highest")
    assert "toy: in_distribution  flow  by image  highest" in told[0]
    written = (store.path / "leaderboards" / "custom-highest.csv").read_text()
    assert written.startswith(
        "dataset,model,protocol,split,level,metric,n_seeds,n_parts,mean,part_low,part_high,coverage"
    )
    assert written.count("\n") == 4


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("mine", "is no metric; give file.py:function"),
        ("nowhere.py:f", "does not import: FileNotFoundError"),
        ("math:nothing", "does not import: AttributeError"),
        ("math:pi", "has no function 'pi'"),
    ],
)
def test_a_metric_that_is_none_is_said(spec: str, told: str) -> None:
    with pytest.raises(LookupFailure, match=told):
        find_metric(spec)


def test_a_packaged_function_is_found() -> None:
    assert find_metric("sklearn.metrics:average_precision_score") is average_precision_score
