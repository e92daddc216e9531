"""The command line: arguments, help, and one clear line for every error a person can mend."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

import reshift
from reshift.benchmark import commands, report_command, sharing_commands
from reshift.benchmark.deploy import commands as deploy_commands
from reshift.benchmark.request import add_source
from reshift.splits.samples import TableError

EXIT = {"ok": 0, "incomplete": 1, "bad request": 2, "interrupted": 130}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 some cells without a record, 2 a request that cannot be met,
    130 interrupted."""
    parser, actions = build_parser()
    args = parser.parse_args(None if argv is None else list(argv))
    try:
        return actions[args.command](args[args.command])
    except KeyboardInterrupt:
        print("\nstopped; finished cells are kept, the same command goes on from there", file=sys.stderr)
        return EXIT["interrupted"]
    except BrokenPipeError:
        # The reader, `head` say, has seen enough; what is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT["ok"]
    except (ValueError, TableError, FileNotFoundError, PermissionError, OSError, RuntimeError) as error:
        print(f"reshift {args.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT["bad request"]


def build_parser() -> tuple[ArgumentParser, dict[str, Callable[[Namespace], int]]]:
    """The parser and what each command calls."""
    parser = ArgumentParser(
        prog="reshift",
        description="Benchmark visual quality inspection on parts, defects and labels a model has not seen. "
        "Begin with: reshift run --preset quick; reshift report quick; reshift run --manifest photos/manifest.csv",
        version=reshift.__version__,
        allow_abbrev=False,
    )
    commands_of = parser.add_subcommands(required=True, dest="command")
    actions: dict[str, Callable[[Namespace], int]] = {}

    def add(name: str, action: Callable[[Namespace], int], help: str, example: str) -> ArgumentParser:
        sub = ArgumentParser(description=f"{help[0].upper()}{help[1:]}. Example: {example}", allow_abbrev=False)
        commands_of.add_subcommand(name, sub, help=help)  # type: ignore[no-untyped-call]
        actions[name] = action
        return sub

    run = add(
        "run",
        commands.run,
        "train every model on every split and write leaderboards",
        "reshift run --preset tiles --data-root DIR --workers 2",
    )
    add_source(run)
    run.add_argument("--run", type=str | None, default=None, help="folder name under runs/ (default: the preset's)")
    run.add_argument("--executor", choices=["local", "ray", "slurm"], default="local", help="where cells are computed")
    run.add_argument(
        "--workers",
        type=int | None,
        default=None,
        help="processes, Ray tasks or Slurm jobs at once (default: 1; ray and slurm: all there is room for); results "
        "do not depend on it",
    )
    run.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda"],
        default="auto",
        help="auto: the GPU where there is one; with ray and slurm, where --gpu-share asks for one",
    )
    run.add_argument("--gpu-share", type=float | None, default=None, help="of one GPU for each Ray task, e.g. 0.25")
    run.add_argument(
        "--ray-address", type=str | None, default=None, help="of a Ray cluster (default: RAY_ADDRESS, or one's own)"
    )
    run.add_argument(
        "--slurm", type=dict, default={}, help="what submitit asks Slurm for, e.g. '{timeout_min: 240, mem_gb: 8}'"
    )
    run.add_argument(
        "--shared", action="store_true", help="several machines run this command on one folder; ray and slurm imply it"
    )
    run.add_argument("--keep-weights", choices=["none", "best"], default="best", help="of models under 20 MB")
    run.add_argument(
        "--cell-seconds", type=float, default=0.0, help="stop a cell that takes longer (default: no limit)"
    )
    run.add_argument("--live", type=str | None, default=None, help="Weights & Biases project to log to as cells finish")
    run.add_argument("--live-mode", choices=["online", "offline"], default="online")
    run.add_argument("--dry-run", action="store_true", help="list the cells and what they should cost, and stop")

    for name, action, text in (
        ("status", commands.status, "cells done, running, failed and pending, and why they failed"),
        ("board", commands.board, "write and print the boards again from the records"),
        ("clean", commands.clean, "delete a run folder"),
    ):
        add(name, action, text, f"reshift {name} quick").add_argument("run", help="name under runs/, or a path")

    publish = add(
        "publish",
        commands.publish,
        "send the boards' CSVs to Weights & Biases",
        "reshift publish quick --project inspection --mode offline",
    )
    publish.add_argument("run", help="name under runs/, or a path")
    publish.add_argument("--project", required=True)
    publish.add_argument("--entity", type=str | None, default=None)
    publish.add_argument("--mode", choices=["online", "offline"], default="online")
    publish.add_argument("--cells", action="store_true", help="also a run for each cell, with its curve (seconds each)")

    merge = add(
        "merge",
        commands.merge,
        "copy finished cells of other folders of the same plan into RUN",
        "reshift merge tiles /mnt/other/runs/tiles",
    )
    merge.add_argument("run", help="name under runs/, or a path")
    merge.add_argument("others", nargs="+", help="run folders to copy from")

    listing = add("list", commands.list_things, "what the suite holds", "reshift list models")
    listing.add_argument("what", choices=["datasets", "protocols", "models", "prognoses", "presets"])

    data = add(
        "data",
        commands.data,
        "where a data set comes from, its licence and size, how to get and how to verify it",
        "reshift data mvtec_ad",
    )
    data.add_argument("name", help="a data set of `reshift list datasets`, pkg.mod:Class or file.py:Class")

    manifest = add(
        "manifest",
        commands.manifest,
        "draft a manifest CSV from a folder of pictures",
        "reshift manifest photos --pattern '{label}/{part}_{view}.jpg'",
    )
    manifest.add_argument("folder", type=Path)
    manifest.add_argument(
        "--pattern", type=str | None, default=None, help="path pattern with {label}, {part}, {defect}, ..."
    )
    manifest.add_argument("--out", type=Path | None, default=None, help="default: manifest.csv in the folder")
    manifest.add_argument("--force", action="store_true", help="overwrite an existing file")

    check = add(
        "check-data",
        commands.check_data,
        "what a data set holds, and what its columns can carry",
        "reshift check-data --manifest parts.csv",
    )
    add_source(check)
    check.add_argument("--overview", type=Path | None, default=None, help="PNG to draw parts of every kind into")
    check.add_argument(
        "--features", type=str | None, default=None, help="also compare pictures by this model's frozen features"
    )

    audit = add(
        "audit",
        commands.audit,
        "rank the labels that are most likely wrong, as a CSV and a contact sheet to look at them again",
        "reshift audit --dataset magnetic_tiles --data-root DIR --models gaussian logistic_probe",
    )
    add_source(audit)
    audit.add_argument(
        "--out", type=Path | None, default=None, help="folder (default: audits/ and the data set's name)"
    )
    audit.add_argument(
        "--folds", type=int, default=5, help="a label is judged by a model that trained on all other folds"
    )
    audit.add_argument("--repeats", type=int, default=2, help="how often the folds are dealt")
    audit.add_argument(
        "--over", choices=["parts", "images"], default="parts", help="what folds hold out; images: siblings may vouch"
    )
    audit.add_argument("--sheet", type=int, default=40, help="pictures on the contact sheet")
    audit.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    audit.add_argument(
        "--separation",
        action="store_true",
        help="instead: how well the models find the wrong labels that the preset's protocols inject",
    )

    model = add(
        "check-model",
        commands.check_model,
        "run the conformance suite on a model",
        "reshift check-model my_file.py:MyModel",
    )
    model.add_argument("model", help="short name, pkg.mod:Class or file.py:Class")
    model.add_argument("--args", type=dict, default={}, help="its arguments, as YAML or JSON")

    report_command.add_commands(add)
    sharing_commands.add_commands(add)
    deploy_commands.add_commands(add)
    return parser, actions
