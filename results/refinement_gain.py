"""What a method gains over the vanilla flow under contamination, split by split, and as a share of what truth gains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from reshift.results.contamination_auroc import BOARD, boards_in_order
from reshift.results.resampled_interval import corrected_ratio_interval, corrected_t_interval
from reshift.results.statistics import Interval

AIM = (0.1, 0.3)
"""Lowest and highest of the rates that are pooled."""


@dataclass(frozen=True)
class Yardstick:
    """Between which models a gain is measured; the defaults are their names on the boards.

    Attributes:
        baseline: keeps everything; gains are measured from it.
        oracles: know the injected noise; a rate's oracle is the one with the larger mean gain there.
    """

    baseline: str = "differnet"
    oracles: tuple[str, ...] = ("differnet_oracle", "differnet_oracle_negative")


@dataclass(frozen=True)
class MethodGain:
    """Paired gain in AUROC of one model on one board.

    Attributes:
        unit: what was injected, see `contamination_auroc.UNITS`.
        rate: of contamination; None pools the rates of `AIM`, each split's mean over rates first.
        splits: how many the mean is over.
        gain, interval: mean over splits, and its corrected 95 % interval; None for a single split.
        share, share_interval: of the oracle's gain, 1 = all of it; None where the interval of the oracle's own gain is
            not above zero, for there is nothing then to have a share of.
    """

    dataset: str
    unit: str
    rate: float | None
    model: str
    splits: int
    gain: float
    interval: Interval | None
    share: float | None
    share_interval: Interval | None


def split_gains(aurocs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Each split's AUROC less the baseline's on that split, both means over seeds.

    With the same seeds on both sides that is the mean of the differences seed by seed; a closed form, which has one
    seed, is paired with the baseline's mean.

    Args:
        aurocs: as `contamination_auroc.contamination_aurocs` gives them.

    Returns:
        Columns dataset, unit, rate, repeat, model (the baseline left out), gain, tested_share; boards on which the
        baseline is missing are left out.
    """
    split = [*BOARD, "repeat"]
    means = aurocs.groupby([*split, "model"], as_index=False, sort=False)[["auroc", "tested_share"]].mean()
    of_baseline = means.loc[means["model"] == baseline, [*split, "auroc"]]
    paired = means[means["model"] != baseline].merge(of_baseline, on=split, suffixes=("", "_baseline"))
    paired["gain"] = paired["auroc"] - paired["auroc_baseline"]
    return paired[[*split, "model", "gain", "tested_share"]]


def method_gains(gains: pd.DataFrame, yardstick: Yardstick) -> list[MethodGain]:
    """Every model's gain and its share of the oracle's, by data set, unit and rate, and over the rates of `AIM`.

    The oracle of the pooled rates is the mean of each rate's own. Taking the better of two by its mean favours the
    oracle, so shares err on the low side.

    Args:
        gains: as `split_gains` gives them.
    """
    found = []
    for dataset, unit in boards_in_order(gains):
        arm = gains[(gains["dataset"] == dataset) & (gains["unit"] == unit)]
        oracle = pd.concat([_oracle(at, yardstick.oracles) for _, at in arm.groupby("rate")])
        aimed = sorted(rate for rate in arm["rate"].unique() if AIM[0] <= rate <= AIM[1])
        for model, own in arm.groupby("model", sort=True):
            pooled = [None] if aimed and len(_by_repeat(own, aimed)) else []
            for rate in [*map(float, sorted(own["rate"].unique())), *pooled]:
                rates = aimed if rate is None else [rate]
                of_model, of_oracle = _by_repeat(own, rates), _by_repeat(oracle, rates)
                tested = float(own.loc[own["rate"].isin(rates), "tested_share"].mean())
                gain, interval = float(of_model.mean()), corrected_t_interval(of_model.tolist(), tested)
                shared = None
                if of_oracle.index.equals(of_model.index):
                    shared = corrected_ratio_interval(of_model.tolist(), of_oracle.tolist(), tested)
                share = None if shared is None else gain / float(of_oracle.mean())
                found.append(MethodGain(dataset, unit, rate, str(model), len(of_model), gain, interval, share, shared))
    return found


def _oracle(board: pd.DataFrame, oracles: Sequence[str]) -> pd.DataFrame:
    """The rows of the oracle with the larger mean gain; none where none was run."""
    means = board[board["model"].isin(oracles)].groupby("model")["gain"].mean()
    return board[board["model"] == means.idxmax()] if len(means) else board.iloc[:0]


def _by_repeat(gains: pd.DataFrame, rates: Sequence[float]) -> pd.Series[float]:
    """Mean over these rates for every split that has them all."""
    by_rate = gains.pivot(index="repeat", columns="rate", values="gain").reindex(columns=list(rates))
    return by_rate.dropna().mean(axis=1)
