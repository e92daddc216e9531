"""Hostile presets: YAML that grows, loops or names types, and values of every wrong kind."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any

import yaml

from reshift.benchmark.fuzz.mutation import damaged, replaced
from reshift.benchmark.fuzz.target import Target, Write, clear, put
from reshift.benchmark.preset import PresetError, load_preset

VALID = """
description: As small as a preset can be
datasets: [{use: manifest, args: {csv: parts.csv}, protocols: ["in_*"]}]
protocols: [{use: in_distribution, args: {folds: 2}, calibration: 0.1}]
models:
  - {use: size_brightness, seeds: [0]}
  - use: classifier
    args: &net {backbone: test_efficientnet, weights: none, lr: 0.003}
    refinement: {policy: {class_path: reshift.refinement.policies.KeepAll}, first: 0.5}
  - {name: again, use: classifier, args: *net, cross_fit: {use: remove, folds: 2, budget: 0.1}}
size: 32
seeds: [0]
steps: 8
"""
STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 10**30, 1e999, float("nan"), "", "text", "nan", "1e3", "0x10", "!!python/object:os.system", "*",
    "os.system", "../../etc/passwd", "file.py:Class", "\0", "\u202e", "x" * 5000, "[" * 3000, "{a: {b: c}}",
    "&a [*a]", [], [[]], [None], ["x", 1], {}, {"x": 1}, {1: 2},
    {"class_path": "os.system", "init_args": {"command": "id"}},
    {"class_path": "nowhere.Class"}, {"class_path": 3}, {"use": None}, {"use": "classifier", "args": []},
)  # fmt: skip


class Presets(Target):
    """`load_preset` on one YAML file."""

    name = "preset"
    refusals = (PresetError,)
    mention = "own.yaml"

    def __init__(self, folder: Any) -> None:
        super().__init__(folder)
        self.path = folder / "own.yaml"

    def read(self) -> object:
        return load_preset(str(self.path)).as_dict()

    def write_valid(self) -> None:
        put(self.path, VALID.encode())

    def write_random(self, draw: Random) -> None:
        if draw.random() < 0.5:
            put(self.path, damaged(VALID.encode(), draw))
            return
        raw = yaml.safe_load(VALID)
        for _ in range(draw.randint(1, 2)):
            raw = replaced(raw, draw, STRANGE)
        put(self.path, yaml.safe_dump(raw, allow_unicode=draw.random() < 0.5).encode())

    def hand_made(self) -> Sequence[Write]:
        doubled = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
        merged = "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12))
        texts = [
            "",
            "[]",
            "text",
            "\0",
            "a: &a [*a]\ndatasets: *a",
            "description: &a {self: *a}\n" + VALID,
            "a0: &a0 [1, 2]\n" + doubled + "datasets: *a11\n",
            "a0: &a0 {x: 1, y: 2}\n" + merged + "datasets: [*a11]\n",
            "description: !!python/object/apply:os.system [id]\n",
            "description: !!python/name:os.system\n",
            "description: !!binary '####'\n",
            "description: !own tag\n",
            "description: 2001-99-99\n",
            "steps: " + "9" * 5000,
            "steps: 0b" + "_" * 50,
            "steps: " + "1:" * 60_000 + "1",
            "? {a: b}\n: c",
            "? [a]\n: c",
            "a: b\n" * 2 + "--- \nb: c",
            "[" * 50_000,
            "{a: " * 2_000,
            "- " * 20_000,
            "a: |\n  " + "x" * 5_000_000,
            "".join(f"k{n}: {n}\n" for n in range(200_000)),
            VALID.replace("steps: 8", "steps: .nan"),
            VALID.replace("steps: 8", "steps: -8"),
            VALID + "partial: {models: [again], bounds: .nan}\n",
            VALID.replace("\n", "\r\n"),
            VALID.replace("\n", "\r"),
            VALID.replace("  ", "\t"),
        ]
        umlaut = VALID.replace("small", "kl\u00e4r")
        coded = [umlaut.encode(code) for code in ("latin-1", "utf-16", "utf-32", "utf-8-sig")]

        def folder() -> None:
            clear(self.path)
            self.path.mkdir()

        contents = [*(text.encode() for text in texts), *coded]
        return [*(partial(put, self.path, c) for c in contents), partial(clear, self.path), folder]
