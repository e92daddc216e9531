"""A logistic probe on frozen features, fitted again without the labels that confident learning finds wrong."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from cleanlab.count import compute_confident_joint
from cleanlab.filter import find_label_issues
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold
from torch import Tensor
from torch.utils.data import DataLoader

from reshift.losses.weighted_cross_entropy import corrected_label
from reshift.models.base import Batch
from reshift.models.frozen_probes import LogisticProbe
from reshift.models.logistic import StandardisedLogistic


class ConfidentLearning(LogisticProbe):
    """Confident learning: a logistic regression without the labels that look wrong (Northcutt et al. 2021).

    After Northcutt, Jiang and Chuang (JAIR 2021), by their package cleanlab, around `LogisticProbe`. Probabilities of
    every training row come from folds that did not hold it. Rows whose probability of a class exceeds that class's mean
    self-confidence are counted into the joint of observed and true labels (eq. 1 and 2); "prune by noise rate", the
    package's default, sets as many rows aside as the joint says are wrong, and the probe is fitted on the rest. As in
    the paper each class is weighed up for what it lost, by 1 / P(observed = k | true = k).

    Folds are over rows, because a model knows no parts. Sibling views of a part then lie on both sides, and features
    that recognise the part can vouch for a wrong label that all its views share. The folds do not depend on the seed.
    At least one row of each class stays. Known bad rows (negative weight) are never set aside.

    Args:
        folds: at least 2; fewer where a class has fewer rows. 5 is cleanlab's default.
        probe: all arguments of `LogisticProbe`.
    """

    name: ClassVar[str] = "confident_learning"

    def __init__(self, *, folds: int = 5, **probe: Any) -> None:
        super().__init__(**probe)
        if folds < 2:
            raise ValueError(f"folds of confident learning are {folds}, must be at least 2")
        self.folds = folds

    def fit(self, loader: DataLoader[Batch]) -> None:
        """As the contract has it.

        Raises:
            ValueError: a class has fewer than two rows, so that no fold could be predicted without it.
        """
        batches = [(batch["feature"], batch["label"], batch["weight"]) for batch in loader]
        feature, label, weight = (torch.cat(column).cpu() for column in zip(*batches, strict=True))
        known_bad = weight < 0
        label, weight = corrected_label(label, weight), weight.abs()
        observed, probability = label.numpy(), self._out_of_sample(feature, label, weight)
        joint = compute_confident_joint(observed, probability)
        # One process: cleanlab starts one per class otherwise, and a worker of the benchmark must not.
        wrong = find_label_issues(
            observed, probability, confident_joint=joint, filter_by="prune_by_noise_rate", n_jobs=1
        )
        kept = torch.from_numpy(~wrong) | known_bad
        lost = torch.from_numpy(joint.sum(axis=0) / joint.diagonal()).to(weight)
        self.logistic.fit([(feature[kept], label[kept], (weight * lost[label])[kept])])

    def _out_of_sample(self, feature: Tensor, label: Tensor, weight: Tensor) -> NDArray[np.float64]:
        """Probability of (good, defective) by a probe that was fitted without the row, (N, 2)."""
        good, defective = torch.bincount(label, minlength=2).tolist()
        rarest = min(good, defective)
        if rarest < 2:
            counts = f"there are {good} good and {defective} defective"
            raise ValueError(f"confident learning needs two rows of each class to cross-validate, {counts}")
        probability = np.empty((len(label), 2))
        splitter = StratifiedKFold(min(self.folds, rarest), shuffle=True, random_state=0)
        for fitted, held_out in splitter.split(label, label):
            probe = StandardisedLogistic(feature.shape[1], self.logistic.inverse_penalty)
            probe.fit([(feature[fitted], label[fitted], weight[fitted])])
            probability[held_out, 1] = probe.score(feature[held_out])["probability"].numpy()
        probability[:, 0] = 1 - probability[:, 1]
        return probability
