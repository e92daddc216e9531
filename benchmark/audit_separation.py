"""Measures how well models find the wrong labels that a preset's protocols inject, and keeps what is measured."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import torch

from reshift.benchmark.audit import How, LabelAudit, auditing_models
from reshift.benchmark.world import Place, World
from reshift.datamodules.split_rows import NoRowsError
from reshift.refinement.suspicion import suspicion_quality
from reshift.results.atomic_write import write_atomically
from reshift.results.plan import canonical_json
from reshift.results.separation import Separation, read_separation, separations, write_separation
from reshift.splits.protocol import Split

SEPARATION_FILE, REQUEST_FILE = "separation.csv", "separation.json"


def measure_separation(world: World, folder: Path, *, folds: int, repeats: int, device: torch.device) -> Iterator[str]:
    """Yield a line a measurement while `separation.csv` grows in the folder; what it already holds is not done again.

    Every split of the preset whose observed training labels are wrong by design is audited by every model, in-sample
    and cross-fitted over parts and over images (parts only, where the model judges parts). Candidates are the labels
    that the noise could have touched: those observed as good under contamination, all under flips.

    Raises:
        ValueError: the folder holds measurements of another preset or of other folds; no split has wrong labels.
    """
    models = auditing_models(world)
    noisy = [
        (place, board.name, split)
        for place in world.places()
        for board in place.boards
        for split in board.splits
        if split.noise and set(split.train) & set(split.train_labels)
    ]
    if not noisy:
        raise ValueError("no split of this preset injects wrong labels; take protocols contamination or label_flips")
    _same_request(world, folder, folds, repeats)
    file = folder / SEPARATION_FILE
    lines = read_separation(file) if file.exists() else []
    for place, board, split in noisy:
        for name, (spec, cls) in models.items():
            if not any(fnmatch(board, pattern) for pattern in spec.protocols):
                continue
            ways: tuple[How, ...] = ("in-sample", "parts", "images") if cls.views == "one" else ("in-sample", "parts")
            done = {line.measurement for line in lines}
            left = [how for how in ways if (place.dataset.name, board, split.name, name, how) not in done]
            if not left:
                continue
            title = f"{place.dataset.name} {board}/{split.name} {name}"
            audit = LabelAudit(place.dataset, split, spec, cls, world.preset, device=device, title=title)
            for how in left:
                try:
                    found = _measured(audit, place, board, split, name, how, folds, repeats)
                except NoRowsError as reason:
                    yield f"skipped  {title} {how}: {reason}"
                    continue
                lines += found
                write_separation(file, lines)
                yield _line(found[0])


def _measured(
    audit: LabelAudit, place: Place, board: str, split: Split, name: str, how: How, folds: int, repeats: int
) -> list[Separation]:
    rows = audit.rows.set_index("sample")
    if split.noise["kind"] == "contamination":
        rows = rows[rows["observed_label"] == 0]
    rank = audit.judged(how, folds=folds, repeats=repeats)["rank"]
    wrong = (rows["label"] != rows["observed_label"]).astype(int)
    quality = suspicion_quality(
        {name: -float(rank[name]) for name in rows.index},
        dict(zip(rows.index, wrong.tolist(), strict=True)),
        dict(zip(rows.index, rows["component"], strict=True)),
    )
    rate = split.noise["rate"]
    assert isinstance(rate, int | float)
    return separations((place.dataset.name, board, split.name, name, how), float(rate), quality)


def _same_request(world: World, folder: Path, folds: int, repeats: int) -> None:
    """Measurements of two requests must not meet in one file: they would look alike."""
    request = canonical_json({"preset": world.preset.as_dict(), "folds": folds, "repeats": repeats}).encode()
    file = folder / REQUEST_FILE
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(file, request)
    elif file.read_bytes() != request:
        raise ValueError(
            f"{folder} holds measurements of another preset or other folds; give another folder with --out"
        )


def _line(found: Separation) -> str:
    figures = [f"{found.bad_injected} of {found.candidates} wrong"]
    for what, value in (
        ("separation", found.separation),
        ("precision at injected", found.precision_at_injected),
        ("at half", found.precision_at_half),
    ):
        figures += [f"{what} {value:.3f}"] if value is not None else []
    return f"{found.dataset} {found.protocol}/{found.split} {found.method} {found.how}: {', '.join(figures)}"
