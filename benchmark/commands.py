"""What each command does; `cli.py` parses its arguments and prints its errors."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from argparse import Namespace
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reshift.benchmark.inputs import inputs_hash
from reshift.benchmark.preset import Preset, load_preset, preset_names
from reshift.benchmark.request import RUNS, UsageError, device_of, preset_of, run_path, run_store
from reshift.datamodules.progress import StderrProgress
from reshift.results.leaderboard import write_boards
from reshift.results.plan import Plan, PlannedCell
from reshift.results.store import PLAN_FILE, RunStore, Status
from reshift.results.terminal import terminal_table

if TYPE_CHECKING:
    from reshift.benchmark.executor import Workers
    from reshift.benchmark.worker import Job

AUDITS = Path("audits")


def run(args: Namespace) -> int:
    """Plan what is missing, compute it, write and print the boards. 0 when every cell has a record, else 1."""
    preset, name = preset_of(args)
    store = RunStore(RUNS / (args.run or name))
    plan = _plan(store, preset)
    for dataset, board, reason in plan.skipped:
        print(f"skipped  {board} on {dataset}: {reason}")
    open_cells = [c for c in plan.cells if not c.not_applicable and store.status(c.id) is not Status.DONE]
    if args.dry_run:
        return _dry_run(store, plan, open_cells, args)
    store.write_plan(plan)
    if open_cells:
        _compute(store, preset, plan, open_cells, args)
    print(terminal_table(write_boards(store.path, StderrProgress("boards"))))
    left = [c for c in plan.cells if not c.not_applicable and store.status(c.id) is not Status.DONE]
    print(f"boards: {store.path / 'leaderboards'}")
    if left:
        print(f"{len(left)} cells have no record; `reshift status {store.path}` says why, the same command tries again")
    return 1 if left else 0


def status(args: Namespace) -> int:
    """Cells done, running, failed and pending, and why the failed ones failed."""
    store = run_store(args.run)
    plan = store.read_plan()
    cells = [c for c in plan.cells if not c.not_applicable]
    found = store.statuses(c.id for c in cells)
    counts = Counter(found.values())
    print(f"{store.path}: " + ", ".join(f"{counts[s]} {s.value}" for s in Status) + f" of {len(cells)} cells")
    for cell in plan.cells:
        if cell.not_applicable:
            print(f"not applicable  {cell.model} on {cell.protocol}/{cell.split}: {cell.not_applicable}")
        elif found[cell.id] is Status.FAILED and (failure := store.failure(cell.id)):
            where = f"{cell.model} on {cell.protocol}/{cell.split} seed {cell.seed}"
            print(f"failed  {cell.id}  {where} ({failure.attempts}x): {failure.kind}: {failure.message}")
    return 0 if counts[Status.DONE] == len(cells) else 1


def board(args: Namespace) -> int:
    """Write the boards of a run again from its records, and print them."""
    store = run_store(args.run)
    print(terminal_table(write_boards(store.path, StderrProgress("boards"))))
    return 0


def publish(args: Namespace) -> int:
    """Send the boards to Weights & Biases."""
    from reshift.results.publish import publish as send

    folder = run_store(args.run).path
    print(send(folder, args.project, mode=args.mode, entity=args.entity))
    if args.cells:
        from reshift.results.publish_cells import publish_cells

        print(publish_cells(folder, args.project, mode=args.mode, entity=args.entity))
    return 0


def merge(args: Namespace) -> int:
    """Copy finished cells of other folders into RUN, to share work between machines; a new RUN takes their plan."""
    sources = [run_store(other) for other in args.others]
    target = RunStore(run_path(args.run))
    if not (target.path / PLAN_FILE).exists():
        target.write_plan(sources[0].read_plan())
    wanted = {c.id for c in target.read_plan().cells}
    for source in sources:
        copied = 0
        for cell in source.read_plan().cells:
            if (
                cell.id not in wanted
                or target.status(cell.id) is Status.DONE
                or source.status(cell.id) is not Status.DONE
            ):
                continue
            target.take(cell.id, source)
            copied += 1
        print(f"{source.path}: {copied} cells copied")
    write_boards(target.path, StderrProgress("boards"))
    return 0


def clean(args: Namespace) -> int:
    """Delete a run folder."""
    store = run_store(args.run)
    shutil.rmtree(store.path)
    print(f"deleted {store.path}")
    return 0


def list_things(args: Namespace) -> int:
    """One line a data set, protocol, model or preset: its name and the first sentence of its docstring."""
    if args.what == "presets":
        for name in preset_names():
            print(f"{name:28}{load_preset(name).description}")
        return 0
    from reshift.benchmark.inventory import listing

    for name, said in listing(args.what):
        print(f"{name:28}{said}")
    return 0


def data(args: Namespace) -> int:
    """Where a data set comes from and how to verify a copy."""
    from reshift.benchmark.catalog import find_class
    from reshift.benchmark.world import READERS
    from reshift.datamodules.dataset import Reader
    from reshift.datamodules.source import source_lines

    reader = find_class(args.name, READERS, Reader)  # type: ignore[type-abstract]
    print("\n".join(source_lines(reader.name or reader.__name__, reader.source)))
    return 0


def manifest(args: Namespace) -> int:
    """Draft a manifest from a folder of pictures and say what was understood."""
    from reshift.datamodules.draft_manifest import draft_manifest

    out: Path = args.out or args.folder / "manifest.csv"
    if out.exists() and not args.force:
        raise UsageError(f"{out} exists; give another --out, or --force to overwrite it")
    table, report = draft_manifest(args.folder, args.pattern)
    table.to_csv(out, index=False)
    print("\n".join(report))
    print(f"wrote {out} ({len(table)} images); look it through, then: reshift run --manifest {out}")
    return 0


def check_data(args: Namespace) -> int:
    """Say what a data set holds and what to mend before trusting a board on it."""
    from reshift.benchmark.data_report import data_report
    from reshift.benchmark.world import World
    from reshift.datamodules.overview_sheet import overview_sheet

    preset, _ = preset_of(args)
    world = World(preset)
    for place in world.places():
        print("\n".join(data_report(place, world, args.features)))
        if args.overview:
            overview_sheet(place.dataset).save(args.overview)
            print(f"overview: {args.overview}")
    return 0


def audit(args: Namespace) -> int:
    """Rank the labels of a data set by how likely they are wrong, or measure how well models find injected ones."""
    if not (args.models or args.preset):
        raise UsageError("name the models that judge the labels, e.g. --models gaussian logistic_probe")
    preset, name = preset_of(args)
    # Where labels are corrected already, the corrected ones are judged.
    preset = replace(preset, datasets=[d for d in preset.datasets if d.corrections or not args.corrections])
    import torch

    from reshift.benchmark.audit_files import AUDIT_FILE
    from reshift.benchmark.audit_labels import audit_labels
    from reshift.benchmark.audit_separation import SEPARATION_FILE, measure_separation
    from reshift.benchmark.world import World

    device = torch.device(device_of(args.device))
    if args.separation:
        folder = args.out or AUDITS / name
        for line in measure_separation(World(preset), folder, folds=args.folds, repeats=args.repeats, device=device):
            print(line, flush=True)
        print(f"separation: {folder / SEPARATION_FILE}")
        return 0
    several = len(preset.datasets) > 1
    world = World(replace(preset, protocols=[]))
    for place in world.places():
        folder = args.out if args.out and not several else (args.out or AUDITS) / place.dataset.name
        lines = audit_labels(
            place.dataset,
            world,
            folder,
            over=args.over,
            folds=args.folds,
            repeats=args.repeats,
            sheet=args.sheet,
            device=device,
        )
        print("\n".join(lines))
        corrections = folder / AUDIT_FILE
        again = f"`corrections: {corrections}` at a copy of this data set in the preset"
        print(f"boards before and after: {again if several else _run_command(args, corrections)}")
    return 0


def check_model(args: Namespace) -> int:
    """Run the conformance suite on a model."""
    from reshift.benchmark.check_model import check_model as check

    findings = check(args.model, args.args)
    for finding in findings:
        print(finding)
    return 0 if all(finding.ok for finding in findings) else 1


def _run_command(args: Namespace, corrections: Path) -> str:
    """The run that shows the boards of this data set before and after its corrections."""
    asked = {"preset": args.preset, "manifest": args.manifest, "dataset": args.dataset, "data-root": args.data_root}
    words = [word for key, value in asked.items() if value for word in (f"--{key}", str(value))]
    if args.dataset_args:
        words += ["--dataset-args", json.dumps(args.dataset_args)]
    return shlex.join(["reshift", "run", *words, "--corrections", str(corrections)])


def _plan(store: RunStore, preset: Preset) -> Plan:
    """The folder's plan while its inputs hold, else a new one that must name the same cells."""
    current = None
    if (store.path / PLAN_FILE).exists():
        current = store.read_plan()
        if current.inputs == inputs_hash(preset):
            return current
    print("planning: reading data, drawing and verifying splits", file=sys.stderr)
    from reshift.benchmark.planning import difference, make_plan

    plan = make_plan(preset, store.path.name)
    if current is not None and (reason := difference(current, plan)):
        raise UsageError(
            f"{store.path} holds another plan: {reason}; choose another folder with --run NAME, "
            f"or delete this one with `reshift clean {store.path}`"
        )
    return plan


