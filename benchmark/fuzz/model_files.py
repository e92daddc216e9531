"""Hostile model folders: damaged ones, and forged ones whose ids and hashes are right."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any

import torch

from reshift.benchmark.catalog import LookupFailure, class_key, full_arguments
from reshift.benchmark.deploy.model_file import MODEL_FILE, WEIGHTS_FILE, ModelFile, ModelFileError, write_model_json
from reshift.benchmark.deploy.model_folder import encode_weights, read_model, weights_pointer
from reshift.benchmark.deploy.provenance import trace_lines
from reshift.benchmark.fuzz.mutation import damaged, replaced
from reshift.benchmark.fuzz.records import STRANGE
from reshift.benchmark.fuzz.target import Target, Write, clear, put
from reshift.models.base import TrainingInfo
from reshift.models.classifier import Classifier
from reshift.results.plan import canonical_json

MORE = ("reshift.models.base:InspectionModule", "reshift.models.classifier:os", "reshift.models.x.py:Any", "os:system")


class ModelFiles(Target):
    """`read_model` and `trace_lines` on one folder."""

    name = "model"
    refusals = (ModelFileError, LookupFailure)

    def __init__(self, folder: Any) -> None:
        super().__init__(folder)
        self.root = folder / "model"
        self.root.mkdir()
        info: dict[str, Any] = {"steps": 1, "class_counts": [4, 4], "n_groups": 1, "n_views": 1, "size": 32}
        given: dict[str, Any] = {"backbone": "test_efficientnet", "weights": "none"}
        args = full_arguments(Classifier, given, "fuzz")
        module = Classifier(**given)
        module.prepare(TrainingInfo(**{**info, "class_counts": (4, 4)}))
        tensors = encode_weights(module)
        put(self.root / WEIGHTS_FILE, tensors)
        outcome = {"count": 0, "of": 4, "upper": None}
        model = ModelFile(
            model="classifier",
            use=f"{Classifier.__module__}:{Classifier.__qualname__}",
            source=class_key(Classifier),
            args=args,
            info=info,
            identity={"seed": 0},
            seed=0,
            data={"name": "toy", "fingerprint": "f", "counts": {"train_parts": 8}, "notes": []},
            training=None,
            refinement=None,
            run={"git": "", "versions": {"torch": "2"}, "device": "cpu", "started": "today"},
            threshold={"value": 0.5, "score": "score", "cells": []},
            expected={"escapes": outcome, "false_rejects": outcome, "judged": "parts"},
            comparison=None,
            validation=None,
            preprocessing={"size": 32},
            views="one",
            view_names=["v0"],
            map_scale=None,
            check=[],
            weights=weights_pointer(tensors),
        )
        write_model_json(self.root, model)
        self.files = {name: (self.root / name).read_bytes() for name in (MODEL_FILE, WEIGHTS_FILE)}

    def read(self) -> object:
        return read_model(self.root, torch.device("cpu")), trace_lines(self.root)

    def write_valid(self) -> None:
        for name, content in self.files.items():
            put(self.root / name, content)

    def write_random(self, draw: Random) -> None:
        self.write_valid()
        kind = draw.randrange(3)
        if kind == 0:
            name = draw.choice(sorted(self.files))
            put(self.root / name, damaged(self.files[name], draw))
        elif kind == 1:
            self._forge(replaced(json.loads(self.files[MODEL_FILE]), draw, (*STRANGE, *MORE)))
        else:
            self._forge_tensors(damaged(self.files[WEIGHTS_FILE], draw))

    def hand_made(self) -> Sequence[Write]:
        def content(name: str, content: bytes) -> None:
            self.write_valid()
            put(self.root / name, content)

        def tensors(content: bytes) -> None:
            self.write_valid()
            self._forge_tensors(content)

        def use(name: str) -> None:
            self.write_valid()
            self._forge({**json.loads(self.files[MODEL_FILE]), "use": name})

        def folder(name: str) -> None:
            self.write_valid()
            clear(self.root / name)
            (self.root / name).mkdir()

        texts = [b"", b"null", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"schema": ' + b"9" * 5000 + b"}"]
        return [
            *(partial(content, MODEL_FILE, text) for text in texts),
            *(partial(folder, name) for name in self.files),
            *(partial(tensors, text) for text in (b"", b"\x80\x02N.", b"\x80\x04\x95" + b"\xff" * 8, b"PK\x03\x04")),
            *(partial(use, name) for name in MORE),
        ]

    def _forge(self, raw: Any) -> None:
        """A `model.json` of this content with the id that belongs to it."""
        if isinstance(raw, dict):
            plain = {key: value for key, value in raw.items() if key not in ("schema", "id", "export")}
            try:
                raw["id"] = hashlib.sha256(canonical_json(plain).encode()).hexdigest()
            except (ValueError, UnicodeError):
                raw["id"] = ""
        put(self.root / MODEL_FILE, json.dumps(raw).encode())

    def _forge_tensors(self, content: bytes) -> None:
        put(self.root / WEIGHTS_FILE, content)
        self._forge({**json.loads(self.files[MODEL_FILE]), "weights": weights_pointer(content)})
