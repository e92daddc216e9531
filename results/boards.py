"""Boards of a run, rebuilt from its plan and records: one per protocol, one over all, one of costs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from reshift.results.board_cache import BoardCache
from reshift.results.board_family import HEAD, families, family_rows
from reshift.results.board_file import cost_bytes, position, rows_bytes
from reshift.results.board_rows import Row
from reshift.results.judged_cells import JudgedCells, checked_record
from reshift.results.label_error_board import LabelErrorRow, label_error_bytes, label_error_rows
from reshift.results.localisation_board import LocalisationRow, localisation_bytes, localisation_rows
from reshift.results.localisation_file import LOCALISATION_FILE, LocalisationFrame, decode_localisation
from reshift.results.partial_board import partial_bytes, partial_rows
from reshift.results.partial_row import PartialRow
from reshift.results.plan import Plan, PlannedCell
from reshift.results.prognosis_board import PrognosisRow, prognosis_bytes, prognosis_rows
from reshift.results.provenance import PROVENANCE_FILE, Provenance, model_mark, provenance, provenance_bytes
from reshift.results.published import published_bytes
from reshift.results.rank_test import rank_bytes
from reshift.results.record import RECORD_FILE, Record, RecordError, decoding
from reshift.results.removals import removal_bytes
from reshift.results.risk_coverage import risk_coverage_bytes
from reshift.results.store import RunStore
from reshift.results.tuning_file import tuning_bytes
from reshift.results.view_evidence_file import VIEW_EVIDENCE_FILE, decode_view_evidence
from reshift.results.view_hits import image_evidence, view_bytes, view_hits

OVERALL = "overall"

Progress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True)
class Boards:
    """Everything a run's boards show.

    Attributes:
        protocols: rows on all units by protocol name (unmarked), every split and metric.
        lines: the CSV of each protocol: these rows, and those on components and defects.
        overall: headline rows of every data set, model and protocol.
        label_errors: what wrong test labels do to the headline figures; empty where nobody says how many are wrong.
        prognosis: rows of the methods that forecast remaining life; empty without any.
        forecasts: what those rows are made of, by cell id.
        localisation: rows on anomaly maps; empty where none was judged.
        views: how often the view with the most evidence shows the defect, by cell, see `view_hits`.
        partial: rows of partial classification; empty where the plan asks for none or no cell has calibration parts.
        risk_coverage: `risk_coverage.csv` of the same models, or None.
        records: headers of the finished cells by cell id, for `cost.csv`.
        problems: one line a record that could not be read; its cell counts as missing.
        provenance: which rows were handed in by others; empty where none was.
    """

    plan: Plan
    protocols: Mapping[str, tuple[Row, ...]]
    lines: Mapping[str, bytes]
    overall: tuple[Row, ...]
    label_errors: tuple[LabelErrorRow, ...]
    prognosis: tuple[PrognosisRow, ...]
    forecasts: Mapping[str, pd.DataFrame]
    localisation: tuple[LocalisationRow, ...]
    views: Mapping[str, pd.DataFrame]
    partial: tuple[PartialRow, ...]
    risk_coverage: bytes | None
    records: Mapping[str, Record]
    problems: tuple[str, ...]
    provenance: tuple[Provenance, ...]

    def marked_model(self, label: str, dataset: str = "", protocol: str = "") -> str:
        """A model as tables name it, marked where its cells are self-reported; see `model_mark` for the arguments."""
        return label + model_mark(self.provenance, label, dataset, protocol)

    def files(self) -> dict[str, bytes]:
        """The CSVs by file name; all but `cost.csv` depend on plan and scores alone, to the byte."""
        named = {f"{file_name(p)}.csv": content for p, content in self.lines.items()}
        files = {**named, f"{OVERALL}.csv": rows_bytes(self.overall), "cost.csv": cost_bytes(self.plan, self.records)}
        for name, content in (
            ("tuning.csv", tuning_bytes(self.records)),
            ("removals.csv", removal_bytes(self.records)),
            ("label_errors.csv", label_error_bytes(self.label_errors) if self.label_errors else None),
            ("localisation.csv", localisation_bytes(self.localisation) if self.localisation else None),
            ("views.csv", view_bytes(self.records, self.views) if self.views else None),
            ("partial.csv", partial_bytes(self.partial) if self.partial else None),
            ("risk_coverage.csv", self.risk_coverage),
            (PROVENANCE_FILE, provenance_bytes(self.provenance) if self.provenance else None),
            ("ranks.csv", rank_bytes(self.overall, {cell.model for cell in self.plan.cells})),
        ):
            if content is not None:
                files[name] = content
        if self.prognosis:
            files["prognosis.csv"] = prognosis_bytes(self.prognosis)
            files |= self.pictures()
        if self.plan.published:
            files["published.csv"] = published_bytes(self.plan.published, self.overall)
        return files

    def pictures(self) -> dict[str, bytes]:
        """The pictures of forecasts by file name."""
        # Drawing needs matplotlib, whose import boards without forecasts need not wait for.
        from reshift.results.prognosis_gallery import prognosis_pictures

        drawn = prognosis_pictures((c for c in self.plan.cells if c.forecasts), self.forecasts)
        return {picture_name(*key, kind): svg for key, kinds in drawn.items() for kind, svg in kinds.items()}


def picture_name(dataset: str, protocol: str, model: str, kind: str) -> str:
    """The file a picture of forecasts is in, beside the CSVs."""
    return file_name(f"{dataset}_{protocol}_{model}_{kind}") + ".svg"


def file_name(protocol: str) -> str:
    """A protocol's name with everything but letters, digits and ._=+- replaced."""
    return re.sub(r"[^\w.=+-]+", "_", protocol)


