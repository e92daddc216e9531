"""Writes a model folder as an ONNX file that holds threshold, preprocessing and provenance, and checks it."""

from __future__ import annotations

import hashlib
import logging
import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reshift.benchmark.deploy.check_pictures import check_units
from reshift.benchmark.deploy.model_file import (
    ONNX_FILE,
    ModelFile,
    write_model_json,
)
from reshift.benchmark.deploy.model_folder import read_model
from reshift.benchmark.deploy.onnx_file import MISSING, with_metadata
from reshift.benchmark.deploy.pictures import read_units
from reshift.benchmark.deploy.scorers import OnnxScorer, torch_scorer
from reshift.models.base import InspectionModule
from reshift.results.atomic_write import write_atomically

OPSET = 18
TOLERANCE = 1e-4
"""Largest difference of a score from torch's, relative to the largest score of the check pictures."""

_ABLE = "classifier, contrastive_classifier, logistic_probe, gaussian, padim and fastflow can be exported"


class ExportError(ValueError):
    """A model that cannot be written as one graph, or whose graph gives other scores; one line."""


class _Graph(nn.Module):
    """Squares of pixels, uint8 (B, S, S, 3) RGB, to headline scores (B,), the frozen network included."""

    def __init__(self, module: InspectionModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, pixels: Tensor) -> Tensor:
        image = pixels.permute(0, 3, 1, 2).float() / 255
        extractor = self.module.extractor()
        batch = {"image": image} if extractor is None else {"feature": extractor(image)}
        found = self.module.score(batch)
        score: Tensor = next(iter(found.values())) if isinstance(found, dict) else found
        return score.float()


def export(folder: Path, own: str = "") -> dict[str, Any]:
    """Write `model.onnx` beside `model.json`, and into the latter what the check of it found.

    Args:
        own: see `read_model`.

    Returns:
        `file`, `sha256`, `opset`, `pictures`, `max_difference`, `relative_difference` and versions.

    Raises:
        ExportError: a model that draws copies or sees parts as a whole, one that torch cannot trace, or scores or
            decisions on the check pictures that are not torch's.
        ModelFileError: see `read_model` and `check_units`.
        RuntimeError: the packages of the extra `export` are not installed.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript
    except ImportError as error:
        raise RuntimeError(f"export {MISSING}") from error
    device = torch.device("cpu")
    model, module = read_model(folder, device, own)
    _refuse(model, module)
    content = with_metadata(_traced(model, module), model)
    units, stated = check_units(model, folder)
    read = read_units(units, model.size)
    images, slots = read.images, read.slots
    theirs = torch_scorer(model, module, device).scores(images, slots)
    try:
        scorer = OnnxScorer(content)
        # One by one too: a graph whose batch is not free shows here.
        ours = np.concatenate([scorer.scores(images, slots), *(scorer.scores(images, slot[None]) for slot in slots)])
    except Exception as error:  # onnxruntime's errors share no base of their own
        raise ExportError(f"{model.model}: the exported graph does not run ({_brief(error)}); {_ABLE}") from error
    compared = np.concatenate([theirs, theirs])
    difference = float(np.abs(ours - compared).max())
    relative = difference / max(float(np.abs(theirs).max()), float(np.finfo(np.float32).tiny))
    if not relative <= TOLERANCE or ((ours > model.cut) != (compared > model.cut)).any():
        raise ExportError(
            f"{folder}: the exported graph gives scores up to {difference:.3g} away from torch's, {relative:.1e} of "
            f"the largest, and {TOLERANCE:.0e} is allowed; use the folder itself, `reshift inspect {folder} IMAGES`"
        )
    write_atomically(folder / ONNX_FILE, content)
    found = {
        "file": ONNX_FILE,
        "sha256": hashlib.sha256(content).hexdigest(),
        "opset": OPSET,
        "pictures": len(units),
        "max_difference": difference,
        "relative_difference": relative,
        "from_stated": float(np.abs(theirs - stated).max()),
        "versions": {package.__name__: package.__version__ for package in (onnx, onnxruntime, onnxscript)},
    }
    write_model_json(folder, model, found)
    return found


def _refuse(model: ModelFile, module: InspectionModule) -> None:
    if module.views == "all":
        raise ExportError(f"{model.model} sees all views of a part at once, which a graph of pictures cannot; {_ABLE}")
    if module.score_copies > 1:
        raise ExportError(
            f"{model.model} averages its score over {module.score_copies} drawn transforms of a picture, and a graph "
            f"draws none; its threshold does not hold for one of them alone; {_ABLE}"
        )


def _traced(model: ModelFile, module: InspectionModule) -> Any:
    pixels = torch.zeros(2, model.size, model.size, 3, dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1)
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                _Graph(module).eval(),
                (pixels,),
                dynamo=True,
                opset_version=OPSET,
                input_names=["pixels"],
                output_names=["score"],
                dynamic_shapes={"pixels": {0: batch}},
                verbose=False,
            )
        assert program is not None
        return program.model_proto
    except Exception as error:
        # Whatever a model does that has no ONNX operator or fixes the batch, in torch's many ways to say so.
        raise ExportError(f"{model.model} cannot be traced ({_brief(error.__cause__ or error)}); {_ABLE}") from error


def _brief(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
