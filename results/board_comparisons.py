"""The rows of a board that compare: gaps to matched controls, and tiers among models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reshift.results.board_rows import MEAN, WORST, Row, Series
from reshift.results.clustered_auroc import Components, combine
from reshift.results.gap import Gap, gap
from reshift.results.metrics import ALL, MetricKey
from reshift.results.scored_units import Level
from reshift.results.statistics import normal_interval
from reshift.results.tiers import tiers


def gap_rows(series: Series, headline: Level) -> Iterator[Row]:
    """The gap of every shifted split that has controls, at the headline level; then mean and worst."""
    shifted = sorted({c.control_of for c in series.cells if c.control_of} & set(series.splits))
    key = MetricKey(ALL, headline, "gap", "")
    gaps: dict[str, Gap] = {}
    done_of_all, planned_of_all = 0, 0
    for split in shifted:
        names = [split, *sorted({c.split for c in series.cells if c.control_of == split})]
        planned, done = sum(len(series.seeds(n)) for n in names), sum(len(series.at(n)) for n in names)
        done_of_all, planned_of_all = done_of_all + done, planned_of_all + planned
        if done < planned:
            yield series.row(split, key, [], planned, frozenset(), present=done)
            continue
        tests = [
            {s: e.levels[headline].test for s in series.seeds(n) if headline in (e := series.found[n, s]).levels}
            for n in names
        ]
        if (found := gap(tests[0], tests[1:])) is not None:
            gaps[split] = found
            interval = normal_interval(combine(found.terms))
            values = list(found.by_seed.values())
            yield series.row(split, key, values, planned, found.parts, interval, present=planned)
    if done_of_all < planned_of_all:
        for name in (MEAN, WORST):
            yield series.row(name, key, [], planned_of_all, frozenset(), present=done_of_all)
    elif gaps:
        # A shift without a gap (too few parts in a half) is outside the mean; its absence shows among the splits.
        yield _mean_gap(series, key, gaps, planned_of_all)
        worst = max(gaps, key=lambda s: sum(gaps[s].by_seed.values()) / len(gaps[s].by_seed))
        values = list(gaps[worst].by_seed.values())
        interval = normal_interval(combine(gaps[worst].terms))
        yield series.row(WORST, key, values, planned_of_all, gaps[worst].parts, interval, present=planned_of_all)


def _mean_gap(series: Series, key: MetricKey, gaps: Mapping[str, Gap], planned: int) -> Row:
    terms = [(weight / len(gaps), part) for found in gaps.values() for weight, part in found.terms]
    seeds = sorted(set[int].intersection(*(set(found.by_seed) for found in gaps.values())))
    values = [sum(found.by_seed[s] for found in gaps.values()) / len(gaps) for s in seeds]
    parts = frozenset[str]().union(*(found.parts for found in gaps.values()))
    return series.row(MEAN, key, values, planned, parts, normal_interval(combine(terms)), present=planned)


def tier_rows(family: Sequence[Series], headline: Level) -> Iterator[Row]:
    """Tiers among the series that are complete and were tested on the same splits."""
    terms: dict[str, list[tuple[float, Components]]] = {}
    splits = {name for series in family for name in series.splits}
    for series in family:
        found = [e.components.get(headline) for e in series.everything]
        if series.complete and set(series.splits) == splits and found and all(found):
            terms[series.model] = [(1 / len(found), c) for c in found if c is not None]
    ranked = tiers(terms)
    for series in family:
        if series.model in ranked:
            planned = len(terms[series.model])
            parts = frozenset[str]().union(*(e.parts[ALL, headline] for e in series.everything))
            key = MetricKey(ALL, headline, "tier", "")
            yield series.row(MEAN, key, [float(ranked[series.model])], planned, parts, seeds=[], present=planned)
