"""Exported models: they decide as torch does, say where they come from, and are refused where they would not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from deployed import finished, refitted

from reshift.benchmark.deploy.export import ExportError, export
from reshift.benchmark.deploy.model_file import ModelFileError
from reshift.benchmark.deploy.model_folder import read_model
from reshift.benchmark.deploy.onnx_file import read_onnx
from reshift.benchmark.deploy.pictures import read_units
from reshift.benchmark.deploy.scorers import torch_scorer
from reshift.benchmark.deploy.units import picture_units

onnx = pytest.importorskip("onnx", reason="the extra `export` is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")

__all__ = ["finished"]


def exported(finished: Path, name: str) -> Path:
    """The folder of a model with its `model.onnx`, made once."""
    folder = refitted(finished, name)
    if not (folder / "model.onnx").exists():
        export(folder)
    return folder


@pytest.mark.parametrize("name", ["classifier", "gaussian"])
def test_files_are_scored_and_decided_as_torch_does(finished: Path, name: str) -> None:
    folder = exported(finished, name)
    model, module = read_model(folder, torch.device("cpu"))
    same, ours = read_onnx(folder / "model.onnx")
    read = read_units(picture_units(Path("photos")), model.size)
    theirs = torch_scorer(model, module, torch.device("cpu")).scores(read.images, read.slots)
    found = ours.scores(read.images, read.slots)
    assert len(found) == 120 and same.id == model.id and same.cut == model.cut
    np.testing.assert_allclose(found, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())
    clear = np.abs(theirs - model.cut) > 1e-3
    assert ((found > model.cut) == (theirs > model.cut))[clear].all() and clear.sum() > 100


@pytest.mark.parametrize("rows", [1, 5])
def test_a_stranger_needs_onnxruntime_and_the_metadata_only(finished: Path, rows: int) -> None:
    folder = exported(finished, "classifier")
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    said = session.get_modelmeta().custom_metadata_map
    model = json.loads((folder / "model.json").read_text())
    assert float(said["threshold"]) == model["threshold"]["value"] and said["id"] == model["id"]
    assert "INTER_AREA" in said["preprocessing"] and said["data_fingerprint"] == model["data"]["fingerprint"]
    entry = model["check"][0]
    pixels = np.asarray(cv2.imread(str(folder / entry["image"])))[..., ::-1]  # OpenCV reads BGR
    (scores,) = session.run(None, {"pixels": np.repeat(pixels[None], rows, axis=0)})
    np.testing.assert_allclose(scores, [entry["score"]] * rows, rtol=1e-4, atol=1e-4)


def test_the_check_is_stated_and_the_model_keeps_its_id(finished: Path) -> None:
    folder = exported(finished, "gaussian")
    raw = json.loads((folder / "model.json").read_text())
    assert raw["export"]["pictures"] == 8 and 0 <= raw["export"]["relative_difference"] <= 1e-4
    assert raw["export"]["opset"] == 18 and read_model(folder, torch.device("cpu"))[0].id == raw["id"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("differnet", "averages its score over 2 drawn transforms"),
        ("multiview_classifier", "sees all views of a part at once"),
        ("patchcore", "patchcore: the exported graph does not run"),
        ("two_faced", "the exported graph gives scores up to 0.01 away from torch's"),
    ],
)
def test_what_a_graph_cannot_do_is_refused_in_one_line(finished: Path, name: str, message: str) -> None:
    folder = refitted(finished, name)
    with pytest.raises(ExportError) as error:
        export(folder, "own_model.py:TwoFaced" if name == "two_faced" else "")
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not (folder / "model.onnx").exists()


@pytest.mark.parametrize("damage", ["torn", "flipped", "stranger"])
def test_a_damaged_file_is_refused(finished: Path, tmp_path: Path, damage: str) -> None:
    content = (exported(finished, "gaussian") / "model.onnx").read_bytes()
    path = tmp_path / "model.onnx"
    if damage == "torn":
        path.write_bytes(content[: len(content) // 2])
    else:
        proto = onnx.load_from_string(content)
        if damage == "stranger":
            del proto.metadata_props[:]
        else:
            weights = max(proto.graph.initializer, key=lambda tensor: len(tensor.raw_data))
            weights.raw_data = bytes([weights.raw_data[0] ^ 1]) + weights.raw_data[1:]
        path.write_bytes(proto.SerializeToString())
    with pytest.raises(ModelFileError) as error:
        read_onnx(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)


def test_a_check_picture_that_was_altered_stops_an_export(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(refitted(finished, "gaussian"), folder)
    picture = next((folder / "check").iterdir())
    cv2.imwrite(str(picture), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ModelFileError, match="gone or altered since the model was made"):
        export(folder)
