"""`reshift monitor`: whether pictures that come in are still of the kind that a model was judged on."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from reshift.benchmark.cell_data import picture_features
from reshift.benchmark.deploy.evidence import EvidenceError, find_evidence
from reshift.benchmark.deploy.inspection import open_model, units_for
from reshift.benchmark.deploy.model_file import ModelFile
from reshift.benchmark.deploy.pictures import Readable, read_units
from reshift.benchmark.deploy.scorers import Scorer, TorchScorer
from reshift.benchmark.deploy.units import Unit
from reshift.benchmark.frozen_network import frozen_network
from reshift.benchmark.preset import preset_names
from reshift.benchmark.request import device_of, preset_of, run_store
from reshift.datamodules.dataset import DataError, Dataset
from reshift.datamodules.feature_cache import BATCH
from reshift.datamodules.image_source import ImageSource
from reshift.datamodules.progress import StderrProgress
from reshift.datamodules.rows import ABSENT
from reshift.results.drift_verdict import Observed, drift_lines, drift_tests
from reshift.results.scored_units import Floats
from reshift.results.scores_file import PREFIX
from reshift.results.store import RunStore
from reshift.splits.protocol import hash_order
from reshift.splits.samples import GOOD

_PURPOSE, _SEED = "monitor", 0


def monitor(args: Namespace) -> int:
    """Compare new pictures with the good parts of the run that a model was refitted from; 1 where re-training is due.

    Rejects are compared with those of good test parts, out of fold. Scores are compared with those of a baseline, which
    this very model scored; fold models' scores have another scale. Features of a frozen network are compared with those
    of the run's good parts. It is the model's own network where that is frozen: a trained one knows its training
    pictures, which no drift is needed to set apart from new ones.
    """
    store = run_store(args.reference)
    # A run is called after its preset unless somebody says otherwise.
    if not (args.preset or args.manifest or args.dataset) and store.path.name in preset_names():
        args.preset = store.path.name
    preset, _ = preset_of(args)
    device = torch.device(device_of(args.device))
    model, scorer = open_model(args.model, device, args.model_class)
    evidence = find_evidence(preset, store, model.model, model.data["name"], model.seed)
    if list(evidence.cells) != model.threshold["cells"]:
        raise EvidenceError(f"{args.model} was not refitted from {store.path}; give --reference the run it is from")
    if (model.views == "all") != (args.parts is not None):
        seen = "all pictures of a part together" if model.views == "all" else "one picture at a time"
        raise DataError(
            f"{model.model} looks at {seen}; --parts, a CSV with the columns image, part and view, says which belong "
            f"together: give it for models of whole parts, and only for those"
        )
    units = units_for(model, args.images, args.parts)
    network = frozen_network(preset, args.features) if args.features else _own_network(scorer)
    features = None if network is None else reference_features(evidence.dataset, model.size, network, device)
    before = baseline_scores(args.baseline, model) if args.baseline else reference_scores(store, model)
    reference = Observed(before, features)
    new = observed(units, model.size, scorer, network, device)
    tests = drift_tests(reference, new, model.cut, args.baseline is not None, _SEED)
    print("\n".join(drift_lines(tests, reference, new)))
    if args.baseline is None:
        print("scores    not compared: fold models gave the run's; --baseline takes a CSV of inspect by this model")
    if network is None:
        print("features  not compared: the model has no frozen network; --features takes that of a model of the preset")
    return int(any(test.drifted for test in tests))


def reference_scores(store: RunStore, model: ModelFile) -> Floats:
    """Scores (N,) of the good test parts of the folds a model's threshold is from; of single pictures one a part."""
    tested = [rows[rows["role"] == "test"] for _, rows in map(store.read, model.threshold["cells"])]
    drawn = _one_a_part(pd.concat(tested, ignore_index=True))
    return np.asarray(drawn[PREFIX + model.threshold["score"]], dtype=np.float64)


def baseline_scores(csv: Path, model: ModelFile) -> Floats:
    """Scores (N,) in a CSV of `reshift inspect`.

    Raises:
        DataError: unreadable, no such CSV, or another model's.
    """
    try:
        rows = pd.read_csv(csv, dtype={"model": str})
        scores, models = rows["score"].to_numpy(dtype=np.float64), set(rows["model"])
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{csv}: is no CSV of reshift inspect ({error}); give --baseline one") from error
    if models != {model.id}:
        raise DataError(f"{csv}: was not scored by this model, {model.id[:12]}; inspect those pictures again with it")
    return scores


def reference_features(dataset: Dataset, size: int, network: nn.Module, device: torch.device) -> Floats:
    """Features (N, D) of the good parts, of one picture each, drawn by hash."""
    progress = StderrProgress(f"{dataset.name}: features")
    features = picture_features(dataset, size, network, device, progress)
    drawn = _one_a_part(dataset.table.reset_index(drop=True))
    return np.asarray(features[drawn.index.to_numpy()], dtype=np.float64)


def observed(
    units: Sequence[Unit], size: int, scorer: Scorer, network: nn.Module | None, device: torch.device
) -> Observed:
    """Scores of units, and features of one picture of each, drawn by a seed; what cannot be read is named and left out.

    Units are taken for parts of their own.
    """
    scores, features = [np.empty(0)], []
    generator = np.random.default_rng(_SEED)
    progress = StderrProgress("new pictures")
    if network is not None:
        network.eval().to(device)
    for start in range(0, len(units), BATCH):
        found = read_units(units[start : start + BATCH], size)
        for error in found.errors.values():
            print("".join(c if c.isprintable() else "?" for c in " ".join(error.split())), file=sys.stderr)
        scores.append(scorer.scores(found.images, found.slots))
        if network is not None and found.units:
            features.append(_features(found, network, generator, device))
        progress(min(start + BATCH, len(units)), len(units))
    return Observed(np.concatenate(scores), np.concatenate(features) if features else None)


def _own_network(scorer: Scorer) -> nn.Module | None:
    return scorer.module.extractor() if isinstance(scorer, TorchScorer) else None


def _features(found: Readable, network: nn.Module, generator: np.random.Generator, device: torch.device) -> Floats:
    """Features (R, D) of a batch as `feature_cache` computes them: always as many pictures at once."""
    slots = np.array([[generator.choice(row[row != ABSENT])] for row in found.slots])
    image = ImageSource(found.images, None, None, _SEED).scoring(slots, 1)[:, 0]
    padded = image.new_zeros(BATCH, *image.shape[1:])
    padded[: len(image)] = image
    with torch.inference_mode():
        return network(padded.to(device))[: len(image)].double().cpu().numpy()  # type: ignore[no-any-return]


def _one_a_part(rows: pd.DataFrame) -> pd.DataFrame:
    """One row of each good part: several of one part would make chance look like a drift."""
    good = rows[rows.groupby("part")["label"].transform("max") == GOOD]
    order = {sample: place for place, sample in enumerate(hash_order(_SEED, _PURPOSE, good["sample"]))}
    return good.sort_values("sample", key=lambda samples: samples.map(order)).drop_duplicates("part")
