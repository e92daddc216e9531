"""`model.json`: what a model in use is, how it decides, and where everything in it comes from."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from reshift.results.atomic_write import write_atomically
from reshift.results.plan import canonical_json

SCHEMA = 1
MODEL_FILE, WEIGHTS_FILE, ONNX_FILE = "model.json", "weights.pt", "model.onnx"
MOST_PIXELS = 8192
"""A side beyond this is no resized picture: 32 of them would not fit in memory."""
_LONGEST_NAME = 1000


class ModelFileError(ValueError):
    """A model file that cannot be trusted; one line: which file, what is wrong, what to do."""


@dataclass(frozen=True)
class ModelFile:
    """What `model.json` says.

    Attributes:
        model: the row of the boards it was.
        use: `pkg.mod:Class` or `file.py:Class`; opened by itself only where it is part of the suite, see `read_model`.
        source: `class_key` of the class: its version inside the suite, its source's hash outside.
        args: all arguments to build it with; backbone weights are "none", since they are among the tensors.
        info: `TrainingInfo` as plain values.
        identity: of the training, as a cell's: data fingerprint, arguments as given, budget, size, weights' hash.
        seed: of initialisation, order and augmentation.
        data: name, images and parts by role; `notes` of the data set.
        training, refinement: as in a record.
        run: device, versions, code revision, start, seconds.
        threshold: `value` and `score` (its name): above it a picture, or a part seen as a whole, is called defective;
            and how it was made, see `cross_fitted`.
        expected: escapes and false rejects out of fold, see `cross_fitted`.
        comparison: what further data changed, see `compare`; None where there were none.
        validation: escapes and false rejects of this very model on the parts that chose its state; None without.
        preprocessing: side in pixels, and in words how a file becomes an array.
        views: "one" picture at a time or "all" of a part; `view_names` are those of the training data, in order.
        map_scale: largest value of an anomaly map on the good check pictures; None without maps.
        check: pictures beside it, each with file, sha256, part, view, label and this model's score.
        weights: length and sha256 of the tensors' file.
    """

    model: str
    use: str
    source: dict[str, str]
    args: dict[str, Any]
    info: dict[str, Any]
    identity: dict[str, Any]
    seed: int
    data: dict[str, Any]
    training: dict[str, Any] | None
    refinement: dict[str, Any] | None
    run: dict[str, Any]
    threshold: dict[str, Any]
    expected: dict[str, Any]
    comparison: dict[str, Any] | None
    validation: dict[str, Any] | None
    preprocessing: dict[str, Any]
    views: Literal["one", "all"]
    view_names: list[str]
    map_scale: float | None
    check: list[dict[str, Any]]
    weights: dict[str, Any]

    @property
    def id(self) -> str:
        """Sha256 of all of it, the tensors' hash included: the model's name in every CSV it writes."""
        return hashlib.sha256(canonical_json(self.as_dict()).encode()).hexdigest()

    @property
    def size(self) -> int:
        """Side in pixels of the squares it sees."""
        return int(self.preprocessing["size"])

    @property
    def cut(self) -> float:
        """Scores above it are called defective."""
        return float(self.threshold["value"])

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as JSON gives them back."""
        plain: dict[str, Any] = json.loads(canonical_json(asdict(self)))
        return plain


def write_model_json(folder: Path, model: ModelFile, export: Mapping[str, Any] | None = None) -> None:
    """Write `model.json`, the tensors being there already; `export` is what was found when it was exported."""
    raw = {"schema": SCHEMA, "id": model.id, **model.as_dict(), **({"export": dict(export)} if export else {})}
    text = json.dumps(raw, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(folder / MODEL_FILE, text.encode())


def parse_model(text: str | bytes, where: str) -> ModelFile:
    """What a `model.json` says, checked against the id in it.

    Args:
        where: the file it is from, for messages.

    Raises:
        ModelFileError: no such JSON, another schema, or altered.
    """
    try:
        raw = json.loads(text)
        schema, stated = raw["schema"], raw["id"]
        if schema != SCHEMA:
            raise ModelFileError(
                f"{where}: schema {str(schema)[:80]} is not {SCHEMA}; refit the model with this release"
            )
        model = ModelFile(**{field.name: raw[field.name] for field in fields(ModelFile)})
        found = model.id
        _check_values(model)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, ModelFileError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise ModelFileError(f"{where}: not a model ({type(error).__name__}: {reason}); refit it") from error
    if found != stated:
        raise ModelFileError(f"{where}: its content does not have the id it states, so it was altered; refit the model")
    return model


def _check_values(model: ModelFile) -> None:
    """Raise where what scoring and printing rest on has another type or range: the id shows damage, not intent."""
    if not isinstance(model.preprocessing["size"], int) or not 0 < model.size <= MOST_PIXELS:
        raise ValueError(f"size {model.preprocessing['size']!r} is no side of 1 to {MOST_PIXELS} pixels")
    if isinstance(model.threshold["value"], str) or not math.isfinite(model.cut):
        raise ValueError(f"threshold {model.threshold['value']!r} is no finite number")
    if model.views not in ("one", "all") or not model.view_names:
        raise ValueError(f"views {model.views!r} with names {model.view_names!r}; 'one' or 'all' with a name is meant")
    known = {"fingerprint", "name", "counts"} <= model.data.keys() and "train_parts" in model.data["counts"]
    known &= {"git", "versions", "device", "started"} <= model.run.keys() and "score" in model.threshold
    lists = (model.check, model.view_names, model.threshold["cells"])
    typed = (
        isinstance(model.use, str)
        and len(model.use) <= _LONGEST_NAME
        and isinstance(model.source, dict)
        and all(isinstance(v, list) for v in lists)
    )
    if not known or not typed or not all(isinstance(cell, str) for cell in model.threshold["cells"]):
        raise ValueError("it does not say where it comes from")
