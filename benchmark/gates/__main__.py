"""`python -m reshift.benchmark.gates`: measure the gates, print them, write them."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from reshift.benchmark.gates.measure import Settings, measure
from reshift.benchmark.gates.statistics_probe import FOLDS


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; returns 0 when all gates pass."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--folds", type=int, default=FOLDS, choices=range(1, FOLDS + 1))
    parser.add_argument("--components", nargs="+", default=["synchronizer_ring", "splined_shaft"])
    parser.add_argument("--root", help="where worlds are kept; by default the cache folder")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    given = parser.parse_args(arguments)
    chosen = Settings(given.images, given.seed, given.epochs, given.folds, tuple(given.components), given.root)
    gates, found = measure(chosen)
    print(f"{'gate':<42} {'measured':>8} {'target':>10}")
    for gate in gates:
        verdict = "pass" if gate.passed else "MISS"
        print(f"{gate.name:<42} {gate.measured:8.3f} {f'{gate.low:g}..{gate.high:g}':>10} {verdict}  {gate.about}")
    if given.out:
        rows = [
            {**asdict(gate), "measured": None if math.isnan(gate.measured) else gate.measured, "passed": gate.passed}
            for gate in gates
        ]
        settings = {key: value for key, value in asdict(chosen).items() if key != "root"}
        given.out.write_text(json.dumps({"settings": settings, "gates": rows, "auroc": found}, indent=2) + "\n")
    return 0 if all(gate.passed for gate in gates) else 1


if __name__ == "__main__":
    raise SystemExit(main())
