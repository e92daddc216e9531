"""The report in a real headless browser: it sorts, filters and shows cells, without an error and without a request."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from report_runs import DATASET, FAILURE, GOOD_MODEL, LOG, MISSING_MODEL, POOR_MODEL, hostile_run

from reshift.results.report.page import write_report
from reshift.results.report.prepare import prepare_report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome on the path"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        run = hostile_run(tmp_path_factory.mktemp("browser") / "run").path
        yield write_report(prepare_report(run)).as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        # Root in a container has no sandbox to give; the page is ours.
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The report at desktop width; afterwards, whatever was done to it, no error and no request but for the file."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    shown = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    shown.on("console", lambda message: said.append(message.text))
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.on("dialog", lambda dialog: (said.append("a script of the data ran"), dialog.dismiss()))
    shown.on("request", lambda request: asked.append(request.url))
    shown.goto(address)
    yield shown
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [address]
    context.close()


def board(page: Any) -> Any:
    return page.locator("details.board").nth(2)


def column(page: Any, place: int) -> list[str]:
    return board(page).locator(f"table.board tbody tr > :nth-child({place})").all_inner_texts()  # type: ignore[no-any-return]


def test_a_heading_sorts_its_column_both_ways(page: Any) -> None:
    board(page).get_by_role("button", name="AUROC", exact=False).click()
    rising = [float(text.split()[0]) for text in column(page, 3) if text]
    assert rising == sorted(rising) and len(rising) == 2
    assert column(page, 3)[-1] == "", "what is missing comes last"
    board(page).get_by_role("button", name="AUROC", exact=False).click()
    falling = [float(text.split()[0]) for text in column(page, 3) if text]
    assert falling == rising[::-1]
    assert column(page, 3)[-1] == ""
    assert board(page).locator("th[aria-sort=descending]").count() == 1


def test_names_sort_as_text(page: Any) -> None:
    board(page).get_by_role("button", name="model", exact=True).first.click()
    assert column(page, 1) == [POOR_MODEL, GOOD_MODEL, MISSING_MODEL]


def test_models_and_boards_are_filtered(page: Any) -> None:
    rows = board(page).locator("table.board tbody tr:visible")
    assert rows.count() == 3
    page.get_by_label("model").fill("POOR")
    assert rows.all_inner_texts()[0].startswith(POOR_MODEL) and rows.count() == 1
    page.get_by_label("model").fill("")
    assert rows.count() == 3
    page.get_by_label("protocol").select_option("contamination-20")
    assert page.locator("details.board:visible").count() == 1
    assert page.locator("#filter output").inner_text() == "1 of 3 boards"


def test_a_number_leads_to_its_cells_and_a_cell_to_how_it_came_about(page: Any) -> None:
    panel = page.locator("#panel")
    assert not panel.is_visible()
    board(page).locator("table.heat tbody tr", has_text=GOOD_MODEL).locator("a").nth(1).click()
    assert panel.locator("h2").inner_text() == GOOD_MODEL
    assert panel.locator("tbody tr").count() == 2
    panel.locator("tbody a").first.click()
    text = panel.inner_text()
    for wanted in (DATASET, "fold=0", "cpu: <x>", "numpy", "scores.npz", "step 20 chosen", '"</script>\u2028"'):
        assert wanted in text or wanted.strip('"') in text, wanted
    assert panel.locator("svg.chart circle").count() == 3
    assert panel.locator("pre.log").inner_text().split() == LOG.split()
    assert "/log.txt" in panel.locator("h3", has_text="Log: cells/").inner_text()
    panel.get_by_role("button", name="Close").click()
    assert not panel.is_visible()
    page.go_back()
    assert panel.is_visible(), "back opens what was shown before"


def test_a_failed_cell_says_why(page: Any) -> None:
    page.locator("#unfinished a").first.click()
    assert " ".join(FAILURE.split()) in " ".join(page.locator("#panel").inner_text().split())
    assert page.locator("#panel pre.log").inner_text().split() == LOG.split()


def test_the_page_fits_a_phone(browser: Any, address: str) -> None:
    phone = browser.new_page(viewport={"width": 390, "height": 800})
    phone.goto(address)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    phone.close()


def test_printed_boards_are_unfolded(page: Any) -> None:
    page.evaluate("for (const board of document.querySelectorAll('details')) board.open = false")
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert board(page).locator("table.board").is_visible()
    assert not page.locator("#filter").is_visible()


def test_printed_pages_hold_whole_tables_and_repeat_their_heads(page: Any, address: str) -> None:
    printed = page.pdf(prefer_css_page_size=True)
    pages = len(re.findall(rb"/Type\s*/Page\b", printed))
    boards = page.locator("details.board").count()
    assert boards + 1 <= pages <= 4 * boards + 8
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.set_viewport_size({"width": 1032, "height": 700})  # of A4 across, within its margins
    wide = "(elements) => elements.filter((e) => e.getBoundingClientRect().right > 1032 + 1).map((e) => e.outerHTML)"
    for shown in ("table", "figure", ".card", "svg", "img"):
        assert page.locator(shown).evaluate_all(wide) == [], shown
    heads = page.locator("table.sortable thead button")
    assert heads.count() > 10
    # With boxes of their own in it, chromium does not repeat a head on the next page.
    assert set(heads.evaluate_all("(all) => all.map((e) => getComputedStyle(e).display)")) == {"contents"}


def test_without_script_the_tables_are_there(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    still = context.new_page()
    still.goto(address)
    assert still.locator("table.board").first.is_visible()
    assert not still.locator("#filter").is_visible()
    context.close()
