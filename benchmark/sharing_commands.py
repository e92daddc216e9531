"""Commands that hand a finished run on: judged by one's own metric, packed, checked, accepted, confirmed."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from reshift.benchmark.request import run_store
from reshift.benchmark.subcommands import Subcommands


def add_commands(add: Subcommands) -> None:
    """metric, submit, check-submission, accept, confirm."""
    metric_of = add(
        "metric",
        metric,
        "judge a finished run by a function of one's own over its stored scores",
        "reshift metric tiles my_metric.py:missed_defects",
    )
    metric_of.add_argument("run", help="name under runs/, or a path")
    metric_of.add_argument(
        "metric", help="file.py:function or pkg.mod:function; takes labels and scores, gives a number"
    )

    pack = add(
        "submit",
        submit,
        "pack plan, records, scores and boards of a finished run to hand it in",
        "reshift submit tiles --out tiles.zip",
    )
    pack.add_argument("run", help="name under runs/, or a path")
    pack.add_argument("--out", type=Path | None, default=None, help="default: RUN.submission.zip in this folder")

    check = add(
        "check-submission",
        check_submission,
        "recompute every board of a submission from its scores, and accept or refuse it",
        "reshift check-submission tiles.zip",
    )
    check.add_argument("file", type=Path)

    taking = add(
        "accept",
        accept,
        "check a submission and bring its rows into a published board, marked as self-reported",
        "reshift accept tiles.zip --into results/leaderboards/tiles",
    )
    taking.add_argument("file", type=Path)
    taking.add_argument("--into", type=Path, required=True, help="folder of the board; made if absent")

    lifting = add(
        "confirm",
        confirm,
        "compare a board's self-reported rows with a run of the same cells; lifts the mark of those that agree, else 1",
        "reshift confirm results/leaderboards/tiles my-run",
    )
    lifting.add_argument("board", help="name under runs/, or a path")
    lifting.add_argument("run", help="one's own run of the same preset: name under runs/, or a path")


def metric(args: Namespace) -> int:
    """Judge a finished run by a function of one's own."""
    from reshift.benchmark.custom_metric import judge_by

    print("\n".join(judge_by(run_store(args.run).path, args.metric)))
    return 0


def submit(args: Namespace) -> int:
    """Pack a finished run to hand it in."""
    from reshift.benchmark.submit import submit as pack

    print("\n".join(pack(run_store(args.run).path, args.out)))
    return 0


def check_submission(args: Namespace) -> int:
    """Recompute every board of a submission."""
    from reshift.benchmark.submit import checked

    print("\n".join(checked(args.file)))
    return 0


def accept(args: Namespace) -> int:
    """Bring a submission into a board."""
    from reshift.benchmark.accept import accepted

    print("\n".join(accepted(args.file, args.into)))
    return 0


def confirm(args: Namespace) -> int:
    """Compare self-reported rows with a run of one's own. 0 when all that it holds agree, else 1."""
    from reshift.benchmark.accept import confirmed

    lines, agree = confirmed(run_store(args.board).path, run_store(args.run).path)
    print("\n".join(lines))
    return 0 if agree else 1
