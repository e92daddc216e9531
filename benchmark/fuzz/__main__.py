"""`python -m reshift.benchmark.fuzz`: feed hostile files to whatever reads files, and count how each is met."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from importlib import import_module

from reshift.benchmark.fuzz.campaign import fuzz
from reshift.benchmark.fuzz.target import Target

TARGETS = {
    "image": "pictures:Pictures",
    "manifest": "manifests:Manifests",
    "preset": "presets:Presets",
    "record": "records:Records",
    "model": "model_files:ModelFiles",
    "weights": "weight_files:WeightFiles",
    "submission": "submissions:Submissions",
}
"""Module of this package and class by name, in the order they are fuzzed."""


def find_target(name: str) -> type[Target]:
    """The target of a name; imported then, since some need torch."""
    module, _, cls = TARGETS[name].partition(":")
    found: type[Target] = getattr(import_module(f"reshift.benchmark.fuzz.{module}"), cls)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz what is named, or everything; returns 1 when anything was found."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__, allow_abbrev=False)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (default: all)")
    parser.add_argument("--inputs", type=int, default=10_000, help="for each target")
    parser.add_argument("--first", type=int, default=0, help="number of the first input; one input has one number")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.targets if name not in TARGETS]:
        parser.error(f"no target {unknown[0]!r}; there are {', '.join(TARGETS)}")
    if given.inputs < 1 or given.first < 0:
        parser.error("--inputs must be at least 1, --first at least 0")
    found = 0
    print(
        f"{'target':<12}{'inputs':>8}{'accepted':>10}{'refused':>9}{'findings':>10}{'slowest':>10}{'memory':>10}{'took':>8}"
    )
    for name in given.targets or TARGETS:
        started = time.monotonic()
        tally = fuzz(find_target(name), given.first, given.inputs)
        found += len(tally.findings)
        print(
            f"{name:<12}{tally.inputs:>8}{tally.accepted:>10}{tally.refused:>9}{len(tally.findings):>10}"
            f"{tally.slowest:>8.2f} s{tally.peak / 2**20:>6.0f} MiB{time.monotonic() - started:>6.0f} s",
            flush=True,
        )
        for seed, text in tally.findings:
            print(f"  {name} --first {seed} --inputs 1: {text}", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
