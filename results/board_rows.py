"""The rows of a board for one model on one protocol: splits, their mean, the worst of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reshift.results.evaluation import Evaluation
from reshift.results.metrics import ALL, WORSE, MetricKey
from reshift.results.plan import PlannedCell
from reshift.results.scored_units import Level
from reshift.results.statistics import Interval, auroc_part_interval, t_interval, variance_components

MEAN, WORST, POOLED = "mean", "worst", "pooled"
COUNTS = ("escapes", "false_rejects", "defective", "good", "tier")


@dataclass(frozen=True)
class Row:
    """One line of a board; None prints as nothing."""

    dataset: str
    model: str
    protocol: str
    split: str
    group: str
    level: Level
    metric: str
    threshold: str
    n_seeds: int
    n_parts: int | None
    mean: float | None
    seed_low: float | None
    seed_high: float | None
    part_low: float | None
    part_high: float | None
    coverage: str


@dataclass(frozen=True)
class Series:
    """All cells of one model (under one score) on one protocol of one data set.

    Attributes:
        protocol: as boards print it, marks included.
        cells: planned cells, those that do not apply left out.
        found: evaluations of the finished ones by (split, seed).
    """

    dataset: str
    model: str
    protocol: str
    cells: tuple[PlannedCell, ...]
    found: Mapping[tuple[str, int], Evaluation]

    @cached_property
    def splits(self) -> dict[str, tuple[int, ...]]:
        """Seeds by split, controls left out."""
        names = sorted({c.split for c in self.cells if not c.control_of})
        return {name: self.seeds(name) for name in names}

    @cached_property
    def _seeds(self) -> dict[str, tuple[int, ...]]:
        found: dict[str, list[int]] = {}
        for cell in self.cells:
            found.setdefault(cell.split, []).append(cell.seed)
        return {split: tuple(sorted(seeds)) for split, seeds in found.items()}

    def seeds(self, split: str) -> tuple[int, ...]:
        """Planned seeds of a split, ascending."""
        return self._seeds.get(split, ())

    def at(self, split: str) -> list[Evaluation]:
        """Finished evaluations of a split in the order of seeds."""
        return [self.found[split, s] for s in self.seeds(split) if (split, s) in self.found]

    @property
    def everything(self) -> list[Evaluation]:
        """Finished evaluations of all splits that are no controls."""
        return [e for split in self.splits for e in self.at(split)]

    def level(self, headline: Level) -> Level:
        """The board's headline level, or the only one this series has."""
        if all(headline in e.levels for e in self.everything):
            return headline
        return "image" if headline == "part" else "part"

    @property
    def complete(self) -> bool:
        """Whether every cell outside the controls is finished."""
        return len(self.everything) == sum(len(seeds) for seeds in self.splits.values())

    def row(
        self,
        split: str,
        key: MetricKey,
        values: Sequence[float],
        planned: int,
        parts: frozenset[str],
        interval: Interval | None = None,
        seeds: Sequence[float] | None = None,
        present: int | None = None,
    ) -> Row:
        """A row that is blank unless all planned values are there.

        Args:
            values: what the mean is taken of.
            seeds: what the interval over seeds is taken of, `values` unless given.
            present: number of finished cells behind the row, `len(values)` unless given.
        """
        seeds = values if seeds is None else seeds
        present = len(values) if present is None else present
        full = present == planned and len(values) > 0
        over_seeds = t_interval(seeds) if full and key.metric not in COUNTS else None
        seed_low, seed_high = _within(key.metric, over_seeds)
        part_low, part_high = _within(key.metric, interval if full else None)
        mean = float(np.mean(values)) if full else None
        return Row(
            self.dataset,
            self.model,
            self.protocol,
            split,
            key.group,
            key.level,
            key.metric,
            key.threshold,
            len(seeds),
            len(parts) or None,
            mean,
            seed_low,
            seed_high,
            part_low,
            part_high,
            f"{present}/{planned}",
        )


