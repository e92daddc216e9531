"""No hostile file ends in a traceback, a hang or a full memory; and the fuzzer would notice if one did."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from brittle_target import Brittle
from PIL import Image
from small_pictures import one_line

from reshift.benchmark.fuzz.__main__ import TARGETS, find_target, main
from reshift.benchmark.fuzz.campaign import fuzz
from reshift.benchmark.fuzz.pictures import png
from reshift.benchmark.fuzz.presets import VALID
from reshift.benchmark.fuzz.records import npy
from reshift.benchmark.fuzz.small_run import write_small_run
from reshift.benchmark.preset import PresetError, load_preset, preset_names
from reshift.benchmark.preset_yaml import plain_yaml
from reshift.datamodules.dataset import DataError
from reshift.datamodules.image_cache import content_hash
from reshift.datamodules.image_file import MOST_BYTES, MOST_PIXELS, read_image, read_mask
from reshift.datamodules.manifest import Manifest
from reshift.results.npz_file import by_name, npz_bytes, numbered, open_npz
from reshift.results.record import RECORD_FILE, RecordError, read_header
from reshift.results.store import Status

INPUTS = 150


def test_the_fuzzer_finds_every_way_to_fail() -> None:
    tally = fuzz(Brittle, 0, 10, most_seconds=2.0)
    assert (tally.inputs, tally.accepted, tally.refused) == (10, 2, 1)
    found = dict(tally.findings)
    assert sorted(found) == [0, 1, 2, 3, 4, 5, 7]
    for seed, text in enumerate(("KeyError", "still reading", "died", "MemoryError", "no clear", "no clear")):
        assert text in found[seed]
    assert "SystemExit" in found[7]


@pytest.mark.parametrize("name", TARGETS)
def test_every_input_is_accepted_or_refused_in_a_line(name: str) -> None:
    tally = fuzz(find_target(name), 0, INPUTS)
    assert not tally.findings
    assert tally.inputs == INPUTS and tally.accepted and tally.refused > INPUTS / 3


def test_an_input_depends_on_its_number_alone(tmp_path: Path) -> None:
    manifests = find_target("manifest")
    there, again = manifests(tmp_path / "a"), manifests(tmp_path / "b")
    for seed in (100, 101, 102):
        there.write(seed)
    again.write(102)
    assert (tmp_path / "a/root/parts.csv").read_bytes() == (tmp_path / "b/root/parts.csv").read_bytes()


def test_an_unknown_target_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["images"])
    assert "no target 'images'; there are image, manifest" in capsys.readouterr().err


# What the fuzzer found, each by hand.


def grey(width: int, height: int) -> bytes:
    return png(width, height, zlib.compress(b"\0" * ((width + 7) // 8 + 1) * height, 9))


@pytest.mark.parametrize("size", [(1 << 14, (1 << 13) + 1), (1 << 15, (1 << 15) - 1), (60_000, 60_000)])
def test_a_picture_of_more_pixels_than_fit_is_refused_unread(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(*size, b""))
    for read in (read_image, read_mask):
        with pytest.raises(DataError, match=r"a\.png: claims to have more than 134217728 pixels") as error:
            read(path)
        one_line(error)


def test_a_picture_of_the_most_pixels_is_read(tmp_path: Path) -> None:
    assert MOST_PIXELS == (1 << 14) * (1 << 13)
    path = tmp_path / "a.png"
    path.write_bytes(grey(1 << 14, 1 << 13))
    assert read_image(path).shape == (1 << 13, 1 << 14)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "TIFF", "WEBP"])
def test_every_format_is_decoded_as_before(tmp_path: Path, form: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    path = tmp_path / f"a.{form.lower()}"
    Image.fromarray(pixels).save(path, form)
    expected = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1]
    assert (read_image(path) == expected).all()


def test_what_is_no_plain_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "sparse.png").touch()
    os.truncate(tmp_path / "sparse.png", MOST_BYTES + 1)
    reasons = {"pipe.png": "no plain file", "zero.png": "no plain file", "sparse.png": "bytes are more"}
    for name, reason in reasons.items():
        for read in (read_image, content_hash):
            with pytest.raises(DataError, match=f"{name}: .*{reason}"):
                read(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" label,image,label\n0,0.png,1\n", "column 'label' stands in the header twice"),
        ("image,label\n0.png,0,surplus\n", "more fields than its header"),
        (f"image,label\n{'x' * 300}.png,0\n", r"is no file below"),
        (f"image,label,level\n0.png,0,{'x' * 10_000}\n", r"row 1, column level: .* is longer than 500 characters"),
        (f"image,label\n0.png,{'x' * 10_000}\n", r"row 1, column label: 'x{200}'\.\.\. is no label"),
    ],
)
def test_a_hostile_manifest_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "0.png").write_bytes(grey(8, 8))
    (tmp_path / "parts.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message) as error:
        Manifest(tmp_path / "parts.csv").read()
    assert len(one_line(error)) < 1000


def test_a_manifest_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "parts.csv.gz").write_bytes(gzip.compress(b"image,label\n0.png,0\n"))
    with pytest.raises(DataError, match="is no UTF-8 CSV"):
        Manifest(tmp_path / "parts.csv.gz").read()


DOUBLED = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
MERGED = "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a0: &a0 [1, 2]\n" + DOUBLED.encode(), "stands for more than 100000 values"),
        (b"a0: &a0 {x: 1}\n" + MERGED.encode(), "stands for more than 100000 values"),
        (b"a: &a [*a]", "an alias holds itself"),
        (b"[" * 50_000, "nested more than 50 deep"),
        (b"steps: " + b"9" * 5000, "Exceeds the limit"),
        (b"steps: 2001-99-99", "month must be in 1..12"),
        ("description: kl\u00e4r".encode("latin-1"), "is not UTF-8"),
        (b"#" * 300_000, "larger than 256 KiB"),
        (VALID.replace("steps: 8", "steps: null").encode(), "steps is null"),
        (b"description: !!python/object/apply:os.system [id]", "could not determine a constructor"),
    ],
)
def test_a_hostile_preset_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(content)
    with pytest.raises(PresetError) as error:
        load_preset(str(path))
    assert message in str(error.value) and "own.yaml" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", preset_names())
def test_bounded_yaml_says_what_the_library_says(name: str) -> None:
    text = (Path(__file__).parents[1] / "benchmark" / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    assert plain_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b'{"schema": ' + b"9" * 5000 + b"}", b'{"checksum": 1, "schema": 1, "x": NaN}', None]
)
def test_a_hostile_record_is_refused_and_its_cell_pending(tmp_path: Path, content: bytes | None) -> None:
    store = write_small_run(tmp_path / "run")
    cell = store.read_plan().cells[0].id
    record, failure = (store.folder(cell) / name for name in (RECORD_FILE, "failure.json"))
    record.unlink()
    for path in (record, failure):
        path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(RecordError, match=r"record\.json: (not a record|cannot be read)"):
        read_header(store.folder(cell))
    assert store.status(cell) in (Status.PENDING, Status.FAILED)
    note = store.failure(cell)
    assert note is not None and note.kind == "unreadable"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": "0"}, "'0' stands where int is meant"),
        ({"model": ["x"]}, "stands where str is meant"),
        ({"unit": "picture"}, "unit 'picture' is none"),
        ({"held_out": ["component"]}, "held_out is not a column and a value"),
        ({"attachments": {"..": {"bytes": 1, "sha256": ""}}}, "names a file outside its folder, '..'"),
        ({"attachments": {"a\0b": {"bytes": 1, "sha256": ""}}}, "names a file outside its folder"),
    ],
)
def test_a_forged_record_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    records = find_target("record")(tmp_path)
    raw = {**json.loads(records.files[records.record]), **change}  # type: ignore[attr-defined]
    records._forge(raw)  # type: ignore[attr-defined]
    with pytest.raises(RecordError) as error:
        read_header(records.record.parent)  # type: ignore[attr-defined]
    assert message in str(error.value)


@pytest.mark.parametrize(
    "members",
    [
        {"columns.npy": npy("<U8", (1 << 50,))},
        {"columns.npy": b"text"},
        {"columns.npy": npy("<U1", (1,)) + struct.pack("<I", 0x110000)},
        {f"{n}.npy": npy("<f8", (1 << 26,)) + bytes(1 << 26) for n in range(17)},
    ],
    ids=["claims a petabyte", "no array", "no text", "unpacks to a gibibyte"],
)
def test_hostile_arrays_are_refused(members: dict[str, bytes]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match=r"^not a scores file"), open_npz(buffer.getvalue(), "scores") as found:
        by_name(found)


def test_columns_come_back_as_they_were() -> None:
    columns = {"name": np.array(["\u00e4", "\U0001f600", ""]), "empty": np.array([], np.str_), "x": np.arange(3.0)}
    with open_npz(npz_bytes(numbered(columns)), "scores") as found:
        back = by_name(found)
    assert list(back) == list(columns) and all((back[name] == columns[name]).all() for name in columns)
