"""The finished cells of a run, checked at once and judged when a board asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reshift.results.evaluation import Evaluation, evaluate, model_label
from reshift.results.plan import PlannedCell
from reshift.results.record import Record, RecordError, check_files, read_columns, read_header
from reshift.results.store import RunStore


def checked_record(store: RunStore, cell: str) -> Record:
    """The record of a finished cell, its files checked against their hashes but not decoded.

    Raises:
        RecordError: absent, damaged, or the record of another cell.
    """
    folder = store.folder(cell)
    record = read_header(folder)
    if record.cell != cell:
        raise RecordError(f"{folder}: holds the record of cell {record.cell}; delete it and run again")
    check_files(folder, record)
    return record


class JudgedCells(Mapping[str, Sequence[Evaluation]]):
    """Evaluations of finished cells of classes by cell id, headline first; each is made when first looked at."""

    def __init__(self, store: RunStore, records: Mapping[str, Record]) -> None:
        self._store = store
        self._records = records
        self._found: dict[str, Sequence[Evaluation]] = {}

    def __getitem__(self, cell: str) -> Sequence[Evaluation]:
        if cell not in self._found:
            record = self._records[cell]
            self._found[cell] = evaluate(record, read_columns(self._store.folder(cell), record))
        return self._found[cell]

    def __contains__(self, cell: object) -> bool:
        return cell in self._records

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def forget(self) -> None:
        """Let go of what was judged; whoever asks for it again has it judged again."""
        self._found.clear()

    def of_series(self, label: str, cells: Sequence[PlannedCell]) -> SeriesEvaluations:
        """The evaluations that boards call `label`, among these cells, by (split, seed)."""
        places: dict[tuple[str, int], tuple[str, int]] = {}
        for cell in cells:
            record = self._records.get(cell.id)
            names = record.scores.names if record is not None and record.scores is not None else ()
            for number, name in enumerate(names):
                if model_label(cell.model, names, name) == label:
                    places[cell.split, cell.seed] = cell.id, number
        return SeriesEvaluations(self, places)


class SeriesEvaluations(Mapping[tuple[str, int], Evaluation]):
    """Evaluations of one series by (split, seed); which there are is known without judging any."""

    def __init__(self, judged: JudgedCells, places: Mapping[tuple[str, int], tuple[str, int]]) -> None:
        self._judged = judged
        self._places = places

    def __getitem__(self, place: tuple[str, int]) -> Evaluation:
        cell, number = self._places[place]
        return self._judged[cell][number]

    def __contains__(self, place: object) -> bool:
        return place in self._places

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
