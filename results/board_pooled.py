"""The rows of a board that count verdicts over all splits: escapes, false rejects, and how many units were judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np

from reshift.results.board_rows import POOLED, Row, Series
from reshift.results.evaluation import LEVELS
from reshift.results.metrics import ALL, MetricKey
from reshift.results.scored_units import Labels, Level, Texts
from reshift.results.statistics import clopper_pearson_upper


def pooled_rows(series: Series) -> Iterator[Row]:
    """Verdicts over all splits together, "k of n escaped, at most x", with prevalence and floor.

    Nothing below full coverage.
    A part that several seeds or splits judge counts once, with the share of judgements that were wrong; the counts are
    rounded up, and the exact bound belongs to the rounded count.
    """
    if not series.complete or not series.everything:
        return
    planned = sum(len(seeds) for seeds in series.splits.values())
    for level in LEVELS:
        if any(level not in e.levels for e in series.everything):
            continue
        shared = set.intersection(*(set(name for at, name in e.calls if at == level) for e in series.everything))
        pool = _Pool.of(series, level)
        for threshold in ("", *sorted(shared)):
            called = np.concatenate([e.calls[level, threshold] for e in series.everything]) if threshold else None
            for metric, value in pool.metrics(called).items():
                key = MetricKey(ALL, level, metric, threshold)
                yield series.row(POOLED, key, [value], planned, pool.parts, seeds=[], present=planned)


@dataclass(frozen=True)
class _Pool:
    """The test units of all splits and seeds of a series, one entry a judgement."""

    unit: Texts
    label: Labels
    parts: frozenset[str]
    independent: bool

    @classmethod
    def of(cls, series: Series, level: Level) -> _Pool:
        tests = [e.levels[level].test for e in series.everything]
        unit = np.concatenate([t.unit for t in tests])
        parts = np.unique(np.concatenate([t.part for t in tests]))
        independent = level == "part" or len(np.unique(unit)) == len(parts)
        return cls(unit, np.concatenate([t.label for t in tests]), frozenset(parts.tolist()), independent)

    def metrics(self, called: Labels | None) -> dict[str, float]:
        """Counts of units without verdicts, else what the verdicts got wrong, per class."""
        found: dict[str, float] = {}
        counts: dict[int, int] = {}
        for value, count, name in ((1, "escapes", "escape"), (0, "false_rejects", "false_reject")):
            chosen = self.label == value
            names, code = np.unique(self.unit[chosen], return_inverse=True)
            counts[value] = n = len(names)
            if called is None or n == 0:
                continue
            wrong = np.bincount(code, called[chosen] != value) / np.bincount(code)
            k = ceil(float(wrong.sum()) - 1e-9)
            found |= {count: float(k), f"{name}_rate": float(wrong.mean())}
            if self.independent:
                found[f"{name}_upper"] = clopper_pearson_upper(k, n)
        if called is None:
            found = {"defective": float(counts[1]), "good": float(counts[0])}
            total = counts[0] + counts[1]
            found |= {"prevalence": counts[1] / total, "all_defective_f1": 2 * counts[1] / (total + counts[1])}
        return found
