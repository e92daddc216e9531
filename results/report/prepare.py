"""All that the report of a run says, read once from its folder; pictures may be added afterwards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reshift.results.board_cache import BoardCache
from reshift.results.boards import Boards, Progress, build_boards
from reshift.results.judged_cells import JudgedCells
from reshift.results.leaderboard import CACHE_FOLDER
from reshift.results.plan import PlannedCell
from reshift.results.report.examined import Examined, WrongPart, examine
from reshift.results.report.logs import log_tails
from reshift.results.report.rounds import Truth, true_labels
from reshift.results.report.views import BoardView, CellPlaces, board_views
from reshift.results.store import Failure, RunStore, Status

WRONG_PARTS = 12


@dataclass(frozen=True)
class Report:
    """What a run's report is made of.

    Attributes:
        views: the boards of classes, and `examined` what their scores say, in the same order.
        truth: labels of the samples that refinement removed, as far as the run's scores tell.
        status: of every cell that applies, by id; `failures` of those that failed.
        logs: see `log_tails`.
    """

    run: Path
    boards: Boards
    places: CellPlaces
    views: tuple[BoardView, ...]
    examined: tuple[Examined, ...]
    truth: Truth
    status: Mapping[str, Status]
    failures: Mapping[str, Failure]
    logs: Mapping[str, str]

    @property
    def wrong(self) -> tuple[WrongPart, ...]:
        """The most wrong parts of every board's best model, of which a caller may give pictures."""
        return tuple(part for found in self.examined for part in found.wrong)


def prepare_report(run: Path, wrong: int = WRONG_PARTS, progress: Progress | None = None) -> Report:
    """Read a run folder, finished or not: its plan, boards, records, scores and failures.

    Args:
        wrong: how many parts to name on each board; 0 names none.
        progress: told how far it is: every board is judged, then looked at.

    Raises:
        FileNotFoundError, ValueError: no plan, or one of another schema.
        RecordError: a scores file that was altered after its record was checked.
    """
    store = RunStore(run)

    def tell(done: int, total: int) -> None:
        if progress is not None:
            progress(done, 2 * total)

    boards = build_boards(store, store.read_plan(), BoardCache(run / CACHE_FOLDER), tell)
    places = CellPlaces(boards.plan)
    views = board_views(boards, places)
    judged = JudgedCells(store, {name: r for name, r in boards.records.items() if r.unit != "sequence"})
    cells: dict[tuple[str, str], list[PlannedCell]] = defaultdict(list)
    for cell in boards.plan.cells:
        cells[cell.dataset, cell.protocol].append(cell)
    examined = []
    for done, view in enumerate(views, start=1):
        examined.append(examine(view, cells[view.dataset, view.protocol], judged, wrong))
        # A board's cells are asked for once, and ten thousand of them would not fit.
        judged.forget()
        tell(len(views) + done, len(views))
    status = store.statuses(c.id for c in boards.plan.cells if not c.not_applicable)
    failures = {name: f for name, s in status.items() if s is Status.FAILED and (f := store.failure(name)) is not None}
    truth = true_labels(store, boards.records.values())
    logs = log_tails(store, status)
    return Report(run, boards, places, views, tuple(examined), truth, status, failures, logs)
