"""Model files: damage and forgery are refused in one line, nothing of them runs unasked, one command traces them."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from deployed import finished, refitted

from reshift.benchmark.deploy.commands import trace
from reshift.benchmark.deploy.model_file import ModelFileError
from reshift.benchmark.deploy.model_folder import read_model, weights_pointer
from reshift.results.plan import canonical_json

__all__ = ["finished"]

CPU = torch.device("cpu")


def forged(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what `model.json` says and give it the id that goes with it."""
    raw = json.loads((folder / "model.json").read_text())
    change(raw)
    content = {key: value for key, value in raw.items() if key not in ("schema", "id", "export")}
    raw["id"] = hashlib.sha256(canonical_json(content).encode()).hexdigest()
    (folder / "model.json").write_text(json.dumps(raw))


@pytest.mark.parametrize("damage", ["torn", "flipped", "altered", "gone"])
def test_a_damaged_model_is_refused(finished: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(refitted(finished, "gaussian"), folder)
    weights = (folder / "weights.pt").read_bytes()
    if damage == "torn":
        (folder / "weights.pt").write_bytes(weights[: len(weights) // 2])
    elif damage == "flipped":
        middle = len(weights) // 2
        (folder / "weights.pt").write_bytes(weights[:middle] + bytes([weights[middle] ^ 1]) + weights[middle + 1 :])
    elif damage == "altered":
        text = (folder / "model.json").read_text()
        (folder / "model.json").write_text(text.replace('"alpha": 0.05', '"alpha": 0.5'))
    else:
        (folder / "weights.pt").unlink()
    with pytest.raises(ModelFileError) as error:
        read_model(folder, CPU)
    assert "\n" not in str(error.value) and str(folder) in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw["preprocessing"].update(size=10**9), "size 1000000000 is no side"),
        (lambda raw: raw["preprocessing"].update(size="32"), "size '32' is no side"),
        (lambda raw: raw["threshold"].update(value="nan"), "threshold 'nan' is no finite number"),
        (lambda raw: raw.update(views="some"), "views 'some'"),
        (lambda raw: raw.update(run=[]), "not a model"),
        (lambda raw: raw["source"].update(version="99"), "made by version 99"),
        (lambda raw: raw["args"].update(stages=[1]), "do not make the model it names"),
        (lambda raw: raw["args"].update(nothing=1), "do not make the model it names"),
        (lambda raw: raw["info"].update(nothing=1), "do not make the model it names"),
        (lambda raw: raw.pop("check"), "not a model (KeyError: 'check')"),
        (lambda raw: raw.update(schema=99), "schema 99 is not 1"),
    ],
)
def test_a_forged_model_is_refused(
    finished: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(refitted(finished, "gaussian"), folder)
    forged(folder, change)
    with pytest.raises(ModelFileError) as error:
        read_model(folder, CPU)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_tensors_are_never_unpickled_into_code(finished: Path, tmp_path: Path) -> None:
    folder, trap = tmp_path / "model", tmp_path / "trap"
    shutil.copytree(refitted(finished, "gaussian"), folder)

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (trap,)

    buffer = io.BytesIO()
    torch.save({"weight": Trap()}, buffer)
    (folder / "weights.pt").write_bytes(buffer.getvalue())
    forged(folder, lambda raw: raw.update(weights=weights_pointer(buffer.getvalue())))
    with pytest.raises(ModelFileError, match="do not make the model it names"):
        read_model(folder, CPU)
    assert not trap.exists()


@pytest.mark.parametrize("use", ["FOLDER/evil.py:Evil", "evil:Evil", "reshift.models:Evil"])
def test_a_model_file_does_not_make_a_strangers_code_run(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: str
) -> None:
    folder, trap = tmp_path / "model", tmp_path / "trap"
    shutil.copytree(refitted(finished, "gaussian"), folder)
    (tmp_path / "evil.py").write_text(f"open({str(trap)!r}, 'w').close()")
    monkeypatch.syspath_prepend(tmp_path)
    forged(folder, lambda raw: raw.update(use=use.replace("FOLDER", str(tmp_path))))
    with pytest.raises(ModelFileError, match="if you trust it, say where it is with --model-class"):
        read_model(folder, CPU)
    assert not trap.exists()


def test_a_model_of_ones_own_opens_where_its_class_is_given(finished: Path) -> None:
    folder = refitted(finished, "two_faced")
    with pytest.raises(ModelFileError, match="is not part of the suite"):
        read_model(folder, CPU)
    model, module = read_model(folder, CPU, "own_model.py:TwoFaced")
    assert model.model == "two_faced" and type(module).__name__ == "TwoFaced"
    with pytest.raises(ModelFileError, match="refit it"):
        read_model(folder, CPU, "gaussian")


def test_a_trace_names_data_code_versions_configuration_and_seed(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = refitted(finished, "classifier")
    raw = json.loads((folder / "model.json").read_text())
    capsys.readouterr()
    assert trace(Namespace(models=[folder, folder / "model.json"])) == 0
    printed = capsys.readouterr().out
    for said in (
        raw["id"],
        raw["weights"]["sha256"],
        f"fingerprint {raw['data']['fingerprint']}",
        f"revision {raw['run']['git']}",
        f"torch {torch.__version__}",
        canonical_json(raw["identity"]),
        "seed      0",
        *raw["threshold"]["cells"],
    ):
        assert printed.count(said) == 2


def test_a_trace_checks_what_it_prints(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(refitted(finished, "gaussian"), folder)
    (folder / "weights.pt").write_bytes(b"others")
    with pytest.raises(ModelFileError, match="not the tensors"):
        trace(Namespace(models=[folder]))
