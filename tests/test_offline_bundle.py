"""A bundle packed on a connected machine sets up one without a network; one that does not fit is refused in a line."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import timm
from safetensors.torch import save_file

from reshift.benchmark.bundle import manifest as manifest_file
from reshift.benchmark.bundle import pack as packing
from reshift.benchmark.bundle import unpack as unpacking
from reshift.benchmark.bundle.manifest import BundleError, Manifest, oldest_system
from reshift.benchmark.bundle.pack import pack
from reshift.benchmark.bundle.unpack import unpack
from reshift.benchmark.bundle.weights import default_backbones
from reshift.models.backbone import Backbone

ROOT = Path(__file__).parents[1]
Members = dict[str, tuple[bytes, bytes]]  # name -> (tar type, content)


@pytest.fixture(scope="module")
def no_network() -> list[str]:
    """The words before a command that give it a network namespace with no way out."""
    prefix = ["unshare", "--user", "--map-root-user", "--net"]
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare here to take the network away with")
    tried = subprocess.run([*prefix, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"network namespaces are not permitted here: {tried.stderr.strip()}")
    return prefix


def environment(**more: str) -> dict[str, str]:
    """This one without what an outer make hands down."""
    outer = {"MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "OFFLINE", "HF_HUB_CACHE", "PYTHONPATH"}
    return {**{key: value for key, value in os.environ.items() if key not in outer}, **more}


def wheel(folder: Path, name: str, files: dict[str, str]) -> None:
    """A wheel of version 1, by PEP 427."""
    info = f"{name}-1.dist-info"
    said = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(folder / f"{name}-1-py3-none-any.whl", "w") as archive:
        for path, text in {**files, **said, f"{info}/RECORD": ""}.items():
            archive.writestr(path, text)


def installed_wheel(folder: Path, name: str) -> None:
    """The wheel of a pure Python package that is installed here, without an index."""
    found = distribution(name)
    with zipfile.ZipFile(folder / f"{name}-{found.version}-py3-none-any.whl", "w") as archive:
        for file in found.files or []:
            if ".." not in file.parts and file.suffix != ".pyc":
                archive.write(str(file.locate()), str(file))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The only place where pip of the connected machine finds anything."""
    folder = tmp_path_factory.mktemp("index")
    wheel(folder, "tiny_part", {"tiny_part.py": "teeth = 23\n"})
    for name in ("pip", "setuptools"):
        installed_wheel(folder, name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_CONFIG_FILE", os.devnull)
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(folder))
        yield folder


