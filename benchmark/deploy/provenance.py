"""What a model file says of itself, for people: what it is, how it decides, and where it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reshift.benchmark.deploy.model_file import MODEL_FILE, ModelFile, ModelFileError
from reshift.benchmark.deploy.model_folder import read_folder
from reshift.benchmark.deploy.onnx_file import read_onnx
from reshift.results.plan import canonical_json


def trace_lines(path: Path) -> list[str]:
    """Where a model folder or an exported file comes from, every hash in it checked; no model is built.

    Raises:
        ModelFileError: neither, or damaged.
    """
    model = read_onnx(path)[0] if path.suffix == ".onnx" else read_folder(folder_of(path))[0]
    data, run = model.data, model.run
    versions = ", ".join(f"{name} {version}" for name, version in sorted(run["versions"].items()))
    # Folds that were trained to compare before and after leave no record.
    cells = f"cells {', '.join(model.threshold['cells'])}" if model.threshold["cells"] else "folds of the comparison"
    return [
        f"{path}: whole, as it was written",
        f"  id        {model.id}",
        f"  weights   sha256 {model.weights['sha256']}, {model.weights['bytes']} bytes",
        f"  data      {data['name']}, fingerprint {data['fingerprint']}, {data['counts']['train_parts']} parts train",
        f"  code      revision {run['git'] or 'unknown (no checkout)'}; {model.use} {canonical_json(model.source)}",
        f"  versions  {versions}; {run['device']}, {run['started']}",
        f"  config    {canonical_json(model.identity)}",
        f"  seed      {model.seed}",
        f"  threshold {model.cut!r} on {model.threshold['score']}, from {cells}",
    ]


def folder_of(path: Path) -> Path:
    """The model folder that a path means: itself, or that of its `model.json`.

    Raises:
        ModelFileError: there is none.
    """
    folder = path.parent if path.name == MODEL_FILE else path
    if not folder.is_dir():
        raise ModelFileError(f"{path}: neither a folder of `reshift refit` nor an .onnx file; check the path")
    return folder


def model_lines(model: ModelFile, folder: Path) -> list[str]:
    """What came of it, for a terminal."""
    counts, threshold = model.data["counts"], model.threshold
    lines = [
        *comparison_lines(model.comparison),
        f"{model.model} had {counts['train_parts']} parts of {model.data['name']} to train on, {counts['val_parts']} "
        f"chose its state; seed {model.seed}",
        f"threshold {threshold['value']:.6g} on {threshold['score']}, from {threshold['good_parts']} good parts out of "
        f"fold; a part with a picture above it is rejected",
        f"expected ({model.expected['judged']}): {_said(model.expected)}",
    ]
    if model.validation:
        lines.append(f"this very model on the parts that chose its state: {_said(model.validation)}")
    return [*lines, f"{folder / MODEL_FILE}: id {model.id[:20]}; the folder holds {len(model.check)} pictures to check"]


def comparison_lines(comparison: dict[str, Any] | None) -> list[str]:
    """What the further data changed, nothing where there were none."""
    if comparison is None:
        return []
    lines = [f"before and after {comparison['new_parts']} new parts, on the same test parts of the same folds:"]
    for group, found in comparison["groups"].items():
        auroc = "" if found["auroc"] is None else "AUROC {:.3f} -> {:.3f}; ".format(*found["auroc"])
        lines += [
            f"  {group}: {auroc}before {_said(found['before'])}; after {_said(found['after'])}",
            f"    {found['mended']} verdicts mended, {found['spoiled']} spoiled (exact McNemar p = {found['p']:.2g})",
        ]
    return lines


def _said(outcome: dict[str, Any]) -> str:
    texts = []
    for name, words in (("escapes", "escapes"), ("false_rejects", "false rejects")):
        found = outcome[name]
        bound = "" if found["upper"] is None else f", at most {100 * found['upper']:.0f} %"
        texts.append(f"{words} {found['count']} of {found['of']}{bound}")
    return "; ".join(texts)