def _compute(store: RunStore, preset: Preset, plan: Plan, cells: list[PlannedCell], args: Namespace) -> None:
    from reshift.benchmark.executor import bundles, run_cells
    from reshift.benchmark.executors.costs import longest_first, recorded_seconds
    from reshift.benchmark.progress import RunProgress
    from reshift.benchmark.worker import Job

    if args.shared or args.executor != "local":
        store.share()
    device = device_of(args.device) if args.executor == "local" else _device_elsewhere(args)
    if args.cell_seconds < 0:
        raise UsageError(f"--cell-seconds {args.cell_seconds:g}: give the seconds a cell may take, or 0 for no limit")
    job = Job(store.path.resolve(), preset, device, args.keep_weights, args.cell_seconds)
    workers = _workers(job, args)
    groups = bundles(cells)
    if args.executor != "local":
        groups = longest_first(groups, recorded_seconds(store, {cell.model for cell in cells}))
    applicable = sum(not c.not_applicable for c in plan.cells)
    where = f"with {args.workers or 1} workers" if args.executor == "local" else f"by {args.executor}"
    print(f"{len(cells)} of {applicable} cells to compute on {device} {where}", file=sys.stderr)
    done, slots = applicable - len(cells), max(1, workers.slots)
    if args.live:
        from reshift.benchmark.live_log import LiveLog

        progress: RunProgress = LiveLog(cells, done, slots, store.path, args.live, args.live_mode)
    else:
        progress = RunProgress(cells, done, slots)
    run_cells(job, groups, progress, workers)


