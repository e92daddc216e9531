"""Ranks over data sets and agreement between boards, against hand-worked cases and scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

from reshift.results.board_rows import Row
from reshift.results.rank_agreement import rank_agreement
from reshift.results.rank_test import board_rank_tests, rank_bytes, rank_test

DEMSAR = {  # Table 6 of Demsar (JMLR 2006): 14 data sets, C4.5 and its variants
    "C4.5": (0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.000, 0.940, 0.619, 0.972, 0.957),
    "C4.5+m": (0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.000, 0.962, 0.666, 0.981, 0.978),
    "C4.5+cf": (0.771, 0.590, 0.968, 0.654, 0.886, 0.916, 0.609, 0.563, 0.866, 1.000, 0.965, 0.614, 0.9751, 0.946),
    "C4.5+m+cf": (0.798, 0.569, 0.967, 0.657, 0.898, 0.931, 0.685, 0.625, 0.875, 1.000, 0.962, 0.669, 0.975, 0.970),
}


def test_ranks_and_critical_difference_are_those_of_the_textbook_example() -> None:
    found = rank_test({m: {f"d{i:02}": v for i, v in enumerate(values)} for m, values in DEMSAR.items()})
    assert found is not None
    assert {m: round(rank, 3) for m, rank in found.mean_ranks.items()} == {
        "C4.5": 3.143, "C4.5+m": 2.000, "C4.5+cf": 2.893, "C4.5+m+cf": 1.964,
    }  # fmt: skip
    assert found.critical_difference == pytest.approx(1.25, abs=0.01)
    ranks = np.array(list(found.mean_ranks.values()))
    by_hand = 12 * 14 / (4 * 5) * (np.square(ranks).sum() - 4 * 25 / 4)
    assert by_hand == pytest.approx(9.28, abs=0.05)
    assert found.p == pytest.approx(float(chi2.sf(by_hand, 3)), abs=0.01)


def test_no_ranks_below_six_data_sets_or_three_models() -> None:
    values = {m: {f"d{i}": 0.1 * i + 0.01 * k for i in range(6)} for k, m in enumerate("abc")}
    assert rank_test(values) is not None
    assert rank_test({m: dict(list(v.items())[:5]) for m, v in values.items()}) is None
    assert rank_test({m: v for m, v in values.items() if m != "a"}) is None
    assert rank_test({}) is None


def test_a_model_that_misses_a_data_set_is_left_out() -> None:
    values = {m: {f"d{i}": 0.1 * i + 0.01 * k for i in range(6)} for k, m in enumerate("abcd")}
    del values["d"]["d3"]
    found = rank_test(values)
    assert found is not None and found.mean_ranks == {"a": 3.0, "b": 2.0, "c": 1.0}


def row(dataset: str, model: str, mean: float | None, protocol: str = "p", metric: str = "auroc") -> Row:
    blank: dict[str, Any] = dict.fromkeys(("seed_low", "seed_high", "part_low", "part_high"))
    return Row(dataset, model, protocol, "mean", "all", "part", metric, "", 1, 20, mean, **blank, coverage="1/1")


def test_boards_are_tested_by_protocol() -> None:
    rows = [row(f"world-{i}", m, 0.5 + 0.1 * k + 0.01 * i) for i in range(6) for k, m in enumerate("abc")]
    rows += [row("world-0", "a", 0.9, "alone"), row("world-1", "a", 0.1, metric="ap")]
    rows += [row(f"world-{i}", "c [probability]", 0.99) for i in range(6)]
    assert list(board_rank_tests(rows, "abc")) == ["p"]
    written = rank_bytes(rows, "abc")
    assert written is not None and written.decode().splitlines()[1].startswith("p,c,1.000000,3,6,0.0024")
    assert rank_bytes(rows[:3], "abc") is None


def test_agreement_is_one_for_one_order_and_minus_one_for_its_reverse() -> None:
    names = "abcdef"
    rows = [row("d", m, 0.5 + 0.05 * k, "first") for k, m in enumerate(names)]
    rows += [row("d", m, 0.6 + 0.01 * k, "same [breaks: parts]") for k, m in enumerate(names)]
    rows += [row("d", m, 0.9 - 0.05 * k, "reverse") for k, m in enumerate(names)]
    rows += [row("d", "a [z2]", 0.99, "first"), row("d", "blank", None, "first")]
    same = rank_agreement(rows, ("d", "first"), ("d", "same"))
    assert same is not None and same.tau == pytest.approx(1) and same.models == 6 and not same.moved
    reverse = rank_agreement(rows, ("d", "first"), ("d", "reverse"))
    assert reverse is not None and reverse.tau == pytest.approx(-1) and reverse.moved["a"] == (6, 1)
    assert rank_agreement(rows, ("d", "first"), ("d", "same"), without=["a"]) is None
    assert rank_agreement(rows[:11], ("d", "first"), ("d", "same")) is None