@pytest.fixture(scope="module")
def lock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lock") / "requirements.lock"
    path.write_text(f"# tiny\ntiny_part==1\nsetuptools=={distribution('setuptools').version}\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder in it, and with a link to a folder elsewhere."""
    folder = tmp_path_factory.mktemp("disk") / "photos"
    (folder / "good").mkdir(parents=True)
    (folder / "good" / "ä 1.png").write_bytes(b"one")
    (folder.parent / "bad").mkdir()
    (folder.parent / "bad" / "2.png").write_bytes(b"two")
    (folder / "bad").symlink_to(folder.parent / "bad")
    return folder


@pytest.fixture(scope="module")
def bundle(index: Path, lock: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("connected") / "bundle.tar"
    pack(path, lock, weights=[], data=[photos])
    return path


def test_a_bare_machine_without_a_network_is_set_up_by_make(
    bundle: Path, lock: Path, no_network: list[str], tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "benchmark").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "README.md", "benchmark/__init__.py"):
        shutil.copy(ROOT / name, checkout / name)
    shutil.copytree(ROOT / "benchmark/bundle", checkout / "benchmark/bundle")
    links = shutil.ignore_patterns("*.egg-info", "__pycache__")
    shutil.copytree(ROOT / "src", checkout / "src", symlinks=True, ignore=links)
    shutil.copy(lock, checkout)
    (checkout / "more.mk").write_text("weights: $(STAMP)\n\t@echo weights in $$HF_HUB_CACHE\n", encoding="utf-8")

    # Settings of the user and of the machine that would lead pip elsewhere have no say.
    other, settings = tmp_path / "other.txt", tmp_path / "pip.conf"
    other.write_text("tiny_part==2\n", encoding="utf-8")
    settings.write_text(f"[install]\nconstraint = {other}\n", encoding="utf-8")

    def make(offline: Path) -> subprocess.CompletedProcess[str]:
        words = ["make", "-f", "Makefile", "-f", "more.mk", "weights", f"OFFLINE={offline}", f"PYTHON={sys.executable}"]
        misled = environment(HOME=str(tmp_path), PIP_CONSTRAINT=str(other), PIP_CONFIG_FILE=str(settings))
        return subprocess.run([*no_network, *words], cwd=checkout, env=misled, capture_output=True, text=True)

    missing = make(tmp_path / "nowhere.tar")
    assert missing.returncode and f"{tmp_path}/nowhere.tar: no such bundle; `make bundle`" in missing.stderr
    assert not (checkout / ".venv").exists()

    first = make(bundle)
    assert first.returncode == 0, first.stderr
    assert f"weights in {checkout}/.offline/weights" in first.stdout
    asked = "import reshift.benchmark.bundle.manifest as m, tiny_part; print(m.__file__, tiny_part.teeth)"
    ask = [checkout / ".venv/bin/python", "-c", asked]
    seen = subprocess.run(ask, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert seen.stdout.split() == [f"{checkout}/src/reshift/benchmark/bundle/manifest.py", "23"], seen.stderr
    assert (checkout / ".offline/data/photos/good/ä 1.png").read_bytes() == b"one"

    installed = (checkout / ".venv/.installed").stat().st_mtime_ns
    assert "unpacked" not in make(bundle).stdout
    assert (checkout / ".venv/.installed").stat().st_mtime_ns == installed


def test_unpacking_takes_the_standard_library_alone() -> None:
    # -S leaves site-packages out.
    command = [sys.executable, "-S", "-m", "reshift.benchmark.bundle.unpack", "--help"]
    bare = environment(PYTHONPATH=str(ROOT / "src"))
    assert subprocess.run(command, env=bare, capture_output=True, text=True).stdout.startswith("usage: unpack")


def test_what_is_unpacked_is_what_was_packed(bundle: Path, lock: Path, tmp_path: Path) -> None:
    assert unpack(bundle, tmp_path / "offline", lock)
    files = {p.relative_to(tmp_path / "offline").as_posix(): p for p in (tmp_path / "offline").rglob("*")}
    assert files["data/photos/bad/2.png"].read_bytes() == b"two"
    assert {name for name, path in files.items() if path.is_file()} == {
        "manifest.json",
        ".gitignore",
        "data/photos/good/ä 1.png",
        "data/photos/bad/2.png",
        "wheels/tiny_part-1-py3-none-any.whl",
        *(f"wheels/{name}-{distribution(name).version}-py3-none-any.whl" for name in ("pip", "setuptools")),
    }


def test_the_same_bundle_is_unpacked_once_and_another_takes_its_place(
    bundle: Path, lock: Path, index: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "offline"
    assert [unpack(bundle, folder, lock), unpack(bundle, folder, lock)] == [True, False]
    other = tmp_path / "other.tar"
    pack(other, lock, weights=[], data=[])
    assert unpack(other, folder, lock)
    assert not (folder / "data").exists()


def test_another_lock_is_refused_even_where_the_bundle_was_unpacked(bundle: Path, lock: Path, tmp_path: Path) -> None:
    unpack(bundle, tmp_path / "offline", lock)
    other = tmp_path / "requirements.lock"
    other.write_text("tiny_part==2\n", encoding="utf-8")
    with pytest.raises(BundleError, match=r"packed for another requirements\.lock .*run `make bundle`"):
        unpack(bundle, tmp_path / "offline", other)


def manifest_with(**changed: Any) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        said = {**json.loads(members["manifest.json"][1]), **changed}
        members["manifest.json"] = (tarfile.REGTYPE, json.dumps(said).encode())

    return change


def listed_at(name: str) -> Callable[[Members], None]:
    """Put a file at `name`, with its right digest in the manifest."""

    def change(members: Members) -> None:
        members[name] = (tarfile.REGTYPE, b"evil")
        listed = json.loads(members["manifest.json"][1])["members"]
        manifest_with(members={**listed, name: hashlib.sha256(b"evil").hexdigest()})(members)

    return change


def member_is(content: bytes | None, kind: bytes = tarfile.REGTYPE, at: str = "data/photos/bad/2.png") -> Any:
    def change(members: Members) -> None:
        if content is None:
            del members[at]
        else:
            members[at] = (kind, content)

    return change


REFUSED = {
    "python": (manifest_with(python="CPython 3.9"), "wheels are for CPython 3.9, this is CPython"),
    "platform": (manifest_with(platform="Plan9 mips"), "wheels are for Plan9 mips"),
    "system": (manifest_with(system=[99, 1]), "99.1 or newer, this is"),
    "damaged": (member_is(b"tw0"), "'data/photos/bad/2.png' is damaged; copy it again"),
    "lost": (member_is(None), "1 of 5 members are missing; copy it again"),
    "stranger": (member_is(b"", at="wheels/more.whl"), "'wheels/more.whl' is not one of its manifest"),
    "link": (member_is(b"/etc/passwd", tarfile.SYMTYPE), "'data/photos/bad/2.png' is not one of its manifest"),
    "upwards": (listed_at("../evil"), "'../evil' would land outside"),
    "upwards inside": (listed_at("data/../../evil"), "'data/../../evil' would land outside"),
    "absolute": (listed_at("/data/evil"), "'/data/evil' would land outside"),
    "over the manifest": (listed_at("manifest.json/"), "'manifest.json/' would land outside"),
    "no manifest": (member_is(None, at="manifest.json"), "does not begin with manifest.json"),
    "other manifest": (member_is(b"[1, 2]", at="manifest.json"), "not what `make bundle` of this version writes"),
    "half a manifest": (manifest_with(members=None), "not what `make bundle` of this version writes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bundle_that_does_not_fit_is_refused_and_changes_nothing(
    case: str, bundle: Path, lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, reason = REFUSED[case]
    members: Members = {}
    with tarfile.open(bundle) as tar:
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            members[member.name] = (member.type, file.read())
    change(members)
    spoilt = tmp_path / "spoilt.tar"
    with tarfile.open(spoilt, "w") as tar:
        for name, (kind, content) in members.items():
            member = tarfile.TarInfo(name)
            member.type = kind
            if kind == tarfile.SYMTYPE:
                member.linkname = content.decode()
            else:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    folder = tmp_path / "deep" / "offline"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("of an earlier bundle", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    assert unpacking.main([str(spoilt), str(folder), "--lock", str(lock)]) == 2
    said = capsys.readouterr().err
    assert reason in said and said.startswith(f"offline: {spoilt}: ") and said.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert (folder / "manifest.json").read_text(encoding="utf-8") == "of an earlier bundle"


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_copy_that_was_cut_short_is_refused(share: float, bundle: Path, lock: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.tar"
    whole = bundle.read_bytes().rstrip(b"\0")
    cut.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(BundleError, match=rf"{cut}: .*; copy it again"):
        unpack(cut, tmp_path / "offline", lock)
    assert not (tmp_path / "offline").exists()


def test_requirements_that_cannot_be_had_leave_no_bundle(
    index: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("tiny_part==2\n", encoding="utf-8")
    assert packing.main([str(tmp_path / "bundle.tar"), "--lock", str(lock), "--weights", "none"]) == 2
    assert capfd.readouterr().err.splitlines()[-1].startswith("bundle: pip could not fetch or build every wheel of ")
    assert list(tmp_path.iterdir()) == [lock]


@pytest.mark.parametrize(
    ("folders", "reason"),
    [
        (["nowhere"], r"nowhere: no such folder; DATA names folders"),
        (["a/photos", "b/photos"], r"would both become data/photos; rename one"),
        (["dead"], r"dead/link\.png: a dead link or no plain file"),
    ],
)
def test_data_that_cannot_be_packed_is_named(folders: list[str], reason: str, lock: Path, tmp_path: Path) -> None:
    for name in ("a/photos", "b/photos", "dead"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "dead/link.png").symlink_to("nothing.png")
    with pytest.raises(BundleError, match=reason):
        pack(tmp_path / "bundle.tar", lock, [], [tmp_path / folder for folder in folders])


def test_weights_of_the_hub_travel_and_load_without_it(
    lock: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "home" / "models--timm--test_resnet.r160_in1k"
    for folder in ("refs", "blobs", "snapshots/0123abcd"):
        (repository / folder).mkdir(parents=True)
    (repository / "refs/main").write_text("0123abcd", encoding="utf-8")
    save_file(timm.create_model("test_resnet").state_dict(), repository / "blobs/weights")
    (repository / "snapshots/0123abcd/model.safetensors").symlink_to("../../blobs/weights")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "home"))
    pack(tmp_path / "bundle.tar", lock, weights=["test_resnet"], data=[])
    packed = Backbone("test_resnet").weights_hash
    shutil.rmtree(repository)

    unpack(tmp_path / "bundle.tar", tmp_path / "offline", lock)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "offline" / "weights"))
    assert Backbone("test_resnet").weights_hash == packed


def test_a_hub_out_of_reach_is_one_line_with_the_way_out(
    lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    assert packing.main([str(tmp_path / "bundle.tar"), "--lock", str(lock), "--weights", "test_resnet"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("bundle: weights of test_resnet: not in the local cache") and said.endswith("WEIGHTS=none\n")
    assert said.count("\n") == 1 and not (tmp_path / "bundle.tar").exists()


def test_default_weights_are_those_that_models_load_from_the_hub() -> None:
    names = default_backbones()
    assert names == sorted(set(names)) and {"resnet18", "resnet50"} <= set(names)
    # Presets use these from a random start, from a file, and in published experiments.
    assert not {"test_efficientnet", "mobilenetv2_100", "swinv2_base_window8_256"} & set(names)


@pytest.mark.parametrize(
    ("wheels", "version"),
    [
        (["a-1-py3-none-any.whl"], ()),
        (["a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"], (2, 17)),
        (["a-1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl", "b-1-py3-none-any.whl"], (2, 27)),
        (["a-1-py3-none-manylinux_2_9_x86_64.whl", "b-1-py3-none-manylinux_2_28_x86_64.whl"], (2, 28)),
        (["a-1-cp311-cp311-macosx_11_0_arm64.whl", "b-1-cp311-abi3-macosx_10_9_universal2.whl"], (11, 0)),
        (["a-1-cp311-cp311-linux_x86_64.whl"], (2, 99)),
    ],
)
def test_wheels_say_how_old_a_system_may_be(
    wheels: list[str], version: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest_file, "this_system", lambda: (2, 99))
    assert oldest_system(wheels) == version


def test_a_bundle_says_which_machines_it_serves(bundle: Path, lock: Path) -> None:
    with tarfile.open(bundle) as tar:
        first = tar.next()
        assert first is not None and first.name == "manifest.json"
        file = tar.extractfile(first)
        assert file is not None
        manifest = Manifest.from_json(file.read())
    assert manifest.lock == hashlib.sha256(lock.read_bytes()).hexdigest()
    assert manifest.python == f"CPython {sys.version_info[0]}.{sys.version_info[1]}"
    assert manifest.platform.split()[:2] == [os.uname().sysname, os.uname().machine]
    assert manifest.members["data/photos/bad/2.png"] == hashlib.sha256(b"two").hexdigest()


@pytest.mark.heavy
@pytest.mark.timeout(5400)
def test_the_benchmark_runs_from_a_clean_checkout_without_a_network(no_network: list[str], tmp_path: Path) -> None:
    reach = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(tmp_path), "iniconfig"]
    if subprocess.run(reach, capture_output=True).returncode:
        pytest.skip("no package index can be reached to pack a bundle from")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for machine in ("connected", "shop_floor"):
        for name in filter(lambda name: name and (ROOT / name).exists(), names):
            (tmp_path / machine / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / machine / name, follow_symlinks=False)
    bundle, python = tmp_path / "bundle.tar", f"PYTHON={sys.executable}"
    packed = ["make", "bundle", f"BUNDLE={bundle}", "WEIGHTS=none", python]
    subprocess.run(packed, cwd=tmp_path / "connected", env=environment(), check=True)
    shutil.rmtree(tmp_path / "connected")

    home = environment(HOME=str(tmp_path / "home"), RESHIFT_CACHE=str(tmp_path / "cache"))
    command = [*no_network, "make", "benchmark", f"OFFLINE={bundle}", python]
    subprocess.run(command, cwd=tmp_path / "shop_floor", env=home, check=True)
    board = tmp_path / "shop_floor/runs/quick/leaderboards/overall.csv"
    with board.open(encoding="utf-8") as file:
        assert all(row["mean"] for row in csv.DictReader(file) if row["metric"] == "auroc")
