"""Every reader says where its pictures come from, and what it says of a whole copy is true of one."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import pytest

from reshift.benchmark.catalog import own_classes
from reshift.datamodules.bsdata import BSData
from reshift.datamodules.check_data import check_data
from reshift.datamodules.dataset import Dataset, Reader
from reshift.datamodules.gearbox.knobs import Knobs
from reshift.datamodules.ksdd2 import KSDD2, PUBLISHED
from reshift.datamodules.magnetic_tiles import MagneticTiles
from reshift.datamodules.mvtec_ad import MVTecAD
from reshift.datamodules.source import NOT_STATED, Source, source_lines
from reshift.datamodules.synthetic_gearbox import SyntheticGearbox
from reshift.splits.samples import DEFECTIVE, GOOD

DATA = Path(__file__).parents[2] / "shared" / "data"
READERS = own_classes("reshift.datamodules", Reader)  # type: ignore[type-abstract]
PUBLIC = ("bsdata", "gearbox_remanufacturing", "ksdd2", "magnetic_tiles", "mvtec_ad", "real_iad")


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS.keys())
def test_every_reader_fills_every_field_with_a_line(reader: type[Reader]) -> None:
    assert reader.source is not None
    for field, text in asdict(reader.source).items():
        assert text.strip() == text and text and "\n" not in text, field


@pytest.mark.parametrize("name", PUBLIC)
def test_public_data_have_an_address_and_no_invented_download_size(name: str) -> None:
    source = READERS[name].source
    assert source is not None and source.address.startswith("https://")
    assert NOT_STATED in source.size and not re.search(r"\d\s*[kMG]i?B\b", source.size)


def test_what_is_no_download_says_so() -> None:
    assert READERS["manifest"].source and READERS["manifest"].source.address == "your own pictures"
    assert READERS["synthetic_gearbox"].source and "nothing to download" in READERS["synthetic_gearbox"].source.get


def test_lines_hold_every_field_once() -> None:
    source = Source(address="https://a.example", licence="MIT", size="3 pictures", get="clone it", verify="3 images")
    lines = source_lines("thing", source)
    assert lines[0] == "thing" and len(lines) == 6
    for text, line in zip(asdict(source).values(), lines[1:], strict=True):
        assert line.endswith(text)


def test_a_reader_without_a_source_is_not_hidden() -> None:
    assert source_lines("mine", None) == ["mine: its reader states no source; ask whoever wrote it"]


# Claims of `verify`, against the real thing or against the published numbers.


def claims(text: str) -> list[str]:
    """What `verify` promises: "855 images of 15 parts", "good 688", "crack 57", ..."""
    return re.findall(r"\d+ images(?: of \d+ parts)?|\b(?!reports|all)[a-z]+ \d+", text)


def assert_reported(dataset: Dataset, text: str) -> None:
    report = "\n".join(check_data(dataset, 64))
    assert len(claims(text)) >= 3
    for claim in claims(text):
        assert re.search(rf"\b{claim}\b", report), claim


def test_tiles_report_what_their_source_says() -> None:
    root = DATA / "magnetic_tiles"
    if not root.is_dir():
        pytest.skip("../shared/data has no magnetic tiles")
    assert MagneticTiles.source is not None
    assert_reported(MagneticTiles(root).read(), MagneticTiles.source.verify)


@pytest.mark.parametrize("crop", [2, 1])
def test_bsdata_reports_what_its_source_says(crop: int) -> None:
    if not (DATA / "bsdata").is_dir():
        pytest.skip("../shared/data has no bsdata")
    assert BSData.source is not None
    of_crop = dict(zip((2, 1), BSData.source.verify.split("(with crop 1:"), strict=True))
    assert_reported(BSData(DATA / "bsdata", crop=crop).read(), of_crop[crop])  # type: ignore[arg-type]


def test_ksdd2_source_agrees_with_the_published_counts() -> None:
    assert KSDD2.source is not None
    of_label = {label: sum(n for (_, found), n in PUBLISHED.items() if found == label) for label in (GOOD, DEFECTIVE)}
    expected = [f"{sum(PUBLISHED.values())} images", f"good {of_label[GOOD]}", f"defective {of_label[DEFECTIVE]}"]
    assert set(expected) <= set(claims(KSDD2.source.verify))
    for (split, _), count in PUBLISHED.items():
        assert f"{split} {count}" in claims(KSDD2.source.verify)


def test_mvtec_source_adds_up() -> None:
    assert MVTecAD.source is not None
    number = {word: int(n) for word, n in (c.split() for c in claims(MVTecAD.source.verify) if c[0].isalpha())}
    assert number["train"] + number["test"] == number["good"]
    assert f"{number['good'] + number['defective']} images" in claims(MVTecAD.source.verify)


def test_synthetic_source_states_the_defaults() -> None:
    assert SyntheticGearbox.source is not None
    knobs = SyntheticGearbox().knobs
    assert isinstance(knobs, Knobs)
    stated = f"{knobs.parts * knobs.views} images of {knobs.parts} parts"
    assert stated in SyntheticGearbox.source.verify
