"""`python -m reshift.benchmark.dependency_audit LOCK`: known vulnerabilities of pinned packages, by pip-audit.

Exit code 0 when every package was looked up and none is known to be vulnerable, 1 when one is, 3 when packages were not
looked up. pip-audit itself ends with 0 where a mirror without advisories answers, and nothing was audited.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

VULNERABLE, NOT_AUDITED = 1, 3
_OPTIONS = ("--no-deps", "--disable-pip", "--progress-spinner", "off", "--timeout", "15", "--format", "json")


def verdict(report: str, said: str) -> tuple[int, list[str]]:
    """The exit code and the lines that give the reason.

    Args:
        report: what pip-audit wrote as JSON, "" where it failed.
        said: what it complained of.
    """
    try:
        packages = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        reason = (said.strip().splitlines() or ["it said nothing"])[-1][:200]
        return NOT_AUDITED, [f"NOT AUDITED: the advisory service was not reached ({reason}); run it with a network"]
    found = [
        f"{each['name']} {each['version']}: {vulnerability['id']}, "
        f"mended in {', '.join(vulnerability['fix_versions']) or 'no version'}"
        for each in packages
        for vulnerability in each.get("vulns", ())
    ]
    left = sorted(each["name"] for each in packages if "skip_reason" in each)
    if left or not packages:
        found.append(
            f"NOT AUDITED: {len(left)} of {len(packages)} packages ({', '.join(left[:3])} ...); the package index that "
            "answers has no advisories of them: run it where pypi.org is reached"
        )
    if any(each.get("vulns") for each in packages):
        return VULNERABLE, found
    return (NOT_AUDITED, found) if found else (0, [f"{len(packages)} packages, none known to be vulnerable"])


def main(arguments: Sequence[str]) -> int:
    """Audit a lock file."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", arguments[0], *_OPTIONS]
    done = subprocess.run(command, capture_output=True, text=True)
    code, lines = verdict(done.stdout, done.stderr)
    print("\n".join(lines), file=sys.stderr if code else sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
