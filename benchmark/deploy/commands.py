"""Commands that put a model of a finished run to use: refit, export, inspect, trace and monitor."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from jsonargparse import ArgumentParser

from reshift.benchmark.preset import preset_names
from reshift.benchmark.request import add_source, device_of, preset_of, run_store
from reshift.benchmark.subcommands import Subcommands
from reshift.results.atomic_write import write_atomically

DEPLOYED = Path("deployed")


def add_commands(add: Subcommands) -> None:
    """refit, export, inspect, trace, monitor."""
    refitted = add(
        "refit",
        refit,
        "train a model of a run on all of its data, with a threshold from parts its folds did not see",
        "reshift refit tiles classifier --preset tiles --data-root DIR",
    )
    refitted.add_argument(
        "run", help="name under runs/, or a path; it needs finished in_distribution cells of the model"
    )
    refitted.add_argument("model", help="as the boards call it")
    add_source(refitted)
    refitted.add_argument("--on", type=str | None, default=None, help="data set, where the run has several")
    refitted.add_argument("--seed", type=int | None, default=None, help="of the run's cells (default: the smallest)")
    refitted.add_argument(
        "--also", type=Path | None, default=None, help="manifest CSV of more labelled parts, compared before and after"
    )
    refitted.add_argument("--out", type=Path | None, default=None, help="folder (default: deployed/RUN-MODEL)")
    refitted.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")

    exported = add(
        "export",
        export,
        "write a model folder as ONNX and check it against torch",
        "reshift export deployed/tiles-classifier",
    )
    exported.add_argument("model", type=Path, help="folder of `reshift refit`")
    add_model_class(exported)

    inspected = add(
        "inspect",
        inspect,
        "score pictures with a model folder or an .onnx file",
        "reshift inspect deployed/tiles-classifier photos --out found.csv",
    )
    inspected.add_argument("model", type=Path, help="folder of `reshift refit`, or .onnx file of `reshift export`")
    inspected.add_argument("images", type=Path, help="a picture, or a folder of them")
    inspected.add_argument("--out", type=Path | None, default=None, help="CSV (default: printed)")
    inspected.add_argument("--overlays", type=Path | None, default=None, help="folder for pictures with anomaly maps")
    inspected.add_argument(
        "--manifest", type=Path | None, default=None, help="CSV image,part,view for models that see all views of a part"
    )
    add_model_class(inspected)
    inspected.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")

    traced = add(
        "trace",
        trace,
        "where model files come from: data, code, versions, configuration and seed, every hash checked",
        "reshift trace deployed/tiles-classifier model.onnx",
    )
    traced.add_argument("models", nargs="+", type=Path, help="folders of `reshift refit`, or .onnx files")

    watched = add(
        "monitor",
        monitor,
        "whether new pictures are still of the kind a model was judged on; exit code 1 where re-training is due",
        "reshift monitor deployed/tiles-gaussian photos --reference tiles --preset tiles --data-root DIR",
    )
    watched.add_argument("model", type=Path, help="folder of `reshift refit`, or .onnx file of `reshift export`")
    watched.add_argument("images", type=Path, help="folder of new pictures, one a part (see --parts)")
    watched.add_argument("--reference", required=True, help="the run it was refitted from: name under runs/, or a path")
    add_source(watched)
    watched.add_argument(
        "--baseline",
        type=Path | None,
        default=None,
        help="CSV of `reshift inspect` by this model to compare scores with",
    )
    watched.add_argument(
        "--features", type=str | None, default=None, help="model of the preset whose frozen network compares pictures"
    )
    watched.add_argument(
        "--parts", type=Path | None, default=None, help="CSV image,part,view for models that see all views of a part"
    )
    add_model_class(watched)
    watched.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")


def add_model_class(parser: ArgumentParser) -> None:
    """The argument without which no code from outside the suite is run."""
    parser.add_argument(
        "--model-class", type=str, default="", help="file.py:Class of a model of one's own; its code is run"
    )


def refit(args: Namespace) -> int:
    """Train a model of a run on all of its data, further ones included, and write it as a folder."""
    store = run_store(args.run)
    # A run is called after its preset unless somebody says otherwise.
    if not (args.preset or args.manifest or args.dataset) and store.path.name in preset_names():
        args.preset = store.path.name
    preset, _ = preset_of(args)
    import torch

    from reshift.benchmark.deploy.evidence import find_evidence
    from reshift.benchmark.deploy.provenance import model_lines
    from reshift.benchmark.deploy.refit import train_on_all
    from reshift.benchmark.deploy.write_model import check_free, write_model

    folder: Path = args.out or DEPLOYED / f"{store.path.name}-{args.model}"
    check_free(folder)
    device = torch.device(device_of(args.device))
    evidence = find_evidence(preset, store, args.model, args.on, args.seed)
    comparison = None
    if args.also is not None:
        from reshift.benchmark.deploy.compare import compare
        from reshift.datamodules.manifest import Manifest
        from reshift.datamodules.progress import StderrProgress

        further = Manifest(args.also).read()
        evidence, comparison = compare(evidence, further, device, StderrProgress("folds before and after"))
    refitted = train_on_all(evidence, device)
    print("\n".join(model_lines(write_model(refitted, folder, device, comparison), folder)))
    return 0


def export(args: Namespace) -> int:
    """Write a model folder as ONNX and say how far its scores are from torch's."""
    from reshift.benchmark.deploy.export import export as write

    found = write(args.model, args.model_class)
    print(
        f"{args.model / found['file']}: opset {found['opset']}, on {found['pictures']} pictures from file to decision "
        f"as torch decides, scores at most {found['max_difference']:.2e} away"
    )
    return 0


def inspect(args: Namespace) -> int:
    """Score pictures; 0 when every one has a decision, 1 when some could not be read."""
    import torch

    from reshift.benchmark.deploy.inspection import csv_of, inspected, open_model, units_for

    model, scorer = open_model(args.model, torch.device(device_of(args.device)), args.model_class)
    rows = []
    for row in inspected(model, scorer, units_for(model, args.images, args.manifest), args.overlays):
        rows.append(row)
        if row.error:
            print(_printable(" ".join(row.error.split())), file=sys.stderr)
    content = csv_of(model, rows)
    if args.out is None:
        print(content.decode(), end="")
    else:
        write_atomically(args.out, content)
    refused = sum(bool(row.error) for row in rows)
    defective = sum(row.defective for row in rows)
    print(f"{len(rows) - refused} scored, {defective} defective, {refused} refused", file=sys.stderr)
    return 1 if refused else 0


def trace(args: Namespace) -> int:
    """Print where model folders and exported files come from, every hash in them checked."""
    from reshift.benchmark.deploy.provenance import trace_lines

    for model in args.models:
        for line in trace_lines(model):
            print(_printable(line))
    return 0


def monitor(args: Namespace) -> int:
    """Compare new pictures with those a model was judged on; 1 where re-training is due."""
    from reshift.benchmark.monitor import monitor as compare

    return compare(args)


def _printable(line: str) -> str:
    """Without control characters: a file's name may hold what a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in line)
