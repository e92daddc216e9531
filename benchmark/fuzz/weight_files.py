"""Hostile backbone weights, as `.pth` and as `.safetensors`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any

import torch
from safetensors.torch import save

from reshift.benchmark.fuzz.mutation import damaged
from reshift.benchmark.fuzz.target import Target, Write, clear, put
from reshift.models.backbone import Backbone

NETWORK = "test_efficientnet"


class WeightFiles(Target):
    """`Backbone` with a file of weights of its own."""

    name = "weights"
    refusals = (ValueError, FileNotFoundError)
    mention = "weights"

    def __init__(self, folder: Any) -> None:
        super().__init__(folder)
        network = Backbone(NETWORK, weights="none").network
        state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        self.paths = {form: folder / f"weights.{form}" for form in ("pth", "safetensors")}
        torch.save(state, self.paths["pth"])
        put(self.paths["safetensors"], save(state))
        self.valid = {form: path.read_bytes() for form, path in self.paths.items()}
        self.form = "pth"

    def read(self) -> object:
        return Backbone(NETWORK, weights=str(self.paths[self.form])).weights_hash

    def write_valid(self) -> None:
        self._put("pth", self.valid["pth"])

    def write_random(self, draw: Random) -> None:
        form = draw.choice(sorted(self.valid))
        content = self.valid[form]
        cut = draw.choice((len(content), 4096))
        # The head holds names, types and lengths; the rest are numbers, of which any are weights.
        self._put(form, damaged(content[:cut], draw) + content[cut:])

    def hand_made(self) -> Sequence[Write]:
        def gone() -> None:
            self.form = "pth"
            clear(self.paths["pth"])

        claims = {"x": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}
        head = json.dumps(claims).encode()
        return [
            *(partial(self._put, form, content) for form in self.valid for content in (b"", b"\0" * 64, b"text")),
            partial(self._put, "safetensors", len(head).to_bytes(8, "little") + head),
            partial(self._put, "safetensors", (1 << 60).to_bytes(8, "little")),
            partial(self._put, "pth", b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R."),
            gone,
        ]

    def _put(self, form: str, content: bytes) -> None:
        self.form = form
        put(self.paths[form], content)
