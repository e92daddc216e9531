"""A model in use as a folder: `model.json`, its tensors beside it, and how both become a module again."""

from __future__ import annotations

import hashlib
import io
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reshift.benchmark.catalog import build, class_key, find_class, full_arguments
from reshift.benchmark.deploy.model_file import MODEL_FILE, WEIGHTS_FILE, ModelFile, ModelFileError, parse_model
from reshift.benchmark.world import MODELS
from reshift.models.base import InspectionModule, TrainingInfo

SUITE = re.compile(r"reshift\.models(\.\w+)+(?<!\.py):\w+")
"""Classes of the suite are opened by name; whatever else a model file names is a stranger's code, `reshift.models.x.py`
in the working folder too."""
_UNFIT = (AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError)
"""What a constructor and torch raise at arguments and tensors that a forger or another release wrote."""


def encode_weights(model: InspectionModule) -> bytes:
    """Every tensor of the state, the frozen network's too, so that a model needs nothing beside its folder."""
    buffer = io.BytesIO()
    torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}, buffer)
    return buffer.getvalue()


def weights_pointer(content: bytes) -> dict[str, Any]:
    """Length and sha256 of the tensors' file."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def read_folder(folder: Path) -> tuple[ModelFile, bytes]:
    """What a folder says and its tensors as bytes, both whole; nothing is built of them.

    Raises:
        ModelFileError: absent, altered or torn.
    """
    path = folder / MODEL_FILE
    try:
        model = parse_model(path.read_bytes(), str(path))
        content = (folder / WEIGHTS_FILE).read_bytes()
    except OSError as error:
        raise ModelFileError(f"{error.filename}: cannot be read ({error.strerror}); give a folder of refit") from error
    if weights_pointer(content) != model.weights:
        raise ModelFileError(f"{folder / WEIGHTS_FILE}: not the tensors that {MODEL_FILE} names; copy the folder again")
    return model, content


def read_model(folder: Path, device: torch.device, own: str = "") -> tuple[ModelFile, InspectionModule]:
    """The model of a folder, ready to score.

    Args:
        own: `file.py:Class` or `pkg.mod:Class` of a model that is not part of the suite. A model file alone never
            makes foreign code run: who opens it says which.

    Raises:
        ModelFileError: absent, altered, torn, of a class from outside that `own` does not give, made with another
            version of its class, or with tensors or arguments that do not fit it.
        LookupFailure: `own` is not to be found.
    """
    model, content = read_folder(folder)
    path = folder / MODEL_FILE
    if not SUITE.fullmatch(model.use) and not own:
        raise ModelFileError(
            f"{path}: {model.use} is not part of the suite, and opening it runs its author's code; if you trust it, "
            f"say where it is with --model-class FILE.py:CLASS"
        )
    cls = find_class(own or model.use, MODELS, InspectionModule)
    if class_key(cls) != model.source:
        raise ModelFileError(
            f"{path}: made by {_version(model.source)} of {model.use}, and this is {_version(class_key(cls))}; refit it"
        )
    try:
        module = build(cls, full_arguments(cls, model.args, str(path)))
        module.prepare(TrainingInfo(**{**model.info, "class_counts": tuple(model.info["class_counts"])}))
        state: dict[str, Tensor] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        module.load_state_dict(state)
    except _UNFIT as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelFileError(
            f"{path}: its arguments and tensors do not make the model it names ({type(error).__name__}: {reason}); "
            f"refit it"
        ) from error
    return model, module.to(device).eval()


def _version(key: Mapping[str, str]) -> str:
    return f"version {str(key['version'])[:80]}" if "version" in key else f"source {str(key.get('source'))[:12]}"