def build_boards(
    store: RunStore, plan: Plan, cache: BoardCache | None = None, progress: Progress | None = None
) -> Boards:
    """Judge every finished cell of the plan and lay out the boards.

    Cells are read in the order of their ids; who wrote them, when, and in which order plays no part. A missing cell
    leaves its rows blank and its protocol without mean, worst split, gap and tier.

    Args:
        cache: where rows of an earlier build are taken from, and this one's are left; the boards are the same, to the
            byte, with it and without.
        progress: told how many boards were judged, and of how many.
    """
    records: dict[str, Record] = {}
    forecasts: dict[str, pd.DataFrame] = {}
    maps: dict[str, LocalisationFrame] = {}
    evidence: dict[str, pd.DataFrame] = {}
    problems: list[str] = []
    for cell in sorted(plan.cells, key=lambda c: c.id):
        if cell.not_applicable or not (store.folder(cell.id) / RECORD_FILE).exists():
            continue
        try:
            record = checked_record(store, cell.id)
            if cell.forecasts:
                forecasts[cell.id] = store.read(cell.id)[1]
            if (content := store.attachment(record, LOCALISATION_FILE)) is not None:
                with decoding(store.folder(cell.id) / LOCALISATION_FILE):
                    maps[cell.id] = decode_localisation(content)
            if (content := store.attachment(record, VIEW_EVIDENCE_FILE)) is not None:
                with decoding(store.folder(cell.id) / VIEW_EVIDENCE_FILE):
                    evidence[cell.id] = view_hits(decode_view_evidence(content))
        except RecordError as error:
            problems.append(str(error))
            for read in (forecasts, maps, evidence):
                read.pop(cell.id, None)
            continue
        records[cell.id] = record
    judged = JudgedCells(store, {name: record for name, record in records.items() if name not in forecasts})
    # Families come data set by data set, and their rows in order: what is strung together is in order too.
    protocols: dict[str, list[Row]] = defaultdict(list)
    lines: dict[str, list[bytes]] = defaultdict(lambda: [HEAD])
    overall: list[Row] = []
    label_errors: list[LabelErrorRow] = []
    every = families(plan, judged, records)
    for done, ((dataset, protocol), family) in enumerate(every.items(), 1):
        found = cache.rows(family, records) if cache else family_rows(family)
        protocols[protocol] += found.rows
        lines[protocol].append(found.lines)
        overall += found.headlines
        if (stated := plan.label_errors.get(dataset)) is not None:
            label_errors += [r for s in family for r in label_error_rows(s, found.rows, found.levels[s.model], stated)]
        if plan.partial is None:
            # Nobody asks for these cells again, and ten thousand of them would not fit.
            judged.forget()
        if progress is not None:
            progress(done, len(every))
    if cache:
        cache.forget_the_rest()
    wanted = plan.partial
    return Boards(
        plan=plan,
        protocols={name: tuple(rows) for name, rows in sorted(protocols.items())},
        lines={name: b"".join(parts) for name, parts in lines.items()},
        overall=tuple(sorted(overall, key=position)),
        label_errors=tuple(label_errors),
        prognosis=tuple(prognosis_rows((cell for cell in plan.cells if cell.forecasts), forecasts)),
        forecasts=forecasts,
        views=_views(store, judged, records, evidence),
        localisation=localisation_rows((c for c in plan.cells if c.id in maps or _unseen(c, records)), maps),
        partial=tuple(partial_rows(wanted, plan.cells, judged) if wanted else ()),
        risk_coverage=risk_coverage_bytes(wanted, plan.cells, judged) if wanted else None,
        records=records,
        problems=tuple(problems),
        provenance=provenance(plan.cells, records, store.submitted()),
    )


def _unseen(cell: PlannedCell, records: Mapping[str, Record]) -> bool:
    """Whether the maps of a cell are still to come; a finished cell without them had no mask to be judged by."""
    return bool(cell.identity.get("localise")) and not cell.not_applicable and cell.id not in records


def _views(
    store: RunStore, cells: Iterable[str], records: Mapping[str, Record], evidence: Mapping[str, pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    """What evidence says of the views of parts, by cell; of interest beside a model that weighs views only.

    A cell whose images are scored one by one has it in its scores; one where no part tells views apart is left out.
    """
    if not evidence:
        return {}
    images = (cell for cell in cells if cell not in evidence and records[cell].unit == "image")
    found = {**evidence, **{cell: view_hits(image_evidence(store.read(cell)[1])) for cell in images}}
    return {cell: hits for cell, hits in found.items() if not hits.empty}
