"""Print how often every interval, bound and test does what it states, over many simulated studies."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from simulated_bounds import BOUNDS, LEVELS
from simulated_intervals import INTERVALS
from simulated_study import Finding, Study, repeat

STUDIES: dict[str, Study] = {study.name: study for study in (*INTERVALS, *BOUNDS, *LEVELS)}


def line(finding: Finding) -> str:
    study = finding.study
    stated = {"interval": "93 to 97 %", "bound": f"at least {100 * study.rate:g} %"}.get(
        study.kind, f"at most {100 * study.rate:g} %"
    )
    verdict = ("no" if finding.refuted else "yes") if study.required else "not promised"
    return f"| {study.name} | {stated} | {100 * finding.share:.1f} % | {finding.withheld} | {verdict} |"


def simulate(name: str, times: int) -> Finding:
    return repeat(STUDIES[name], times)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000, help="how many of each kind")
    parser.add_argument("--workers", type=int, default=1, help="processes; figures do not depend on it")
    parser.add_argument("--only", default="", help="a part of the names of those to do")
    chosen = parser.parse_args(arguments)
    names = [name for name in STUDIES if chosen.only in name]
    print(f"| {chosen.studies} studies each | stated | seen | withheld | agrees |\n| --- | --- | --- | --- | --- |")
    with ProcessPoolExecutor(chosen.workers) as pool:
        # By name: what a study does is made of closures, which do not travel.
        for finding in pool.map(partial(simulate, times=chosen.studies), names):
            print(line(finding), flush=True)


if __name__ == "__main__":
    main()
