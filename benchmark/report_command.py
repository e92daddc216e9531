"""`reshift report`: a run as one HTML file, with pictures of its most wrong parts where their data can be read."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from reshift.benchmark.preset import Preset, preset_names
from reshift.benchmark.request import UsageError, add_source, device_of, preset_of, run_store
from reshift.benchmark.subcommands import Subcommands
from reshift.results.plan import Plan
from reshift.results.report.examined import WrongPart
from reshift.results.report.gallery import WrongMaps
from reshift.results.report.page import write_report
from reshift.results.report.prepare import WRONG_PARTS, prepare_report
from reshift.results.store import RunStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from reshift.datamodules.dataset import Dataset

SIDE = 160
"""Of a picture in pixels; it is shown at most so large on the page."""
_QUALITY = 80


def add_commands(add: Subcommands) -> None:
    """report."""
    page = add(
        "report",
        report,
        "write a run as one HTML file that opens anywhere: boards, plots, cells, the most wrong parts",
        "reshift report tiles --data-root DIR",
    )
    page.add_argument("run", help="name under runs/, or a path")
    page.add_argument("--pictures", type=int, default=WRONG_PARTS, help="most wrong parts of each board")
    page.add_argument("--no-pictures", action="store_true", help="name these parts only: for data without a licence")
    page.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="of the models that draw maps")
    add_source(page)


def report(args: Namespace) -> int:
    """Write the report of a run, and say where it is and which pictures it goes without."""
    from reshift.datamodules.progress import StderrProgress

    store = run_store(args.run)
    if args.pictures < 0:
        raise UsageError(f"--pictures {args.pictures}: give a number of parts, 0 for none")
    found = prepare_report(store.path, args.pictures, StderrProgress("boards examined"))
    pictures: dict[tuple[str, str], list[bytes]] = {}
    maps = WrongMaps()
    if found.wrong and not args.no_pictures:
        if not (args.preset or args.manifest or args.dataset) and found.boards.plan.name in preset_names():
            # A run is named after its preset unless somebody chose another name.
            args.preset = found.boards.plan.name
        if args.preset or args.manifest or args.dataset:
            preset, plan = preset_of(args)[0], found.boards.plan
            pictures = part_pictures(found.wrong, plan, preset)
            shown = [part for part in found.wrong if (part.dataset, part.part) in pictures]
            maps = _maps(shown, store, plan, preset, args.device)
        else:
            _say("pictures", "give --preset, --manifest or --dataset and --data-root as for the run")
    path = write_report(found, pictures, maps)
    print(f"report: {path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


def part_pictures(wrong: Sequence[WrongPart], plan: Plan, preset: Preset) -> dict[tuple[str, str], list[bytes]]:
    """JPEGs of all views of these parts by data set and part; what cannot be read is left out and said on stderr.

    A data set whose table is not the one the run was planned on is left out too: its parts may be others.
    """
    from reshift.benchmark.world import World
    from reshift.splits.samples import fingerprint

    planned = {c.dataset: c.identity.get("dataset", {}).get("fingerprint") for c in plan.cells}
    found: dict[tuple[str, str], list[bytes]] = {}
    for spec in preset.datasets:
        try:
            dataset = next(World(replace(preset, datasets=[spec], protocols=[])).places()).dataset
            parts = [part.part for part in wrong if part.dataset == dataset.name]
            if parts and fingerprint(dataset.table) != planned[dataset.name]:
                _say("pictures", f"{dataset.name}: not the pictures this run was planned on; give the ones that were")
                continue
            found |= {(dataset.name, part): list(view_jpegs(dataset, part)) for part in parts}
        except (ValueError, OSError) as error:
            _say("pictures", " ".join(f"{spec.name or spec.use}: {error}".split()))
    return found


def view_jpegs(dataset: Dataset, part: str, side: int = SIDE) -> Iterator[bytes]:
    """The views of a part as JPEG files of `side` x `side` pixels, the defect framed where a mask shows it.

    Raises:
        DataError: no such part, or a picture that cannot be read.
    """
    import numpy as np

    from reshift.datamodules.contact_sheet import contact_sheet
    from reshift.datamodules.image_file import read_mask

    rows = dataset.table[dataset.table["part"] == part].sort_values(["view", "sample"])
    if "mask" in rows:
        # An empty mask has nothing to frame.
        shown = np.array([bool(mask) and bool(read_mask(dataset.root / mask).any()) for mask in rows["mask"]])
        rows = rows.assign(mask=rows["mask"].where(shown, ""))
    for place in range(len(rows)):
        picture = contact_sheet(replace(dataset, table=rows.iloc[[place]]), part, side)
        yield jpeg(picture)


def jpeg(picture: NDArray[np.uint8]) -> bytes:
    """A picture (H, W, 3) uint8 RGB as a file for the page."""
    import cv2

    content = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", content, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()


def _maps(wrong: Sequence[WrongPart], store: RunStore, plan: Plan, preset: Preset, device: str) -> WrongMaps:
    """Where models look in these parts; why some have no maps is said on stderr, once for each reason."""
    import torch

    from reshift.benchmark.report_maps import wrong_maps
    from reshift.datamodules.progress import StderrProgress

    chosen = torch.device(device_of(device))
    maps = wrong_maps(wrong, store, plan, preset, chosen, StderrProgress("cells asked for maps"))
    for reason in dict.fromkeys(maps.missing.values()):
        _say("maps", reason)
    return maps


def _say(what: str, reason: str) -> None:
    print(f"{what} left out: {reason}", file=sys.stderr)
