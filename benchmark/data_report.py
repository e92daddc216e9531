"""What `reshift check-data` says of a data set: its pictures, its columns, its splits, and what leaks across them."""

from __future__ import annotations

import torch

from reshift.benchmark.cell_data import picture_features
from reshift.benchmark.frozen_network import frozen_network
from reshift.benchmark.world import Place, World
from reshift.datamodules.check_data import check_data
from reshift.datamodules.near_duplicates import NearDuplicates, alike_by_features, alike_by_hash
from reshift.datamodules.progress import StderrProgress
from reshift.datamodules.survey import survey_pictures
from reshift.splits.leaks import find_leaks, leak_lines


def data_report(place: Place, world: World, features: str | None = None) -> list[str]:
    """Lines for a person; those that ask for attention start with "WARNING: ".

    Args:
        features: model of the preset whose frozen features pictures are compared by, beside their perceptual hash.

    Raises:
        LookupFailure: no such model in the preset, or one without frozen features.
    """
    dataset, size = place.dataset, world.preset.size
    survey = survey_pictures(dataset, StderrProgress(f"{dataset.name}: pictures"))
    near = [alike_by_hash(dataset, survey)]
    if features and not survey.unreadable:
        near.append(_alike_by_network(place, world, features))
    lines = check_data(dataset, size, survey=survey, near=near)
    pairs = {pair for measure in near for pair in measure.pairs}
    for board in place.boards:
        for split in board.splits:
            sizes = f"train {len(split.train)}, val {len(split.val)}, test {len(split.test)}, dropped {split.dropped}"
            broken = f" [breaks: {', '.join(split.breaks)}]" if split.breaks else ""
            lines.append(f"split    {board.name}/{split.name}: {sizes}{broken}")
            lines += leak_lines(split, find_leaks(split, dataset.table, pairs))
    return lines + [f"skipped  {name}: {reason}" for name, reason in place.skipped]


def _alike_by_network(place: Place, world: World, wanted: str) -> NearDuplicates:
    extractor = frozen_network(world.preset, wanted)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    progress = StderrProgress(f"{place.dataset.name}: features")
    features = picture_features(place.dataset, world.preset.size, extractor, device, progress)
    return alike_by_features(place.dataset, features, wanted)
