"""The classifier trained for its worst group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from reshift.losses.group_dro import group_dro
from reshift.models.base import Batch
from reshift.models.classifier import Classifier
from reshift.models.search_space import LogUniform, Range


class GroupDRO(Classifier):
    """Group DRO: a classifier trained for its worst component and product line (Sagawa et al. 2020).

    Online, Algorithm 1 (ICLR 2020), on the groups of `batch["group"]`. Those are component x transmission, as
    DomainBed's groups are domains; the paper's also cross the label. Rows are drawn evenly over the training set, not
    over the groups. Each group's loss is the classifier's on its rows; rows of group -1 take no part. With a single
    training group this is ERM, the classifier.

    Args:
        step_size: eta of the group weights; 0.01 in the authors' code and in DomainBed.
        classifier: all arguments of `Classifier`.
    """

    name: ClassVar[str] = "group_dro"
    space: ClassVar[Mapping[str, Range]] = {**Classifier.space, "step_size": LogUniform(1e-3, 1e-1)}

    def __init__(self, *, step_size: float = 0.01, **classifier: Any) -> None:
        super().__init__(**classifier)
        self.step_size = step_size
        self.group_weight: Tensor
        # Empty until the first batch: how many groups there are is not known before `prepare`.
        self.register_buffer("group_weight", torch.empty(0))
        self.register_load_state_dict_pre_hook(_take_number_of_groups)  # type: ignore[no-untyped-call]

    def loss(self, embedding: Tensor, batch: Batch) -> Tensor:
        """The robust loss, shape (); the group weights move with every call.

        Raises:
            ValueError: no row of the batch belongs to a group.
        """
        groups = torch.unique(batch["group"])
        groups = groups[groups >= 0]
        if len(groups) == 0:
            raise ValueError("group_dro: batch['group'] is -1 throughout; training batches need a group per row")
        if len(self.group_weight) == 0:
            self.group_weight = embedding.new_full((self.info.n_groups,), 1 / self.info.n_groups, dtype=torch.float32)
        losses = []
        for group in groups:
            rows = batch["group"] == group
            members = {key: batch[key][rows] for key in ("label", "weight")}
            losses.append(super().loss(embedding[rows], members))
        loss, self.group_weight = group_dro(torch.stack(losses), groups, self.group_weight, self.step_size)
        return loss


def _take_number_of_groups(module: GroupDRO, state: dict[str, Any], prefix: str, *_: Any) -> None:
    stored = state.get(f"{prefix}group_weight")
    if stored is not None:
        module.group_weight = module.group_weight.new_empty(stored.shape)
