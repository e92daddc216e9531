"""Data is never code, archives stay in their folder, secrets are not written down: what SECURITY.md promises."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import pickle
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import write_parts

from reshift.benchmark.bundle.manifest import NAME, BundleError, Manifest, sha256, this_platform, this_python
from reshift.benchmark.bundle.unpack import unpack as unpack_bundle
from reshift.benchmark.cli import main
from reshift.benchmark.deploy.model_file import ModelFileError
from reshift.benchmark.deploy.model_folder import read_model
from reshift.benchmark.fuzz.model_files import ModelFiles
from reshift.benchmark.fuzz.small_run import write_small_run
from reshift.benchmark.preset import PresetError, load_preset
from reshift.benchmark.submit import submit
from reshift.datamodules.array_file import open_array
from reshift.datamodules.cache_folder import DamagedError
from reshift.datamodules.manifest import Manifest as ManifestReader
from reshift.models.backbone import Backbone
from reshift.results.npz_file import by_name, open_npz
from reshift.results.record import RecordError, read_record
from reshift.results.submission_archive import SubmissionError
from reshift.results.submission_archive import unpack as unpack_submission

ROOT = Path(__file__).parents[1]
ROOMS = ("benchmark", "datamodules", "models", "refinement", "losses", "splits", "results")
FILES = [path for room in (*ROOMS, "examples") for path in sorted((ROOT / room).rglob("*.py"))]

FORBIDDEN = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load", "pickle.loads", "pickle.Unpickler",
    "dill.load", "joblib.load", "marshal.loads", "shelve.open", "pd.read_pickle", "pandas.read_pickle", "yaml.load",
    "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "yaml.FullLoader", "yaml.Loader", "yaml.UnsafeLoader",
    "subprocess.getoutput", "subprocess.getstatusoutput", "tarfile.extractall", "shutil.unpack_archive",
}  # fmt: skip
RUNS_FOREIGN_CODE = {
    # Names that users give.
    "benchmark/catalog.py": {"importlib.import_module", "importlib.util.spec_from_file_location"},
    "benchmark/custom_metric.py": {"runpy.run_path", "pkgutil.resolve_name"},  # by an argument of `reshift metric`
    "benchmark/speed/measurement.py": {"import_module"},  # a fixed list of the suite's own modules
    "benchmark/fuzz/__main__.py": {"import_module"},  # likewise
    "models/from_anomalib/construction.py": {"import_module"},  # an optional dependency, by fixed names
    "results/wandb_file.py": {"importlib.import_module"},  # likewise
}
"""Every place that imports by a name that is computed, and why it may."""
IMPORTERS = {
    "import_module", "importlib.import_module", "importlib.util.spec_from_file_location", "spec_from_file_location",
    "runpy.run_path", "runpy.run_module", "pkgutil.resolve_name",
}  # fmt: skip


# (a) The source.


def called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield called(node), node


def option(node: ast.Call, name: str) -> Any:
    return next((k.value.value for k in node.keywords if k.arg == name and isinstance(k.value, ast.Constant)), None)


def unsafe(path: Path) -> list[str]:
    """Every call of a file that could make code of data."""
    found = []
    for name, node in calls(path):
        wrong = name in FORBIDDEN or name.endswith((".extractall", ".extract")) or option(node, "shell") is True
        wrong |= name in ("torch.load", "torch.jit.load", "torch.hub.load") and option(node, "weights_only") is not True
        wrong |= name in ("np.load", "numpy.load") and option(node, "allow_pickle") is not False
        wrong |= name.split(".")[-1] == "load_from_checkpoint" and option(node, "weights_only") is not True
        if wrong:
            found.append(f"line {node.lineno}: {name}")
    return found


def test_no_source_makes_code_of_data() -> None:
    assert len(FILES) > 200
    assert not {str(path.relative_to(ROOT)): found for path in FILES if (found := unsafe(path))}


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(f)", "torch.load(f, weights_only=False)", "np.load(f)", "np.load(f, allow_pickle=True)",
        "yaml.load(t, yaml.SafeLoader)", "eval(t)", "os.system(t)", "subprocess.run(t, shell=True)",
        "tar.extractall(f)", "pickle.loads(b)", "Net.load_from_checkpoint(f)",
    ],
)  # fmt: skip
def test_the_walk_sees_what_it_is_for(tmp_path: Path, line: str) -> None:
    (tmp_path / "x.py").write_text(line)
    assert unsafe(tmp_path / "x.py")


def test_only_named_places_import_by_a_computed_name() -> None:
    found: dict[str, set[str]] = {}
    for path in FILES:
        for name, _ in calls(path):
            if name in IMPORTERS:
                found.setdefault(str(path.relative_to(ROOT)), set()).add(name)
    assert found == RUNS_FOREIGN_CODE


# (b) Pickles.


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.canary,)


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """What a trap writes; the test fails where it was written."""
    path = tmp_path / "canary"
    pickle.loads(pickle.dumps(Trap(path)))
    assert path.exists(), "the trap works where it is sprung"
    path.unlink()
    yield path
    assert not path.exists()


def torch_trap(canary: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save({"conv_stem.weight": Trap(canary)}, buffer)
    return buffer.getvalue()


def array_trap(canary: Path) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Trap(canary)], dtype=object), allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "bare pickle"])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_backbone_weights_execute_nothing(tmp_path: Path, canary: Path, legacy: bool, suffix: str) -> None:
    path = tmp_path / f"weights.{suffix}"
    path.write_bytes(pickle.dumps(Trap(canary)) if legacy else torch_trap(canary))
    with pytest.raises(ValueError, match="do not fit test_efficientnet"):
        Backbone("test_efficientnet", weights=str(path))


def test_a_models_tensors_execute_nothing(tmp_path: Path, canary: Path) -> None:
    models = ModelFiles(tmp_path)
    for content in (torch_trap(canary), pickle.dumps(Trap(canary))):
        models._forge_tensors(content)
        with pytest.raises(ModelFileError, match="do not make the model it names"):
            read_model(models.root, torch.device("cpu"))


def test_scores_execute_nothing(tmp_path: Path, canary: Path) -> None:
    store = write_small_run(tmp_path / "run")
    folder = store.folder(store.read_plan().cells[0].id)
    archived = io.BytesIO()
    with zipfile.ZipFile(archived, "w") as archive:
        archive.writestr("columns.npy", array_trap(canary))
    for content in (array_trap(canary), archived.getvalue(), pickle.dumps(Trap(canary))):
        with pytest.raises(ValueError, match="not a scores file"), open_npz(content, "scores") as found:
            by_name(found)
        (folder / "scores.npz").write_bytes(content)
        with pytest.raises(RecordError):
            read_record(folder)
    (folder / "record.json").write_bytes(pickle.dumps(Trap(canary)))
    with pytest.raises(RecordError, match="not a record"):
        read_record(folder)


def test_cache_entries_execute_nothing(tmp_path: Path, canary: Path) -> None:
    for content in (array_trap(canary), pickle.dumps(Trap(canary))):
        (tmp_path / "pixels.npy").write_bytes(content)
        with pytest.raises((DamagedError, ValueError)):
            open_array(tmp_path / "pixels.npy")


def test_a_preset_executes_no_tag(tmp_path: Path, canary: Path) -> None:
    path = tmp_path / "own.yaml"
    for tag in (f"!!python/object/apply:os.system ['touch {canary}']", f"!!python/object/apply:open ['{canary}', 'w']"):
        path.write_text(f"description: {tag}\n")
        with pytest.raises(PresetError, match="could not determine a constructor"):
            load_preset(str(path))


# (c) Archives.


def bundle(path: Path, lock: Path, name: str, kind: bytes = tarfile.REGTYPE) -> Path:
    """A bundle whose manifest lists one member of this name and kind, with the right digest."""
    digest = hashlib.sha256(b"").hexdigest()
    text = Manifest(sha256(lock), this_python(), this_platform(), (), {name: digest}).as_json()
    with tarfile.open(path, "w:") as tar:
        head, member = tarfile.TarInfo(NAME), tarfile.TarInfo(name)
        head.size, member.type, member.linkname = len(text), kind, "/etc/passwd"
        tar.addfile(head, io.BytesIO(text))
        tar.addfile(member)
    return path


@pytest.mark.parametrize("name", ["../x", "data/../../x", "/x", "data/../../../x", "elsewhere/x", "data"])
def test_a_bundle_does_not_leave_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "lock").write_text("a==1\n")
    path = bundle(tmp_path / "b.tar", tmp_path / "lock", name)
    with pytest.raises(BundleError, match="would land outside wheels, weights, data"):
        unpack_bundle(path, tmp_path / "in" / "out", tmp_path / "lock")
    assert not (tmp_path / "x").exists() and not (tmp_path / "in").exists()


KINDS = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]


@pytest.mark.parametrize("kind", KINDS, ids=["symbolic link", "hard link", "character", "block", "pipe", "folder"])
def test_a_bundle_holds_plain_files_alone(tmp_path: Path, kind: bytes) -> None:
    (tmp_path / "lock").write_text("a==1\n")
    path = bundle(tmp_path / "b.tar", tmp_path / "lock", "data/x", kind)
    with pytest.raises(BundleError, match="is not one of its manifest"):
        unpack_bundle(path, tmp_path / "out", tmp_path / "lock")
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.partial").exists()
    # The same bundle with a plain file is taken, so it was the kind.
    assert unpack_bundle(bundle(tmp_path / "b.tar", tmp_path / "lock", "data/x"), tmp_path / "out", tmp_path / "lock")


@pytest.mark.parametrize("name", ["../x", "/x", "cells/../../x", "a\\b", "cells/" + "0" * 20 + "/../../x"])
def test_a_submission_does_not_leave_its_folder(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(SubmissionError, match="no file of a submission has this path"):
        unpack_submission(tmp_path / "s.zip", tmp_path / "in" / "out")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO])
def test_a_submission_holds_plain_files_alone(tmp_path: Path, kind: int) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        info = zipfile.ZipInfo("plan.json")
        info.external_attr = (kind | 0o644) << 16
        archive.writestr(info, b"/etc/passwd")
    with pytest.raises(SubmissionError, match="a link or device, not a plain file"):
        unpack_submission(tmp_path / "s.zip", tmp_path / "out")


# (d) Secrets.


def test_no_secret_of_the_environment_is_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = "s3cr3t-0123456789abcdef"
    for key in ("WANDB_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, secret)
    monkeypatch.setenv("RESHIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_parts(tmp_path / "photos", 60)
    tiny = ["--preset", str(ROOT / "tests" / "tiny.yaml"), "--manifest", "photos/parts.csv"]
    assert main(["run", *tiny, "--models", "size_brightness", "classifier"]) == 0
    assert main(["report", "tiny"]) == 0
    assert main(["submit", "tiny", "--out", "tiny.zip"]) == 0
    said = capfd.readouterr()
    assert "leaderboards" in said.out and secret not in said.out + said.err
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    names = {path.name for path in written}
    assert {"record.json", "plan.json", "index.html", "tiny.zip"} <= names
    for path in written:
        assert secret.encode() not in path.read_bytes(), path
    with zipfile.ZipFile(tmp_path / "tiny.zip") as archive:
        assert not [name for name in archive.namelist() if secret.encode() in archive.read(name)]


# (e) Code of one's own.


@pytest.fixture
def evil(tmp_path: Path, canary: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with modules that write the canary when they are imported, by file and by name."""
    folder = tmp_path / "work"
    folder.mkdir()
    for name in ("evil.py", "reshift.models.evil.py"):
        (folder / name).write_text(f"open({str(canary)!r}, 'w').close()\n")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    return folder


