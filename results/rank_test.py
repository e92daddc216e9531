"""Whether models differ over several data sets: Friedman's test, mean ranks and Nemenyi's critical difference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import friedmanchisquare, rankdata, studentized_range

from reshift.results.board_rows import MEAN, Row
from reshift.results.csv_bytes import csv_bytes

MIN_BLOCKS = 6
MIN_MODELS = 3
COLUMNS = ("protocol", "model", "mean_rank", "models", "data_sets", "friedman_p", "critical_difference")


@dataclass(frozen=True)
class RankTest:
    """Ranks of models over blocks (Demsar, JMLR 2006); a block is a data set, its splits and seeds averaged first.

    Attributes:
        mean_ranks: by model, 1 = best on every block; ties share their mean.
        blocks: number of data sets.
        p: of Friedman's chi-square: how likely such ranks are if the models did not differ.
        critical_difference: mean ranks less than this apart are not separable at 5 % (Nemenyi).
    """

    mean_ranks: Mapping[str, float]
    blocks: int
    p: float
    critical_difference: float


def rank_test(values: Mapping[str, Mapping[str, float]]) -> RankTest | None:
    """Test over the models that have a value on every block; None below `MIN_BLOCKS` blocks or `MIN_MODELS` models.

    Args:
        values: by model and block, higher is better.
    """
    blocks = sorted(set().union(*values.values())) if values else []
    models = sorted(model for model, found in values.items() if len(found) == len(blocks))
    if len(blocks) < MIN_BLOCKS or len(models) < MIN_MODELS:
        return None
    table = np.array([[values[model][block] for model in models] for block in blocks])
    n, k = table.shape
    ranks = rankdata(-table, axis=1).mean(axis=0)
    quantile = float(studentized_range.ppf(0.95, k, np.inf)) / 2**0.5
    return RankTest(
        dict(zip(models, map(float, ranks), strict=True)),
        n,
        float(friedmanchisquare(*table.T).pvalue),
        quantile * (k * (k + 1) / (6 * n)) ** 0.5,
    )


def board_rank_tests(overall: Sequence[Row], models: Collection[str]) -> dict[str, RankTest]:
    """A test a protocol, on the mean AUROC of every data set.

    Args:
        models: who takes part, by name: the models of the plan, floors among them, but no second score of a model.
    """
    values: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in overall:
        if row.model in models and row.split == MEAN and row.metric == "auroc" and row.mean is not None:
            values[row.protocol][row.model][row.dataset] = row.mean
    tested = {protocol: rank_test(models) for protocol, models in sorted(values.items())}
    return {protocol: test for protocol, test in tested.items() if test is not None}


def rank_bytes(overall: Sequence[Row], models: Collection[str]) -> bytes | None:
    """`ranks.csv`, or None where no protocol has enough data sets."""
    lines = [
        (protocol, model, rank, len(test.mean_ranks), test.blocks, test.p, test.critical_difference)
        for protocol, test in board_rank_tests(overall, models).items()
        for model, rank in sorted(test.mean_ranks.items(), key=lambda item: (item[1], item[0]))
    ]
    return csv_bytes(COLUMNS, lines) if lines else None
