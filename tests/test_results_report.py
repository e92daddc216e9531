"""The report as a file: nothing hostile gets through, nothing is fetched, its numbers are the boards'."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_runs import COMPONENT, DATASET, DEFECT, FAILURE, GOOD_MODEL, MISSING_MODEL, POOR_MODEL, hostile_run

from reshift.results.boards import build_boards
from reshift.results.plan import Plan
from reshift.results.report.gallery import data_uri
from reshift.results.report.heat_map import heat_class
from reshift.results.report.html import script_json
from reshift.results.report.page import report_html, write_report
from reshift.results.report.prepare import Report, prepare_report
from reshift.results.store import RunStore

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8
COMMITTED = Path(__file__).parents[1] / "results" / "leaderboards"
MEGABYTE = 1_000_000


class Page(HTMLParser):
    """Elements with their attributes, what stands in scripts and styles, and the words of all others."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[tuple[str, str]] = []
        self.words: list[str] = []
        self._raw = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._raw = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._raw = ""

    def handle_data(self, data: str) -> None:
        if self._raw:
            self.inside.append((self._raw, data))
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def cells(self) -> dict[str, list[dict[str, object]]]:
        return json.loads(next(content for tag, content in self.inside if tag == "script"))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Report]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield prepare_report(hostile_run(tmp_path_factory.mktemp("report") / "r").path, wrong=4)


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return report_html(report, {(DATASET, part.part): [PNG, PNG] for part in report.wrong})


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_markup_from_data_is_text(page: Page) -> None:
    tags = [tag for tag, _ in page.elements]
    assert not {"b", "i", "u", "em", "s", "hr"} & set(tags)
    assert tags.count("script") == 2
    assert all(str(attributes["src"]).startswith("data:") for tag, attributes in page.elements if tag == "img")
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    for raw in (DATASET, DEFECT, COMPONENT, " ".join(FAILURE.split()), GOOD_MODEL, MISSING_MODEL, "run <em>x</em>"):
        assert raw in page.text, raw


def test_json_in_a_script_cannot_end_it_and_reads_back() -> None:
    hostile = {"a": "</script><!--", "b": ["\u2028\u2029&<>", "'\""], "c": 1.5}
    text = script_json(hostile)
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == hostile


def test_nothing_is_fetched_and_only_our_script_and_style_count(page: Page) -> None:
    addresses = [str(a[name]) for _, a in page.elements for name in ("src", "href", "action", "data") if name in a]
    assert addresses
    assert all(address.startswith(("#", "data:")) for address in addresses)
    policy = next(str(a["content"]) for tag, a in page.elements if tag == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none'; img-src data:;")
    for kind, content in ((tag, content) for tag, content in page.inside if not content.startswith("{")):
        own = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{own}'" in policy
    assert not [a for _, a in page.elements if "style" in a], "the policy blocks styles of single elements"


def test_the_same_run_gives_the_same_bytes(report: Report, html: str) -> None:
    again = prepare_report(report.run, wrong=4)
    assert report_html(again, {(DATASET, part.part): [PNG, PNG] for part in again.wrong}) == html


def test_every_auroc_of_the_boards_stands_on_the_page_and_leads_to_its_cells(report: Report, html: str) -> None:
    boards = build_boards(RunStore(report.run), report.boards.plan)
    places = report.places
    shown = 0
    for protocol, rows in boards.protocols.items():
        for row in rows:
            if row.metric == "auroc" and row.level == "part" and row.split.startswith(("fold", "rate")) and row.mean:
                target = places.target(places.board(DATASET, protocol), row.model, row.split)
                assert f'<a href="#{target}">{row.mean:.3f}</a>' in html
                shown += 1
    assert shown == 2 * 4


def test_escapes_are_stated_with_their_bound_and_what_a_claim_would_take(page: Page) -> None:
    assert re.search(r"escapes \d+ of 20, at most \d+ %; 299 parts needed to claim 1 %", page.text)


def test_a_confusion_matrix_adds_up_to_the_tested_parts(html: str) -> None:
    matrices = re.findall(r'<table class="matrix">.*?</table>', html)
    assert len(matrices) == 2 * 3
    for matrix in matrices:
        caught, escaped, rejected, passed = map(int, re.findall(r"<td[^>]*>(\d+)</td>", matrix))
        assert (caught + escaped, rejected + passed) == (20, 60)


def test_cells_read_back_whole(report: Report, page: Page) -> None:
    data = page.cells
    assert len(data["cells"]) == len(report.boards.plan.cells)
    for planned, found in zip(report.boards.plan.cells, data["cells"], strict=True):
        assert found["id"] == planned.id
        board, model, split, seed = found["at"]  # type: ignore[misc]
        assert data["boards"][board] == [planned.dataset, planned.protocol]
        assert (data["models"][model], data["splits"][split], seed) == (planned.model, planned.split, planned.seed)
        configuration = dict(data["configurations"][n] for n in found["configuration"])  # type: ignore[attr-defined]
        assert configuration == planned.identity
    states = {str(found["status"]).partition(":")[0] for found in data["cells"]}
    assert states == {"done", "failed", "not applicable"}
    done = next(found for found in data["cells"] if found["status"] == "done")
    assert (done["losses"], done["best"], done["seconds"]) == ([[10, 0.9], [20, 0.5], [30, 0.6]], 20, 2.5)
    assert done["files"] == ["scores.npz"]


def test_the_auroc_of_a_cell_averages_to_its_board(report: Report) -> None:
    view = next(v for v in report.views if v.protocol == "in_distribution")
    own = next(e for v, e in zip(report.views, report.examined, strict=True) if v is view)
    cells = [c.id for c in report.boards.plan.cells if c.protocol == view.protocol and c.model == POOR_MODEL]
    row = next(s for s in view.table if s.model == POOR_MODEL).auroc
    assert sum(own.aurocs[c] for c in cells) / len(cells) == pytest.approx(row.mean)


def test_noise_is_drawn_against_its_rate(html: str) -> None:
    assert html.count("AUROC against the contamination rate") == 2, "a title and a caption"


def test_pictures_are_embedded_and_other_bytes_are_refused(html: str, report: Report) -> None:
    assert html.count(data_uri(PNG)) == 2 * len(report.wrong)
    with pytest.raises(ValueError, match="PNG or JPEG"):
        data_uri(b"<svg onload=alert(1)>")


def test_colours_of_the_heat_map_turn_at_guessing() -> None:
    assert [heat_class(v) for v in (0.0, 0.24, 0.49, 0.5, 0.52, 0.77, 1.0)] == [
        "z10",
        "z5",
        "a0",
        "a0",
        "a0",
        "a5",
        "a10",
    ]


def test_a_run_of_which_nothing_is_finished_has_a_page_too(report: Report, tmp_path: Path) -> None:
    plan = report.boards.plan
    RunStore(tmp_path).write_plan(Plan("empty", "h", plan.cells))
    path = write_report(prepare_report(tmp_path))
    assert path == tmp_path / "report" / "index.html"
    assert "PARTIAL: 0 of 18 cells" in path.read_text(encoding="utf-8")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no plan"):
        prepare_report(tmp_path)


@pytest.mark.parametrize("name", ["localisation", "tiles-tuned"])
def test_a_published_run_stays_small(name: str, tmp_path: Path) -> None:
    for part in ("plan.json", "cells"):
        (tmp_path / part).symlink_to(COMMITTED / name / part)
    page = report_html(prepare_report(tmp_path), {})
    assert len(page.encode()) < 0.5 * MEGABYTE
