"""What people ask for in the same words at several commands: a preset with their data, a run, a device."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from reshift.benchmark.preset import DatasetSpec, ModelSpec, Preset, load_preset
from reshift.results.store import PLAN_FILE, RunStore

RUNS = Path("runs")


class UsageError(ValueError):
    """A request that cannot be met as asked; one line with the remedy."""


def add_source(parser: ArgumentParser) -> None:
    """The arguments that `preset_of` reads: which data, models, protocols and seeds."""
    parser.add_argument("--preset", type=str | None, default=None, help="a preset's name, or a YAML file")
    parser.add_argument("--manifest", type=Path | None, default=None, help="a CSV of one's own pictures")
    parser.add_argument("--dataset", type=str | None, default=None, help="a data set of `reshift list datasets`")
    parser.add_argument("--dataset-args", type=dict, default={}, help="its arguments, e.g. '{category: screw}'")
    parser.add_argument(
        "--corrections", type=Path | None, default=None, help="CSV sample,new_label,by,date: boards before and after"
    )
    parser.add_argument("--data-root", type=Path | None, default=None, help="folder of the preset's data set")
    parser.add_argument("--weights", type=str | None, default=None, help="backbone weights: hub, none, or a file")
    parser.add_argument("--models", nargs="+", default=[], help="only these rows of the preset, or file.py:Class")
    parser.add_argument("--protocols", nargs="+", default=[], help="only these boards of the preset")
    parser.add_argument("--seeds", nargs="+", type=int, default=[], help="instead of the preset's")
    parser.add_argument("--size", type=int | None, default=None, help="side of the pictures in pixels")
    parser.add_argument("--steps", type=int | None, default=None, help="optimiser steps")


def preset_of(args: Namespace) -> tuple[Preset, str]:
    """The preset that the arguments of `add_source` describe, and what a run of it is called.

    Raises:
        UsageError: nothing asked for, or no such protocol.
        PresetError: see `load_preset`.
    """
    if not (args.preset or args.manifest or args.dataset):
        raise UsageError(
            "give --preset NAME, --manifest CSV or --dataset NAME; `reshift list presets` and `reshift list datasets` "
            "show what there is"
        )
    # Preset manifest runs every protocol that the columns of any data set carry.
    preset, name = load_preset(args.preset or "manifest"), Path(args.preset or args.manifest or args.dataset).stem
    if args.dataset:
        preset = replace(preset, datasets=[DatasetSpec(_absolute(args.dataset), args.dataset_args)])
    if args.manifest:
        preset = replace(preset, datasets=[DatasetSpec("manifest", {"csv": str(args.manifest)})])
    if args.data_root:
        # Roots that a preset names lie below it: one folder may hold several data sets.
        below = [{**d.args, "root": str(args.data_root / d.args.get("root", ""))} for d in preset.datasets]
        preset = replace(preset, datasets=[replace(d, args=a) for d, a in zip(preset.datasets, below, strict=True)])
    if args.corrections:
        corrected = [replace(d, corrections=str(args.corrections)) for d in preset.datasets]
        preset = replace(preset, datasets=[*preset.datasets, *corrected])
    if args.models:
        preset = replace(preset, models=_chosen_models(preset, args.models))
    if args.protocols:
        known = {p.name or p.use: p for p in preset.protocols}
        for wanted in args.protocols:
            if wanted not in known:
                raise UsageError(f"no protocol {wanted!r} in this preset; it has {', '.join(known)}")
        preset = replace(preset, protocols=[known[w] for w in args.protocols])
    if args.weights:
        preset = replace(preset, models=[_with_weights(spec, args.weights) for spec in preset.models])
    chosen = {"seeds": args.seeds, "size": args.size, "steps": args.steps}
    return replace(preset, **{key: value for key, value in chosen.items() if value}), name


def run_path(run: str) -> Path:
    """The folder of a run given by its name under runs/ or by a path."""
    given = Path(run)
    # Not any folder of that name: pictures in `photos` and a run called `photos` after them are common.
    return given if (given / PLAN_FILE).exists() or len(given.parts) > 1 else RUNS / run


def run_store(run: str) -> RunStore:
    """The store of a run given by name or path; `UsageError` where there is none."""
    path = run_path(run)
    if not (path / PLAN_FILE).exists():
        raise UsageError(f"{run}: neither a run folder nor a name under {RUNS}/")
    return RunStore(path)


def device_of(wanted: str) -> str:
    """ "cpu" or "cuda" for "auto", "cpu" or "cuda"; `UsageError` for a GPU that is not there."""
    import torch

    device = wanted if wanted != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda, but torch sees no GPU; use --device cpu or auto")
    return device


def _with_weights(spec: ModelSpec, weights: str) -> ModelSpec:
    """The spec with these backbone weights, its ranker's included; models without a backbone stay."""

    def weighted(args: dict[str, Any]) -> dict[str, Any]:
        return {**args, "weights": weights} if "backbone" in args or "weights" in args else args

    search = spec.cross_fit
    if search and search.ranker:
        search = replace(search, ranker=replace(search.ranker, args=weighted(search.ranker.args)))
    return replace(spec, args=weighted(spec.args), cross_fit=search)


def _chosen_models(preset: Preset, wanted: Sequence[str]) -> list[ModelSpec]:
    rows = {m.name or m.use: m for m in preset.models}
    return [rows.get(name) or ModelSpec(use=_absolute(name)) for name in wanted]


def _absolute(name: str) -> str:
    """`file.py:Class` with an absolute path, since workers may stand elsewhere."""
    where, colon, cls = name.rpartition(":")
    return f"{Path(where).resolve()}:{cls}" if colon and where.endswith(".py") else name