USES = ("evil:Model", "evil.py:Model", "reshift.models.evil.py:Model", "reshift.models./../evil.py:Model")


@pytest.mark.parametrize("use", USES)
def test_a_model_file_imports_no_class_it_names(evil: Path, tmp_path: Path, use: str) -> None:
    (evil / "reshift.models.").mkdir()
    models = ModelFiles(tmp_path)
    raw = json.loads(models.files["model.json"])
    models._forge({**raw, "use": use})
    with pytest.raises(ModelFileError, match="is not part of the suite"):
        read_model(models.root, torch.device("cpu"))


@pytest.mark.parametrize("use", USES)
def test_a_record_imports_no_class_it_names(evil: Path, tmp_path: Path, use: str) -> None:
    store = write_small_run(tmp_path / "run")
    plan, named = store.read_plan(), {"model": {"use": use, "class_path": use, "class": use}}
    cells = tuple(replace(cell, model=use, identity={**cell.identity, **named}) for cell in plan.cells)
    store.write_plan(replace(plan, cells=cells))
    for command in ("status", "board"):
        main([command, str(store.path)])
    with pytest.raises(SubmissionError):
        submit(store.path, tmp_path / "s.zip")


def test_a_data_set_imports_no_class_it_names(evil: Path) -> None:
    csv = write_parts(evil / "photos", 4)
    lines = csv.read_text().splitlines()
    csv.write_text("\n".join([f"{lines[0]},use,class_path", *(f"{line},evil:Model,evil.Model" for line in lines[1:])]))
    assert len(ManifestReader(csv).read().table) == 8
    main(["check-data", "--manifest", str(csv)])
