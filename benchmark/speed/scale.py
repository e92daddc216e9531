"""`python -m reshift.benchmark.speed.scale PAGE [--measure]`: what a full study on Real-IAD costs, from unit costs."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reshift.benchmark.speed.hardware import hardware
from reshift.benchmark.speed.scale_costs import Scale
from reshift.benchmark.speed.scale_models import measure_model
from reshift.benchmark.speed.scale_pieces import measure_boards, measure_pictures, measure_records
from reshift.benchmark.speed.scale_study import count_cells, count_splits, study
from reshift.benchmark.speed.scale_tables import page_blocks
from reshift.benchmark.worker import start_worker
from reshift.results.atomic_write import write_atomically
from reshift.results.front_table import replace_between

FEW_PARTS = 1500
"""Parts of the table that cells are planned on: who trains on what is counted on the whole one."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Renew the tables of the page from the measured costs; with `--measure`, measure these first (some minutes)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("--measure", action="store_true", help="count and measure again on this machine")
    parser.add_argument("--costs", type=Path, default=Path("results/speed/scale.json"), help="where they are kept")
    parser.add_argument("--records", type=Path, default=Path("results/leaderboards/tiles"), help="a published run")
    given = parser.parse_args(arguments)
    if given.measure:
        found = asdict(measure(given.records))
        given.costs.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(given.costs, (json.dumps(found, indent=1) + "\n").encode())
    text = rendered(given.page.read_text(encoding="utf-8"), given.costs)
    write_atomically(given.page, text.encode())


def rendered(text: str, costs: Path) -> str:
    """The page with every table made anew.

    Raises:
        ValueError: a table's markers are not on the page.
    """
    scale = Scale.from_plain(json.loads(costs.read_text(encoding="utf-8")))
    for name, lines in page_blocks(scale).items():
        text = replace_between(text, name, lines)
    return text


def measure(records: Path) -> Scale:
    """Count the study and measure its unit costs, every measurement of memory or caches in a process of its own."""
    whole = study()
    with tempfile.TemporaryDirectory(prefix="reshift-scale-") as scratch:
        os.environ.update(OMP_NUM_THREADS="1", RESHIFT_CACHE=str(Path(scratch, "cache")))
        counted = _apart(count_splits, whole)
        counted |= _apart(count_cells, study(FEW_PARTS), Path(scratch, "plan"))
        counted |= {name: getattr(whole, name) for name in ("size", "steps", "batch_size", "checks")}
        models = []
        for spec in whole.models:
            models.append(_apart(measure_model, spec, whole))
            print(f"scale: measured {spec.use}", flush=True)
        pieces = measure_records(records)
        pieces |= _apart(measure_pictures, whole, Path(scratch, "pictures"))
        pieces |= _apart(measure_boards, whole, Path(scratch, "boards"))
    return Scale(hardware(), counted, tuple(models), pieces)


def _apart(call: Callable[..., Any], *given: object) -> Any:
    """Run in a fresh process with one computing thread, as a worker has."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context, initializer=start_worker) as pool:
        return pool.submit(call, *given).result()


if __name__ == "__main__":
    main()
