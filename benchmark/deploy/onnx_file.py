"""An exported model: a graph from pixels to scores, and metadata that say what it is and how to decide."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from reshift.benchmark.deploy.model_file import SCHEMA, ModelFile, ModelFileError, parse_model
from reshift.benchmark.deploy.scorers import OnnxScorer

MISSING = "needs the packages onnx, onnxruntime and onnxscript: pip install 'reshift[export]'"


def with_metadata(proto: Any, model: ModelFile) -> bytes:
    """The bytes of a graph (`onnx.ModelProto`) with everything in it that the model folder says of the model."""
    said = {
        "model": json.dumps({"schema": SCHEMA, "id": model.id, **model.as_dict()}, sort_keys=True),
        "graph_sha256": _graph_hash(proto),
        "id": model.id,
        "threshold": repr(model.cut),
        "decision": "defective where score > threshold, else good",
        "preprocessing": f"{model.preprocessing['resize']}; size {model.size}; the division is part of the graph",
        "data_fingerprint": str(model.data["fingerprint"]),
        "code_revision": str(model.run["git"]),
    }
    for key, value in said.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
    return bytes(proto.SerializeToString(deterministic=True))


def read_onnx(path: Path) -> tuple[ModelFile, OnnxScorer]:
    """An exported file, its graph checked against the hash in its metadata.

    Raises:
        ModelFileError: not written by `export`, torn or altered.
        RuntimeError: the packages of the extra `export` are not installed.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise RuntimeError(f"an .onnx file {MISSING}") from error
    try:
        content = path.read_bytes()
        proto = onnx.load_from_string(content)
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except DecodeError as error:
        raise ModelFileError(f"{path}: is no whole ONNX file; copy or export it again") from error
    said = {entry.key: entry.value for entry in proto.metadata_props}
    if "model" not in said or "graph_sha256" not in said:
        raise ModelFileError(f"{path}: has no metadata of reshift; write it with `reshift export FOLDER`")
    if _graph_hash(proto) != said["graph_sha256"]:
        raise ModelFileError(f"{path}: its graph is not the one that was checked; copy or export it again")
    model = parse_model(said["model"], str(path))
    try:
        return model, OnnxScorer(content)
    except Exception as error:  # onnxruntime's errors share no base of their own
        reason = " ".join(str(error).split())[:200]
        raise ModelFileError(f"{path}: its graph does not run ({reason}); copy or export it again") from error


def _graph_hash(proto: Any) -> str:
    return hashlib.sha256(proto.graph.SerializeToString(deterministic=True)).hexdigest()
