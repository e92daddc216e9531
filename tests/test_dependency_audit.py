"""The dependency audit: what pip-audit reports, and that nothing looked up is not taken for nothing found."""

from __future__ import annotations

import json

import pytest

from reshift.benchmark.dependency_audit import NOT_AUDITED, VULNERABLE, verdict

FINE = {"name": "numpy", "version": "2.0", "vulns": []}
BAD = {"name": "old", "version": "1.0", "vulns": [{"id": "CVE-1", "fix_versions": ["1.1"], "description": "d"}]}
SKIPPED = {"name": "torch", "skip_reason": "Dependency not found on PyPI and could not be audited: torch (2.0)"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([FINE], 0, "1 packages, none known to be vulnerable"),
        ([FINE, BAD], VULNERABLE, "old 1.0: CVE-1, mended in 1.1"),
        ([FINE, SKIPPED], NOT_AUDITED, "NOT AUDITED: 1 of 2 packages (torch ...)"),
        ([BAD, SKIPPED], VULNERABLE, "old 1.0: CVE-1"),
        ([], NOT_AUDITED, "NOT AUDITED: 0 of 0"),
    ],
)
def test_a_report_is_judged(packages: list[dict[str, object]], code: int, said: str) -> None:
    found, lines = verdict(json.dumps({"dependencies": packages, "fixes": []}), "")
    assert found == code and lines[0].startswith(said)


@pytest.mark.parametrize("report", ["", "[]", "{}", "no json"])
def test_no_report_is_not_audited_in_one_line(report: str) -> None:
    code, (line,) = verdict(report, "Traceback\n  ...\nConnectionError: no such host\n")
    assert code == NOT_AUDITED and "was not reached (ConnectionError: no such host)" in line
