"""Logs on the report's page: they fit, failed cells' come first, and what does not fit is still named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_runs import LOG, MISSING_MODEL, hostile_run

from reshift.results.log_file import LOG_FILE
from reshift.results.report import logs
from reshift.results.report.logs import log_tails
from reshift.results.report.page import report_html
from reshift.results.report.prepare import prepare_report
from reshift.results.store import RunStore, Status


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    monkeypatch.setattr("os.fsync", lambda _: None)
    return hostile_run(tmp_path / "run")


def status_of(run: RunStore) -> dict[str, Status]:
    return run.statuses(c.id for c in run.read_plan().cells if not c.not_applicable)


def test_every_cell_of_the_page_has_its_log(run: RunStore) -> None:
    page = report_html(prepare_report(run.path), {})
    data = json.loads(page.split('id="cells">')[1].split("</script>")[0])
    applicable = [cell for cell in data["cells"] if not cell["status"].startswith("not applicable")]
    assert len(applicable) == 18 and {cell["log"] for cell in applicable} == {LOG.rstrip("\n")}
    assert "alert(4)</script>" not in page


def test_a_cell_of_before_there_were_logs_has_none(run: RunStore) -> None:
    status = status_of(run)
    for path in run.path.glob(f"cells/*/{LOG_FILE}"):
        path.unlink()
    assert log_tails(run, status) == {}


def test_logs_fit_the_page_and_failures_come_first(run: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "PAGE_BYTES", 60_000)
    failed = {cell.id for cell in run.read_plan().cells if cell.model == MISSING_MODEL}
    for path in run.path.glob(f"cells/*/{LOG_FILE}"):
        # Markup takes six times its length once it is escaped.
        path.write_text(("<" * 99 + "\n") * 100 if path.parent.name in failed else ("x" * 99 + "\n") * 100)
    found = log_tails(run, status_of(run))
    assert set(found) == set(status_of(run)), "who has no room is named all the same"
    assert len(logs.script_json(list(found.values())).encode()) < 60_200
    assert sum(bool(found[cell]) for cell in failed) == 1, "six thousand characters of 36 kB"
    shown = [text for text in found.values() if text]
    assert shown and all(text.startswith("[...]\n") and len(text) <= 6010 for text in shown)
    assert all(line in ("[...]", "<" * 99, "x" * 99) for text in shown for line in text.split("\n"))


def test_ten_thousand_logs_leave_room_for_the_failed_alone(run: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "PAGE_BYTES", 5_000)
    found = log_tails(run, status_of(run))
    failed = {cell.id for cell in run.read_plan().cells if cell.model == MISSING_MODEL}
    assert {cell for cell, text in found.items() if text} == failed
