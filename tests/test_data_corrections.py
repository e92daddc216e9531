"""An overlay changes the labels it names, says who answers for them, and refuses what it cannot understand."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from reshift.datamodules.corrections import apply_corrections, is_filled_in
from reshift.datamodules.dataset import DataError, Dataset
from reshift.datamodules.manifest import Manifest
from reshift.splits.samples import fingerprint, validate_table

HEADER = "sample,new_label,by,date\n"


@pytest.fixture
def dataset() -> Dataset:
    rows = [
        ("a.png", 0, "", ""),
        ("b.png", 1, "pit", "b_mask.png"),
        ("c.png", 1, "crack", "c_mask.png"),
        ("d.png", 0, "", ""),
        ("e.png", 0, "pit", "e_mask.png"),  # a view of a pitted part that does not show the pit
    ]
    table = validate_table(pd.DataFrame(rows, columns=["sample", "label", "defect", "mask"]), "test")
    return Dataset("tiles", 3, Path("somewhere"), table, "inferred", ("A note.",))


def overlay(folder: Path, *rows: str, header: str = HEADER) -> Path:
    csv = folder / "corrections.csv"
    csv.write_text(header + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return csv


def test_labels_change_and_defects_follow(dataset: Dataset, tmp_path: Path) -> None:
    csv = overlay(
        tmp_path,
        "b.png,good,anna,2026-01-02",
        "d.png, nOK ,ben,2026-01-01",
        "e.png,1,ben,2026-01-01",
        "c.png,1,x,2025-12-31",
    )
    before = dataset.table.copy()
    corrected = apply_corrections(dataset, csv)
    columns = ["sample", "label", "defect", "mask"]
    assert corrected.table[columns].to_numpy().tolist() == [
        ["a.png", 0, "", ""],
        ["b.png", 0, "", ""],
        ["c.png", 1, "crack", "c_mask.png"],
        ["d.png", 1, "", ""],
        ["e.png", 1, "pit", "e_mask.png"],
    ]
    assert corrected.table.dtypes.equals(before.dtypes)
    assert (corrected.name, corrected.version, corrected.parts) == ("tiles+corrected", 3, "inferred")
    digest = hashlib.sha256(csv.read_bytes()).hexdigest()[:12]
    assert corrected.notes == (
        "A note.",
        f"Labels: 3 corrected by corrections.csv (sha256 {digest}), 1 by anna, 2 by ben, newest 2026-01-02; "
        f"1 looked at and left as they were.",
    )
    pd.testing.assert_frame_equal(dataset.table, before)


def test_the_fingerprint_changes_exactly_with_the_labels(dataset: Dataset, tmp_path: Path) -> None:
    plain = fingerprint(dataset.table)
    confirmed = apply_corrections(dataset, overlay(tmp_path, "a.png,0,anna,2026-01-02"))
    assert fingerprint(confirmed.table) == plain and "0 corrected" in confirmed.notes[-1]
    assert fingerprint(apply_corrections(dataset, overlay(tmp_path)).table) == plain
    changed = apply_corrections(dataset, overlay(tmp_path, "a.png,1,anna,2026-01-02"))
    assert fingerprint(changed.table) != plain


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_newest_row_of_a_sample_holds(dataset: Dataset, tmp_path: Path, order: tuple[int, ...]) -> None:
    rows = ["b.png,0,anna,2026-01-02", "b.png,1,ben,2026-01-02T09:00", "b.png,0,cleo,2026-01-02T09:30:00+02:00"]
    # 09:30 in a zone two hours ahead is 07:30, so ben's word is the last: the label is as it was.
    corrected = apply_corrections(dataset, overlay(tmp_path, *(rows[place] for place in order)))
    assert corrected.table["label"].tolist() == dataset.table["label"].tolist()
    assert corrected.table["defect"].tolist() == dataset.table["defect"].tolist()


def test_what_else_a_file_may_hold(dataset: Dataset, tmp_path: Path) -> None:
    header = "\ufeffdate, by ,why,sample,new_label\n"
    corrected = apply_corrections(
        dataset, overlay(tmp_path, '2026-01-02,anna,"dust, not a pit",b.png,OK', header=header)
    )
    assert corrected.table["label"].tolist() == [0, 0, 1, 0, 0]


def test_it_fits_what_a_reader_gives(parts_manifest: Path, tmp_path: Path) -> None:
    csv = overlay(tmp_path, "p000_0.png,defective,anna,2026-01-02")
    plain = Manifest(parts_manifest).read()
    corrected = apply_corrections(plain, csv)
    assert (corrected.table["label"] != plain.table["label"]).sum() == 1 and corrected.name == "parts+corrected"
    pd.testing.assert_frame_equal(corrected.table, validate_table(corrected.table, "test"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ["f.png,1,anna,2026-01-02"],
            r"row 1, column sample: 'f.png' is no picture of tiles; it has 'a.png' and 4 more",
        ),
        (["a.png,1,anna,2026-01-02", "b.png,maybe,anna,2026-01-02"], r"row 2, column new_label: 'maybe' is no label"),
        (["a.png,,anna,2026-01-02"], r"column new_label: '' is no label; write 0, good"),
        (["a.png,2,anna,2026-01-02"], r"column new_label: '2' is no label"),
        (["a.png,1, ,2026-01-02"], r"row 1, column by: is empty; say who"),
        (["a.png,1,anna,2.1.2026"], r"row 1, column date: '2.1.2026' is no ISO date; write it like 2026-01-31"),
        (["a.png,1,anna,"], r"column date: '' is no ISO date"),
        (
            ["a.png,1,anna,2026-01-02", "a.png,1,ben,2026-01-02T00:00"],
            r"row 2, column date: 'a.png' has the date '2026-01-02T00:00' in row 1 too, so neither is the newest",
        ),
    ],
)
def test_rows_that_cannot_be_followed(dataset: Dataset, tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(
        DataError, match=rf"corrections\.csv, {message}" if message.startswith("row") else message
    ) as caught:
        apply_corrections(dataset, overlay(tmp_path, *rows))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_a_tie_of_old_rows_does_not_matter(dataset: Dataset, tmp_path: Path, order: tuple[int, ...]) -> None:
    rows = ["a.png,1,anna,2026-01-02", "a.png,0,ben,2026-01-02", "a.png,1,cleo,2026-01-03"]
    corrected = apply_corrections(dataset, overlay(tmp_path, *(rows[place] for place in order)))
    assert corrected.table["label"].tolist() == [1, 1, 1, 0, 0]


@pytest.mark.parametrize("missing", ["sample", "new_label", "by", "date"])
def test_every_column_is_needed(dataset: Dataset, tmp_path: Path, missing: str) -> None:
    header = ",".join(column for column in ("sample", "new_label", "by", "date") if column != missing) + "\n"
    with pytest.raises(
        DataError, match=f"no column '{missing}'; found .*; a corrections file has sample,new_label,by,date"
    ):
        apply_corrections(dataset, overlay(tmp_path, header=header))


def test_files_that_are_none(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.csv: cannot be read"):
        apply_corrections(dataset, tmp_path / "gone.csv")
    for content in (b"", b"\xff\xfe\x00", b'sample,new_label,by,date\n"a'):
        (tmp_path / "bad.csv").write_bytes(content)
        with pytest.raises(DataError, match=r"bad\.csv: is no UTF-8 CSV"):
            apply_corrections(dataset, tmp_path / "bad.csv")


def test_rows_nobody_filled_in_say_nothing(dataset: Dataset, tmp_path: Path) -> None:
    csv = overlay(tmp_path, "a.png,, ,", "b.png,0,anna,2026-01-02", "c.png,,,")
    corrected = apply_corrections(dataset, csv)
    assert corrected.table["label"].tolist() == [0, 0, 1, 0, 0]
    assert "1 corrected" in corrected.notes[-1] and "left as" not in corrected.notes[-1]
    assert is_filled_in(csv) and not is_filled_in(overlay(tmp_path, "a.png,,,", "c.png,,,"))
    for row in ("a.png,1,,", "a.png,,anna,", "a.png,,,2026-01-02"):
        assert is_filled_in(overlay(tmp_path, "b.png,,,", row))
        with pytest.raises(DataError, match=r"corrections\.csv, row 2, column"):
            apply_corrections(dataset, overlay(tmp_path, "b.png,,,", row))
    with pytest.raises(DataError, match=r"row 1, column sample: 'f\.png' is no picture"):
        apply_corrections(dataset, overlay(tmp_path, "f.png,,,"))
