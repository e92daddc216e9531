"""The table of separations: written alike whatever the order, read back, and worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from reshift.results.separation import Separation, read_separation, separations, write_separation

QUALITY = {
    "candidates": 5,
    "bad_injected": 2,
    "separation": 2 / 3,
    "precision_at_injected": 0.5,
    "precision_at_half": 1.0,
    "by_component": {
        "hub": {"candidates": 2, "bad_injected": 0},
        "ring": {
            "candidates": 3,
            "bad_injected": 2,
            "separation": 0.5,
            "precision_at_injected": 0.5,
            "precision_at_half": 1.0,
        },
    },
}
WHERE = ("gears", "contamination-20", "rate=0.2/repeat=0", "gaussian", "parts")


def test_the_file_by_hand_and_back(tmp_path: Path) -> None:
    lines = separations(WHERE, 0.2, QUALITY)
    in_sample = separations((*WHERE[:4], "in-sample"), 0.2, QUALITY)[:1]
    file = tmp_path / "separation.csv"
    write_separation(file, [*reversed(lines), *in_sample])
    written = file.read_bytes()
    assert written.decode().splitlines() == [
        "dataset,protocol,split,rate,method,how,component,candidates,bad_injected,separation,precision_at_injected,"
        "precision_at_half",
        "gears,contamination-20,rate=0.2/repeat=0,0.200000,gaussian,in-sample,,5,2,0.666667,0.500000,1.000000",
        "gears,contamination-20,rate=0.2/repeat=0,0.200000,gaussian,parts,,5,2,0.666667,0.500000,1.000000",
        "gears,contamination-20,rate=0.2/repeat=0,0.200000,gaussian,parts,hub,2,0,,,",
        "gears,contamination-20,rate=0.2/repeat=0,0.200000,gaussian,parts,ring,3,2,0.500000,0.500000,1.000000",
    ]
    found = read_separation(file)
    assert found[2] == Separation(*WHERE[:3], 0.2, *WHERE[3:], "hub", 2, 0, None, None, None)
    assert {line.measurement for line in found} == {WHERE, (*WHERE[:4], "in-sample")}
    write_separation(file, found)
    assert file.read_bytes() == written


def test_one_component_or_none_named_is_no_line_of_its_own() -> None:
    for components in (["ring"], [""]):
        quality = {**QUALITY, "by_component": {kind: QUALITY for kind in components}}
        assert [line.component for line in separations(WHERE, 0.2, quality)] == [""]


def test_files_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "separation.csv"
    file.write_text("dataset,auroc\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"has the columns dataset,auroc, not dataset,protocol"):
        read_separation(file)
    write_separation(file, separations(WHERE, 0.2, QUALITY))
    file.write_text(file.read_text(encoding="utf-8").replace("hub,2", "hub,two"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"row 2: invalid literal .*; delete the file"):
        read_separation(file)
