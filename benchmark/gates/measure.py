"""The four gates, measured on one world with part-disjoint folds and matched controls."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from reshift.benchmark.gates.small_network import network_scores, train_network
from reshift.benchmark.gates.statistics_probe import FOLDS, probe
from reshift.datamodules.image_file import read_image
from reshift.datamodules.synthetic_gearbox import SyntheticGearbox
from reshift.splits.unseen_component import UnseenComponent

VIEWS = 5
LEAST_LOSS = 0.02
"""AUROC that the shifted model must lose before a share of it can be stated."""


Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Settings:
    """How much is measured: pictures, folds of the in-distribution gate (of five), components held out in turn."""

    images: int
    seed: int
    epochs: int
    folds: int
    components: tuple[str, ...]
    root: str | None


@dataclass(frozen=True)
class Gate:
    """One gate: what was measured, on how much, and the range it must fall into."""

    name: str
    measured: float
    low: float
    high: float
    about: str

    @property
    def passed(self) -> bool:
        """Whether the measured value lies in the range, ends included; nothing measured never passes."""
        return bool(self.low <= self.measured <= self.high)


def measure(chosen: Settings) -> tuple[list[Gate], dict[str, float]]:
    """All gates on a world of about `images` pictures, and the AUROCs behind them."""
    parts, seed = chosen.images // VIEWS, chosen.seed
    data = SyntheticGearbox(root=chosen.root, parts=parts, views=VIEWS, seed=seed).read()
    table = data.table
    pixels = np.stack([read_image(data.root / sample) for sample in table["sample"]])
    pictures = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    labels = table["label"].to_numpy()

    def scores_of(train: Rows, test: Rows, what: str) -> NDArray[np.float64]:
        model = train_network(pictures[train], torch.from_numpy(labels[train]).float(), chosen.epochs, seed, what)
        return network_scores(model, pictures[test])

    found = {"prevalence": float(labels.mean()), "probe": probe(pixels, table)}
    folds = list(StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(labels, labels, table["part"]))
    home = np.full(len(labels), np.nan)  # out-of-fold ranks, which are comparable between folds
    within = []
    for number, (train, test) in enumerate(folds[: chosen.folds]):
        scores = scores_of(train, test, f"in-distribution {number + 1}/{chosen.folds}")
        within.append(float(roc_auc_score(labels[test], scores)))
        print(f"in-distribution, fold {number + 1}: {within[-1]:.3f}", file=sys.stderr, flush=True)
        home[test] = rankdata(scores) / len(scores)
    found["in_distribution"] = float(np.mean(within))
    gaps, shares = [], []
    for component in chosen.components:
        own = (table["component"] == component).to_numpy() & ~np.isnan(home)
        control, shifted = _component(component, table, labels, seed, scores_of)
        base = float(roc_auc_score(labels[own], home[own]))
        found |= {f"{component}/home": base, f"{component}/control": control, f"{component}/shifted": shifted}
        print(
            f"{component}: home {base:.3f}, control {control:.3f}, shifted {shifted:.3f}", file=sys.stderr, flush=True
        )
        gaps.append(control - shifted)
        # without a loss there is nothing to win back: no share, and the gate is missed
        shares.append((control - shifted) / (base - shifted) if base - shifted >= LEAST_LOSS else float("nan"))
    names = ", ".join(chosen.components)
    return [
        Gate("pixel statistics, image AUROC", found["probe"], 0.0, 0.55, "better of a linear and a tree probe"),
        Gate("small network, in-distribution AUROC", found["in_distribution"], 0.80, 0.92, f"{len(within)} folds"),
        Gate("gap to the matched control", float(np.mean(gaps)), 0.08, 1.0, names),
        Gate(
            "share of the loss the control wins back", float(np.mean(shares)), 0.5, 9.0, "of in-distribution - shifted"
        ),
    ], found


def _component(
    component: str,
    table: pd.DataFrame,
    labels: NDArray[np.int64],
    seed: int,
    scores_of: Callable[..., NDArray[np.float64]],
) -> tuple[float, float]:
    # AUROC of control and of shifted model, each the mean over the two halves of the component's parts
    position = {sample: row for row, sample in enumerate(table["sample"])}
    trains: dict[str, Rows] = {}
    tests: dict[str, Rows] = {}
    for split in UnseenComponent(values=(component,)).splits(table, seed):
        trains[split.name] = np.array([position[sample] for sample in split.train + split.val])
        tests[split.name] = np.array([position[sample] for sample in split.test])
    name = f"component={component}"
    shifted = np.full(len(table), np.nan)
    shifted[tests[name]] = scores_of(trains[name], tests[name], name)
    pairs = []
    for half in (f"{name}/control=a", f"{name}/control=b"):
        rows = tests[half]
        control = roc_auc_score(labels[rows], scores_of(trains[half], rows, half))
        pairs.append((float(control), float(roc_auc_score(labels[rows], shifted[rows]))))
    return float(np.mean([pair[0] for pair in pairs])), float(np.mean([pair[1] for pair in pairs]))
