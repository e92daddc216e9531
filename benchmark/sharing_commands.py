"""Commands that hand a finished run on: judged by a metric of one's own, packed, and checked as a stranger would."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from reshift.benchmark.request import run_store
from reshift.benchmark.subcommands import Subcommands


def add_commands(add: Subcommands) -> None:
    """metric, submit, check-submission."""
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
