"""Which rows of a board were handed in by others: the mark they carry, the line that explains it, and the CSV."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields

from reshift.results.csv_bytes import csv_bytes
from reshift.results.plan import PlannedCell
from reshift.results.record import Record
from reshift.results.submission_archive import SELF_REPORTED
from reshift.results.submitted_cells import SubmittedCell

RERUN = "re-run"
MARK = "†"
PROVENANCE_FILE = "provenance.csv"


@dataclass(frozen=True)
class Provenance:
    """A model on a board of which cells were handed in.

    Attributes:
        status: "self-reported" until every such cell was run again by somebody else and agreed, then "re-run".
        cells: how many were handed in.
        packs: sha256 of the archives they came in, separated by spaces.
        code: git revisions that their records name, separated by spaces.
        rerun_code, rerun_date: of the runs that confirmed them, the date being the last; "" while self-reported.
    """

    dataset: str
    model: str
    protocol: str
    status: str
    cells: int
    packs: str
    code: str
    rerun_code: str
    rerun_date: str


def provenance(
    cells: Iterable[PlannedCell], records: Mapping[str, Record], submitted: Mapping[str, SubmittedCell]
) -> tuple[Provenance, ...]:
    """A row for each data set, model and protocol with finished cells that were handed in, in this order."""
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for cell in cells:
        if cell.id in submitted and cell.id in records:
            found[cell.dataset, cell.model, cell.protocol].append(cell.id)
    rows = []
    for key, ids in sorted(found.items()):
        sources = [submitted[cell] for cell in ids]
        reruns = [source.rerun for source in sources if source.rerun is not None]
        confirmed = len(reruns) == len(sources)
        rows.append(
            Provenance(
                *key,
                status=RERUN if confirmed else SELF_REPORTED,
                cells=len(ids),
                packs=_joined(source.pack for source in sources),
                code=_joined(str(records[cell].run.get("git", "")) for cell in ids),
                rerun_code=_joined(rerun.code for rerun in reruns) if confirmed else "",
                rerun_date=max(rerun.date for rerun in reruns) if confirmed else "",
            )
        )
    return tuple(rows)


def provenance_bytes(rows: Iterable[Provenance]) -> bytes:
    """The CSV of who handed in what; it stands beside boards that hold such rows."""
    columns = [field.name for field in fields(Provenance)]
    return csv_bytes(columns, ([getattr(row, column) for column in columns] for row in rows))


def model_mark(rows: Collection[Provenance], label: str, dataset: str = "", protocol: str = "") -> str:
    """What stands behind a model's name in a table: the mark where it is self-reported, else nothing.

    Args:
        label: as boards call the model, which may name one of its scores: "differnet [z2]".
        dataset, protocol: of the table, the protocol as planned or as printed; "" for a table over all of them.
    """
    planned = protocol.partition(" [breaks: ")[0]
    self_reported = any(
        row.status == SELF_REPORTED
        and (label == row.model or label.startswith(f"{row.model} ["))
        and dataset in ("", row.dataset)
        and planned in ("", row.protocol)
        for row in rows
    )
    return f" {MARK}" if self_reported else ""


def provenance_notes(rows: Iterable[Provenance]) -> list[str]:
    """Sentences for the head of the boards, one a model and state of its cells."""
    found: dict[tuple[str, str, str, str, str], None] = {}
    for row in rows:
        found[row.model, row.status, row.code, row.rerun_code, row.rerun_date] = None
    return [_note(*key) for key in found]


def _note(model: str, status: str, code: str, rerun_code: str, rerun_date: str) -> str:
    handed = f"handed in with code {code or 'of no known revision'}"
    if status == SELF_REPORTED:
        text = (
            f"{MARK} {model}: self-reported, {handed}; recomputed from the submitted scores, not yet run again by "
            f"anybody else ({PROVENANCE_FILE})"
        )
    else:
        by = f"code {rerun_code or 'of no known revision'}" + (f" on {rerun_date}" if rerun_date else "")
        text = f"{model}: {handed}; run again by others with {by}, with the same board figures ({PROVENANCE_FILE})"
    # Names come from strangers' plans: none may begin a line of its own.
    return " ".join(text.split())


def _joined(values: Iterable[str]) -> str:
    return " ".join(sorted({value for value in values if value}))
