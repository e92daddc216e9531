"""Boards of a run to Weights & Biases: the CSVs as an artifact, each as a table, the headline as summary."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reshift.results.atomic_write import write_atomically
from reshift.results.leaderboard import FOLDER
from reshift.results.wandb_run import Mode, PublishError, close_run, open_run

RECEIPTS = "published.json"
REPORT = Path("report", "index.html")

_NAMES = ("dataset", "model", "protocol", "split", "group", "threshold", "parameter")
"""Columns of names, which stay text however much a name looks like a number."""


def publish(run_dir: Path, project: str, mode: Mode = "online", entity: str | None = None) -> str:
    """Send `leaderboards/*.csv` of a run folder to Weights & Biases, once, with its report where there is one.

    The run's id is the hash of the boards (`cost.csv` apart, whose times differ from machine to machine), so the same
    boards always are the same run. `published.json` in the run folder keeps a receipt; with it nothing is sent again.
    Offline runs lie under `wandb/` in the run folder until `wandb sync` sends them.

    Returns:
        One line: where it went, or that it had gone there before.

    Raises:
        PublishError: no boards (at once), no key (within a second), no server (within 30 seconds), or an offline file
            that never became complete.
    """
    boards = sorted((run_dir / FOLDER).glob("*.csv"))
    if not boards:
        raise PublishError(f"{run_dir / FOLDER}: no boards; run `reshift board {run_dir}` first")
    digest = boards_hash(boards)
    wanted = {"boards": digest, "project": project, "entity": entity or "", "mode": mode}
    found = receipts(run_dir)
    for receipt in found:
        if wanted.items() <= receipt.items():
            return f"already published as {receipt['place']}; the boards have not changed since"
    place = _send(run_dir, boards, digest, project, mode, entity)
    write_receipts(run_dir, [*found, {**wanted, "place": place}])
    if mode == "offline":
        return f"written to {place}; send it with `wandb sync {place}`"
    return f"published as {place}"


def boards_hash(boards: list[Path]) -> str:
    """Sha256 over names and bytes of the boards, `cost.csv` left out."""
    digest = hashlib.sha256()
    for path in sorted(boards):
        if path.name != "cost.csv":
            digest.update(f"{path.name}\x1f".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def table_of(path: Path) -> tuple[list[str], list[list[str | int | float | None]]]:
    """Columns and rows of a board: a column of numbers alone as numbers, an empty one as None."""
    with path.open(encoding="utf-8", newline="") as stream:
        columns, *rows = csv.reader(stream)
    kinds = [str if c in _NAMES else _kind([row[i] for row in rows]) for i, c in enumerate(columns)]
    return columns, [[_typed(kind, text) for kind, text in zip(kinds, row, strict=True)] for row in rows]


def _kind(texts: Sequence[str]) -> type[str] | type[int] | type[float]:
    known = [text for text in texts if text]
    for kind in (int, float):
        try:
            for text in known:
                kind(text)
        except ValueError:
            continue
        return kind if known else str
    return str


def _typed(kind: type[str] | type[int] | type[float], text: str) -> str | int | float | None:
    return kind(text) if text or kind is str else None


def receipts(run_dir: Path) -> list[dict[str, str]]:
    """What was sent from a run folder before.

    Raises:
        PublishError: the file is damaged.
    """
    path = run_dir / RECEIPTS
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise PublishError(f"{path}: not readable ({error}); delete it to publish again") from error
    return list(found)


def write_receipts(run_dir: Path, found: Sequence[dict[str, str]]) -> None:
    """Keep what was sent from a run folder."""
    write_atomically(run_dir / RECEIPTS, (json.dumps(found, indent=1, sort_keys=True) + "\n").encode())


def _send(run_dir: Path, boards: list[Path], digest: str, project: str, mode: Mode, entity: str | None) -> str:
    run = open_run(run_dir, project, mode, entity, id=digest[:16], name=run_dir.resolve().name, job_type="leaderboards")
    _log(run, boards, digest, run_dir / REPORT)
    return close_run(run, mode)


def _log(run: Any, boards: list[Path], digest: str, report: Path) -> None:
    """Tables show at most wandb's 10,000 rows; the artifact holds every file whole."""
    import wandb

    artifact = wandb.Artifact(f"leaderboards-{run.name}", type="leaderboards", metadata={"boards": digest})
    tables: dict[str, Any] = {}
    for path in boards:
        artifact.add_file(str(path), name=path.name)
        columns, rows = table_of(path)
        tables[f"boards/{path.stem}"] = wandb.Table(columns=[*columns], data=[*rows], allow_mixed_types=True)
        if path.stem == "overall":
            headline = {_name(dict(zip(columns, row, strict=True))): row[columns.index("mean")] for row in rows}
            run.summary.update({key: value for key, value in headline.items() if value is not None})
    if report.is_file():
        tables["report"] = wandb.Html(str(report), inject=False)
    run.log(tables)
    run.log_artifact(artifact)


def _name(row: dict[str, Any]) -> str:
    fields = [str(row[f]) for f in ("dataset", "protocol", "model", "level", "metric", "threshold", "split") if row[f]]
    # A dot would nest the key in wandb's summary.
    return "/".join(fields).replace(".", "_")
