"""Whether the synthetic parts measure shift and not artefacts: four gates, fixed before any model is compared."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from reshift.datamodules.image_file import read_image
from reshift.datamodules.progress import StderrProgress
from reshift.datamodules.synthetic_gearbox import SyntheticGearbox
from reshift.splits.unseen_component import UnseenComponent

FOLDS = 5
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


def statistics(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Per picture: mean, spread and percentiles of each colour, and of the grey levels' steps between pixels."""
    rows = []
    for picture in pictures:
        colours = picture.reshape(-1, 3).astype(np.float64)
        grey = picture.astype(np.float64).mean(2)
        steps = np.concatenate([np.abs(np.diff(grey, axis=axis)).ravel() for axis in (0, 1)])
        excess = colours[:, 0] - colours[:, 2]
        rows.append(
            np.concatenate(
                [
                    colours.mean(0),
                    colours.std(0),
                    np.percentile(grey, (1, 5, 25, 50, 75, 95, 99)),
                    np.percentile(excess, (1, 5, 50, 95, 99)),
                    [steps.mean(), steps.std()],
                    np.percentile(steps, (50, 75, 90, 99)),
                ]
            )
        )
    return np.stack(rows)


def probe(pictures: NDArray[np.uint8], table: pd.DataFrame) -> float:
    """Image AUROC from pixel statistics alone, out of part-disjoint folds: the better of a linear and a tree model."""
    features, labels = statistics(pictures), table["label"].to_numpy()
    best = 0.0
    for model in (
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        HistGradientBoostingClassifier(max_iter=100, random_state=0),
    ):
        scores = np.zeros(len(labels))
        for train, test in StratifiedGroupKFold(FOLDS).split(features, labels, table["part"]):
            scores[test] = model.fit(features[train], labels[train]).predict_proba(features[test])[:, 1]
        best = max(best, float(roc_auc_score(labels, scores)))
    return best


class SmallNetwork(nn.Module):
    """Five convolutions; mean and maximum over the picture, since a defect is a small place in it."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        shapes = ((6, 24, 5, 2), (24, 32, 3, 2), (32, 48, 3, 1), (48, 64, 3, 2), (64, 64, 3, 1))
        for inputs, outputs, side, stride in shapes:
            layers += [
                nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(128, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits, (B,), of (B, 3, H, W) pictures."""
        maps = self.features(pictures)
        logits: Tensor = self.head(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1))
        return logits.squeeze(1)


def train_network(pictures: Tensor, labels: Tensor, epochs: int, seed: int, what: str) -> SmallNetwork:
    """A small network from scratch on uint8 pictures (N, 3, H, W), with flips and quarter turns."""
    torch.manual_seed(seed)
    draw = torch.Generator().manual_seed(seed)
    model, batch = SmallNetwork(), 16
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.02)
    steps = epochs * (len(labels) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    progress = StderrProgress(what)
    for epoch in range(epochs):
        order = torch.randperm(len(labels), generator=draw)
        for start in range(0, len(order) - batch + 1, batch):
            chosen = order[start : start + batch]
            inputs = _scaled(pictures[chosen])
            turn = int(torch.randint(8, (), generator=draw))
            inputs = torch.rot90(inputs.flip(3) if turn >= 4 else inputs, turn % 4, (2, 3))
            loss = nn.functional.binary_cross_entropy_with_logits(model(inputs), labels[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        progress(epoch + 1, epochs)
    return model.eval()


def network_scores(model: SmallNetwork, pictures: Tensor) -> NDArray[np.float64]:
    """Logits of all pictures."""
    with torch.inference_mode():
        return np.concatenate([model(_scaled(piece)).double().numpy() for piece in torch.split(pictures, 64)])


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; returns 0 when all gates pass."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--folds", type=int, default=FOLDS, choices=range(1, FOLDS + 1))
    parser.add_argument("--components", nargs="+", default=["synchronizer_ring", "splined_shaft"])
    parser.add_argument("--root", help="where worlds are kept; by default the cache folder")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    given = parser.parse_args(arguments)
    chosen = Settings(given.images, given.seed, given.epochs, given.folds, tuple(given.components), given.root)
    gates, found = measure(chosen)
    print(f"{'gate':<42} {'measured':>8} {'target':>10}")
    for gate in gates:
        verdict = "pass" if gate.passed else "MISS"
        print(f"{gate.name:<42} {gate.measured:8.3f} {f'{gate.low:g}..{gate.high:g}':>10} {verdict}  {gate.about}")
    if given.out:
        rows = [
            {**asdict(gate), "measured": None if math.isnan(gate.measured) else gate.measured, "passed": gate.passed}
            for gate in gates
        ]
        settings = {key: value for key, value in asdict(chosen).items() if key != "root"}
        given.out.write_text(json.dumps({"settings": settings, "gates": rows, "auroc": found}, indent=2) + "\n")
    return 0 if all(gate.passed for gate in gates) else 1


def _scaled(pictures: Tensor) -> Tensor:
    # every picture to mean 0 and spread 1, and beside it what differs from the surroundings
    inputs = pictures.float()
    mean, spread = inputs.mean((1, 2, 3), keepdim=True), inputs.std((1, 2, 3), keepdim=True)
    inputs = (inputs - mean) / spread
    return torch.cat([inputs, 3 * (inputs - nn.functional.avg_pool2d(inputs, 9, 1, 4, count_include_pad=False))], dim=1)


if __name__ == "__main__":
    raise SystemExit(main())
