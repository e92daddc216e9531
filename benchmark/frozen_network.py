"""The frozen network of a model of a preset, to compare pictures by."""

from __future__ import annotations

import torch
from torch import nn

from reshift.benchmark.catalog import LookupFailure, build, full_arguments
from reshift.benchmark.preset import Preset
from reshift.benchmark.world import World


def frozen_network(preset: Preset, wanted: str) -> nn.Module:
    """Built from its weights, those that are random from seed 0.

    Args:
        wanted: the model, as boards call it and as `--features` gave it.

    Raises:
        LookupFailure: no such model in the preset, or one without a frozen network.
    """
    rows = {name: (spec, cls) for name, spec, cls in World(preset).models()}
    if wanted not in rows:
        raise LookupFailure(f"--features {wanted}: this preset has {', '.join(rows)}")
    spec, cls = rows[wanted]
    torch.manual_seed(0)
    network = build(cls, full_arguments(cls, spec.args, f"model {wanted}")).extractor()
    if network is None:
        raise LookupFailure(f"--features {wanted}: this model has no frozen network; take one such as gaussian")
    return network
