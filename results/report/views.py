"""What the report shows of each board: its summaries and its AUROCs split by split, with a place for links to go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from reshift.results.board_rows import MEAN, POOLED, WORST, Row
from reshift.results.boards import Boards
from reshift.results.metrics import ALL
from reshift.results.plan import Plan, PlannedCell
from reshift.results.provenance import model_mark
from reshift.results.summary import Summary, summaries

SHOWN = 6
"""Models that a plot draws in colour, and of which verdicts are shown: as many as colours can be told apart."""


class CellPlaces:
    """Numbers for boards, models and splits, so that a link names the cells behind a figure in a few characters."""

    def __init__(self, plan: Plan) -> None:
        cells = plan.cells
        self.boards = sorted({(c.dataset, c.protocol) for c in cells})
        self.models = sorted({c.model for c in cells})
        self.splits = sorted({c.split for c in cells})
        self._board = {key: number for number, key in enumerate(self.boards)}
        self._model = {key: number for number, key in enumerate(self.models)}
        self._split = {key: number for number, key in enumerate(self.splits)}

    def of(self, cell: PlannedCell) -> tuple[int, int, int]:
        """Board, model and split of a cell."""
        return self._board[cell.dataset, cell.protocol], self._model[cell.model], self._split[cell.split]

    def board(self, dataset: str, protocol: str) -> int:
        """The number of a board; `protocol` as planned, or as printed, where it may end in what its splits break."""
        planned = (dataset, protocol) in self._board
        return self._board[dataset, protocol if planned else protocol.partition(" [breaks: ")[0]]

    def model(self, label: str) -> str:
        """The planned model behind a board's label, which may name one of its scores: 'differnet [z2]'."""
        return label if label in self._model else label.rpartition(" [")[0]

    def target(self, board: int, label: str, split: str = "") -> str:
        """Where a figure of this model leads: to its cells on the board, or on one of its splits."""
        target = f"b{board}/m{self._model[self.model(label)]}"
        return f"{target}/s{self._split[split]}" if split else target


@dataclass(frozen=True)
class BoardView:
    """One data set and protocol.

    Attributes:
        number: its place among `CellPlaces.boards`.
        protocol, title: its name as planned, and as boards print it, marks included.
        table: a summary a model, best first.
        splits: names of its splits, controls left out.
        aurocs: the row of a model on a split, at the level that the model is headed at.
        best: the first finished models of the table, at most `SHOWN`; second scores of a model do not count.
        marks: what stands behind the name of a model that is self-reported.
    """

    number: int
    dataset: str
    protocol: str
    title: str
    table: tuple[Summary, ...]
    splits: tuple[str, ...]
    aurocs: Mapping[tuple[str, str], Row]
    best: tuple[str, ...]
    marks: Mapping[str, str] = field(default_factory=dict)

    def marked_model(self, model: str) -> str:
        """The model as tables name it."""
        return model + self.marks.get(model, "")


def board_views(boards: Boards, places: CellPlaces) -> tuple[BoardView, ...]:
    """A view a board of classes, in the order of data sets and protocols."""
    protocols = {(r.dataset, r.protocol): name for name, rows in boards.protocols.items() for r in rows}
    controls = {(c.dataset, c.protocol, c.split) for c in boards.plan.cells if c.control_of}
    rows: dict[tuple[str, str], dict[tuple[str, str], list[Row]]] = defaultdict(lambda: defaultdict(list))
    for name, found in boards.protocols.items():
        for r in found:
            plain = r.group == ALL and r.metric == "auroc" and r.split not in (MEAN, WORST, POOLED)
            if plain and (r.dataset, name, r.split) not in controls:
                rows[r.dataset, name][r.model, r.split].append(r)
    views = []
    for (dataset, title), table in summaries(boards).items():
        protocol = protocols[dataset, title]
        levels = {summary.model: summary.auroc.level for summary in table}
        aurocs = {
            key: row
            for key, candidates in rows[dataset, protocol].items()
            for row in candidates
            if row.level == levels.get(key[0])
        }
        splits = tuple(sorted({split for _, split in aurocs}))
        number = places.board(dataset, protocol)
        best = [s.model for s in table if s.auroc.mean is not None and places.model(s.model) == s.model][:SHOWN]
        marks = {s.model: model_mark(boards.provenance, s.model, dataset, protocol) for s in table}
        views.append(BoardView(number, dataset, protocol, title, tuple(table), splits, aurocs, tuple(best), marks))
    return tuple(views)