def split_rows(series: Series, headline: Level) -> Iterator[Row]:
    """A row a metric of every split, controls included: the mean over seeds.

    Args:
        headline: level of the row that stands for a split of which nothing is finished.
    """
    for split in sorted({c.split for c in series.cells}):
        evaluations, planned = series.at(split), len(series.seeds(split))
        keys = sorted({key for e in evaluations for key in e.metrics})
        if not any(key.group == ALL and key.metric == "auroc" for key in keys):
            keys.append(MetricKey(ALL, headline, "auroc", ""))
        for key in keys:
            values = [e.metrics[key] for e in evaluations if key in e.metrics]
            parts = frozenset[str]().union(*(e.parts[key.group, key.level] for e in evaluations))
            interval = None
            if key.metric == "auroc" and len(values) == planned and (key.group == ALL or key.level == headline):
                interval = auroc_part_interval([e.members[key.group, key.level] for e in evaluations])
            yield series.row(split, key, values, planned, parts, interval)


def protocol_rows(series: Series, by_split: Sequence[Row]) -> Iterator[Row]:
    """Mean over splits and worst split of every metric that has them; blank below full coverage.

    A metric of all units must exist on every split. A component or defect is averaged over the splits that test it.

    Args:
        by_split: what `split_rows` gave for this series.
    """
    rows = {(r.split, MetricKey(r.group, r.level, r.metric, r.threshold)): r for r in by_split}
    unfinished = [split for split, seeds in series.splits.items() if len(series.at(split)) < len(seeds)]
    for key in sorted({key for split, key in rows if split in series.splits and WORSE[key.metric]}):
        chosen = [s for s in series.splits if key.group == ALL or (s, key) in rows or s in unfinished]
        planned = sum(len(series.splits[s]) for s in chosen)
        evaluations = [e for s in chosen for e in series.at(s) if key in e.metrics]
        present, full = len(evaluations), len(evaluations) == planned
        parts = frozenset[str]().union(*(e.parts[key.group, key.level] for e in evaluations))
        means = [r.mean for s in chosen if (r := rows.get((s, key))) is not None and r.mean is not None]
        interval = None
        if full and key.metric == "auroc" and key.group == ALL:
            interval = auroc_part_interval([e.members[key.group, key.level] for e in evaluations])
        if not full:
            for name in (MEAN, WORST):
                yield series.row(name, key, [], planned, parts, present=present, seeds=[])
            continue
        yield series.row(MEAN, key, means, planned, parts, interval, _by_seed(series, chosen, key), present)
        if key.metric == "auroc" and key.group == ALL:
            yield from _spread_rows(series, key, planned, parts)
        worst = (max if WORSE[key.metric] == "high" else min)(chosen, key=lambda s: rows[s, key].mean or 0.0)
        row = rows[worst, key]
        yield Row(**{**vars(row), "split": WORST, "coverage": f"{present}/{planned}"})


def _spread_rows(series: Series, key: MetricKey, planned: int, parts: frozenset[str]) -> Iterator[Row]:
    """How much splits and seeds move the AUROC, where the two are crossed."""
    if len(set(series.splits.values())) != 1:
        return
    spread = variance_components([[e.metrics[key] for e in series.at(split)] for split in series.splits])
    for metric, value in zip(("auroc_sd_splits", "auroc_sd_seeds"), spread or (), strict=False):
        yield series.row(MEAN, key._replace(metric=metric), [value], planned, parts, seeds=[], present=planned)


def _by_seed(series: Series, splits: Sequence[str], key: MetricKey) -> list[float]:
    """The mean over splits for every seed; empty where splits have different seeds, which gives no interval."""
    seeds = {series.splits[s] for s in splits}
    if len(seeds) != 1:
        return []
    return [float(np.mean([series.found[s, seed].metrics[key] for s in splits])) for seed in seeds.pop()]


def _within(metric: str, interval: Interval | None) -> tuple[float | None, float | None]:
    """Clip to where the metric lives: at two seeds a t-interval easily leaves it."""
    if interval is None:
        return None, None
    low = -1.0 if metric == "gap" else 0.0
    return max(interval[0], low), min(interval[1], 1.0)
