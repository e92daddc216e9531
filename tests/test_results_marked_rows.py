"""Every table that names a model says where its figures were handed in and nobody has run them again."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from reshift.results import line_tables
from reshift.results.boards import Boards, build_boards
from reshift.results.provenance import MARK, Provenance
from reshift.results.report import further
from reshift.results.report.rounds import rounds_table
from reshift.results.report.views import CellPlaces
from reshift.results.store import RunStore
from reshift.results.submission_archive import SELF_REPORTED

PUBLISHED = Path(__file__).parents[1] / "results" / "leaderboards"
SPLITS = "in_distribution"


@cache
def handed_in(run: str) -> Boards:
    """A committed run as if all of it had come from others."""
    store = RunStore(PUBLISHED / run)
    boards = build_boards(store, store.read_plan())
    places = sorted({(cell.dataset, cell.model, cell.protocol) for cell in boards.plan.cells})
    rows = [Provenance(*place, SELF_REPORTED, 1, "pack", "code", "", "") for place in places]
    return replace(boards, provenance=tuple(rows))


def marked_lines(table: str, row: str) -> int:
    """How many lines of a table there are; every one of them must name a model with the mark."""
    lines = [line for line in re.findall(row, table, re.DOTALL) if '<th scope="col"' not in line]
    assert lines and all(f" {MARK}" in line for line in lines)
    return len(lines)


@pytest.mark.parametrize(
    ("run", "section"),
    [("localisation", "localisation"), ("diecasting", "prognosis"), ("diecasting", "partial")],
)
def test_sections_of_the_report(run: str, section: str) -> None:
    boards = handed_in(run)
    given = (boards,) if section == "partial" else (boards, CellPlaces(boards.plan))
    page = getattr(further, section)(*given)
    plain = getattr(further, section)(replace(boards, provenance=()), *given[1:])
    assert marked_lines(page, r"<tr.*?</tr>") == plain.count("<tr") - plain.count("<thead")
    assert page.replace(f" {MARK}", "") == plain and MARK not in plain


def test_what_refinement_removed() -> None:
    boards = handed_in("noise-ablation")
    page = rounds_table(boards, {}, CellPlaces(boards.plan))
    assert marked_lines(page, r"<tr.*?</tr>") > 10


@pytest.mark.parametrize(
    "table",
    [
        lambda: line_tables.localisation_table(handed_in("localisation"), SPLITS),
        lambda: line_tables.prognosis_table(handed_in("diecasting")),
        lambda: line_tables.views_table(handed_in("multiview"), ("all-views",), ()),
        lambda: line_tables.tuning_table(handed_in("tiles-tuned"), handed_in("tiles"), ("tiles", SPLITS)),
    ],
)
def test_tables_of_the_documentation(table: Callable[[], list[str]]) -> None:
    lines = [line for line in table() if line.startswith("| ")]
    assert len(lines) > 3
    assert all(f" {MARK} " in line for line in lines[2:])
