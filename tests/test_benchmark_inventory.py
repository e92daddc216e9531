"""`reshift list` shows what other distributions add by entry points, and is not stopped by a broken one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reshift.benchmark.catalog import find_class
from reshift.benchmark.inventory import KINDS, inventory, listing, readme_tables, summary

THEIRS = '''\
from reshift.datamodules.magnetic_tiles import MagneticTiles
from reshift.models.floors import SizeBrightness
from reshift.models.mean_life import MeanLife
from reshift.splits.protocol import Protocol

class Theirs(SizeBrightness):
    """How bright a picture is, as they see it."""

class TheirTiles(MagneticTiles):
    """Their own tiles."""

class TheirLife(MeanLife):
    """How long it takes at their place."""

class TheirProtocol(Protocol):
    """Theirs alone."""
'''
POINTS = """\
[reshift.models]
their_model = theirs:Theirs
their_life = theirs:TheirLife
gaussian = theirs:Theirs
broken = theirs:Forgotten
[reshift.datamodules]
their_tiles = theirs:TheirTiles
[reshift.splits]
their_protocol = theirs:TheirProtocol
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip leaves behind of a package with entry points."""
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    (tmp_path / "theirs.py").write_text(THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "theirs", raising=False)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("models", "their_model", "How bright a picture is, as they see it. [theirs]"),
        ("prognoses", "their_life", "How long it takes at their place. [theirs]"),
        ("datasets", "their_tiles", "Their own tiles. [theirs]"),
        ("protocols", "their_protocol", "Theirs alone. [theirs]"),
    ],
)
def test_what_is_installed_is_listed_under_its_kind_and_found_by_its_name(kind: str, name: str, said: str) -> None:
    found = dict(listing(kind))
    assert found[name] == said
    assert find_class(name, *KINDS[kind]).__module__ == "theirs"
    elsewhere = [other for other in KINDS if other != kind and name in dict(listing(other))]
    assert elsewhere == [], "models and prognosis methods share a group"


@pytest.mark.usefixtures("installed")
def test_the_suites_own_come_first_and_keep_their_names() -> None:
    found = list(listing("models"))
    own = inventory("models")
    assert [name for name, _ in found[: len(own)]] == list(own)
    assert dict(found)["gaussian"] == summary(own["gaussian"])


@pytest.mark.usefixtures("installed")
def test_a_broken_package_is_named_and_stops_nothing() -> None:
    said = dict(listing("models"))["broken"]
    assert said.startswith("entry point broken: does not import: AttributeError") and "\n" not in said


@pytest.mark.usefixtures("installed")
def test_the_readme_holds_the_suites_own_alone() -> None:
    assert not any("theirs" in line.lower() for lines in readme_tables().values() for line in lines)
