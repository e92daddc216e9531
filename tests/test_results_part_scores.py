"""Part scores: the rank among good parts with as many views, against enumeration of every draw."""

from __future__ import annotations

from itertools import combinations, groupby

import numpy as np
import pytest

from reshift.results.clustered_auroc import auroc
from reshift.results.part_scores import MIN_REFERENCES, part_units
from reshift.results.scored_units import ScoredUnits, Units

Parts = dict[str, tuple[list[float], int]]


def units(parts: Parts) -> Units:
    rows = [(name, score, label) for name, (scores, label) in parts.items() for score in scores]
    name, score, label = (np.array(column) for column in zip(*rows, strict=True))
    unit = np.array([f"{n}/{i}" for i, n in enumerate(name)])
    defect = np.where(label == 1, "pit", "")
    return Units(unit, name, np.full(len(name), "gear"), defect, label, label, score.astype(float), score.astype(float))


def scored(val: Parts, test: Parts) -> ScoredUnits:
    return ScoredUnits(units(val), units(test), "image")


def rank_by_enumeration(own: list[float], references: list[list[float]], v: int) -> float:
    """Every draw of v views of the part against every draw of v views of every reference."""
    chances = []
    for reference in references:
        wins = [
            (max(mine) > max(theirs)) + (max(mine) == max(theirs)) / 2
            for mine in combinations(own, v)
            for theirs in combinations(reference, v)
        ]
        chances.append(np.mean(wins))
    return float(np.mean(chances))


def random_parts(rng: np.random.Generator, prefix: str, views: list[int], bad_every: int) -> Parts:
    # Whole numbers, so that ties abound.
    return {
        f"{prefix}{i:02d}": (rng.integers(0, 12, n).astype(float).tolist(), int(i % bad_every == 0))
        for i, n in enumerate(views)
    }


@pytest.mark.parametrize("seed", range(4))
def test_order_of_parts_is_that_of_enumerated_ranks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    val = random_parts(rng, "v", [2 + i % 3 for i in range(40)], 5)
    test = random_parts(rng, "t", [1 + i % 5 for i in range(25)], 3)
    good = {name: scores for name, (scores, label) in val.items() if label == 0}
    # 4 views: at most a third of the 32 good parts, too few; 3 views: two thirds.
    supported = max(v for v in (1, 2, 3, 4) if sum(len(s) >= v for s in good.values()) >= MIN_REFERENCES)
    assert supported == 3
    keys: dict[str, tuple[float, float]] = {}
    for name, (own, _) in {**val, **test}.items():
        v = min(len(own), supported)
        others = [s for n, s in good.items() if n != name and len(s) >= v]
        rank = rank_by_enumeration(own, others, v)
        keys[name] = (round(rank, 9), round(float(np.mean([max(draw) for draw in combinations(own, v)])), 9))
    found = part_units(scored(val, test))
    assert found is not None
    position = dict(zip(np.concatenate([found.val.unit, found.test.unit]).tolist(),
                        np.concatenate([found.val.score, found.test.score]).tolist(), strict=True))  # fmt: skip
    order = sorted(keys, key=lambda n: keys[n])
    expected = {name: float(i) for i, (_, names) in enumerate(groupby(order, key=lambda n: keys[n])) for name in names}
    assert position == expected


def test_more_views_alone_do_not_make_a_part_look_defective() -> None:
    rng = np.random.default_rng(0)
    val = {f"v{i:03d}": (rng.normal(size=1 + i % 6).tolist(), 0) for i in range(300)}
    # Labels follow the number of views; scores know nothing of labels.
    views = rng.integers(1, 7, 400)
    test = {f"t{i:03d}": (rng.normal(size=n).tolist(), int(rng.random() < n / 7)) for i, n in enumerate(views)}
    found = part_units(scored(val, test))
    assert found is not None
    assert auroc(found.test.label, found.test.raw) > 0.6
    assert abs(auroc(found.test.label, found.test.score) - 0.5) < 0.06


def test_parts_above_all_references_are_ordered_by_their_maximum() -> None:
    val = {f"v{i:02d}": ([float(i)], 0) for i in range(19)}
    found = part_units(scored(val, {"a": ([50.0, 99.0], 1), "b": ([70.0], 1), "c": ([99.0], 1), "d": ([5.0], 0)}))
    assert found is not None
    a, b, c, d = found.test.score
    assert d < b < c and b < a


def test_single_view_parts_keep_the_order_of_their_scores() -> None:
    rng = np.random.default_rng(1)
    val = {f"v{i:02d}": ([float(x)], 0) for i, x in enumerate(rng.normal(size=30))}
    test = {f"t{i:02d}": ([float(x)], i % 2) for i, x in enumerate(rng.normal(size=30))}
    found = part_units(scored(val, test))
    assert found is not None
    assert np.array_equal(np.argsort(found.test.score), np.argsort(found.test.raw))
    assert np.array_equal(np.argsort(found.val.score), np.argsort(found.val.raw))


def test_too_few_good_parts_give_no_part_level() -> None:
    good: Parts = {f"v{i:02d}": ([float(i), 1.0], 0) for i in range(18)}
    test: Parts = {"t": ([1.0], 0)}
    assert part_units(scored({**good, "bad": ([3.0], 1)}, test)) is None
    assert part_units(scored({**good, "v18": ([3.0], 0)}, test)) is not None


def test_a_part_is_defective_if_any_view_is_and_takes_that_view_s_defect() -> None:
    val = units({f"v{i:02d}": ([float(i)], 0) for i in range(19)})
    test = Units(
        unit=np.array(["a0", "a1", "a2", "b0"]),
        part=np.array(["a", "a", "a", "b"]),
        component=np.array(["gear"] * 3 + ["ring"]),
        defect=np.array(["", "pit", "crack", "stain"]),
        label=np.array([0, 1, 1, 0]),
        observed=np.array([0, 0, 0, 1]),
        score=np.arange(4.0),
        raw=np.arange(4.0),
    )
    found = part_units(ScoredUnits(val, test, "image"))
    assert found is not None
    assert found.test.part.tolist() == ["a", "b"]
    assert found.test.label.tolist() == [1, 0] and found.test.observed.tolist() == [0, 1]
    assert found.test.defect.tolist() == ["crack+pit", "stain"]
    assert found.test.component.tolist() == ["gear", "ring"]