def _workers(job: Job, args: Namespace) -> Workers:
    from reshift.benchmark.executors.local import LocalWorkers
    from reshift.benchmark.executors.ray import RayWorkers
    from reshift.benchmark.executors.slurm import SlurmWorkers

    share = (args.gpu_share or 1.0) if job.device == "cuda" else 0.0
    if args.executor == "ray":
        return RayWorkers(job, args.ray_address, args.workers, share)
    if args.executor == "slurm":
        if args.gpu_share not in (None, 1.0):
            raise UsageError(f"--gpu-share {args.gpu_share:g}: a Slurm job has whole GPUs; leave it out, or give 1")
        return SlurmWorkers(job, args.workers, int(share), args.slurm)
    return LocalWorkers(job, args.workers or 1)


def _device_elsewhere(args: Namespace) -> str:
    """The device of workers on other machines, whose GPUs cannot be seen from here."""
    if args.gpu_share is not None and not 0 < args.gpu_share <= 1:
        raise UsageError(f"--gpu-share {args.gpu_share:g} is not above 0 and at most 1, the share of one GPU")
    if args.device == "cpu" and args.gpu_share:
        raise UsageError("--gpu-share with --device cpu; drop one of them")
    return "cuda" if args.device == "cuda" or args.gpu_share else "cpu"


def _dry_run(store: RunStore, plan: Plan, open_cells: list[PlannedCell], args: Namespace) -> int:
    from reshift.benchmark.dry_run import expected_cost

    for cell in plan.cells:
        state = cell.not_applicable or ("to compute" if cell in open_cells else "done")
        print(f"{cell.id}  {cell.protocol}/{cell.split}  {cell.model}  seed {cell.seed}  {state}")
    if open_cells:  # the device is known to torch alone, which takes seconds to import
        device = device_of(args.device) if args.executor == "local" else _device_elsewhere(args)
        print("\n".join(expected_cost(store, open_cells, device, args.workers or 1)))
    print(f"{len(open_cells)} cells to compute, nothing was written")
    return 0
