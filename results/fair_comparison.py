"""What may stand on one board: cells of the same data, splits, budget, rule of selection and seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reshift.results.identity_difference import differing_fields
from reshift.results.plan import Plan, PlannedCell
from reshift.results.submission_archive import SubmissionError

_PLACE = ("dataset", "size", "pipeline", "protocol", "split", "limit")
"""What an identity says of the pictures and the split; a limit is that of prognosis."""

_SEEN = ("control_of", "held_out", "breaks")
"""What boards say of a split beside its identity: without it a leaking split would lose its mark."""

_BUDGET = ("budget", "selection", "tuning")
_NOT_THE_METHOD = (*_PLACE, "seed", "masks", "localise")


def check_comparable(board: Plan, theirs: Sequence[PlannedCell]) -> None:
    """Refuse the first of `theirs` that cannot be compared with what stands on the board.

    A model may come on some of the board's protocols only, but on each with all of the board's splits and seeds; one
    that the board itself runs with fewer seeds (a floor, a closed form) needs no more. Budget, number of trials and
    rule of selection must be among those that the board's models of the same protocol have. A name stands for one
    method.

    Raises:
        SubmissionError: one line: which model, on which split, what differs, what to do.
    """
    known = {cell.id: cell for cell in board.cells}
    places: dict[tuple[str, str, str], list[PlannedCell]] = defaultdict(list)
    for cell in board.cells:
        places[cell.dataset, cell.protocol, cell.split].append(cell)
    methods: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for cell in board.cells:
        methods[cell.model].append(_method(cell))
    for cell in theirs:
        if cell.id in known:
            if cell != known[cell.id]:
                raise SubmissionError(
                    f"{_where(cell)}: the board has this very cell as {_where(known[cell.id])}; call it the same"
                )
            continue
        _check_place(cell, board, places)
        _check_budget(cell, board)
        if methods[cell.model] and (method := _method(cell)) not in methods[cell.model]:
            raise SubmissionError(
                f"{_where(cell)}: the board has another model of this name, {_first(methods[cell.model][0], method)}; "
                f"give yours another name in the preset and run it again"
            )
    _check_coverage(board, theirs, places)


def _check_place(cell: PlannedCell, board: Plan, places: Mapping[tuple[str, str, str], Sequence[PlannedCell]]) -> None:
    own = places.get((cell.dataset, cell.protocol, cell.split))
    if not own:
        boards = sorted({f"{c.protocol} on {c.dataset}" for c in board.cells})
        if f"{cell.protocol} on {cell.dataset}" in boards:
            raise SubmissionError(f"{_where(cell)}: the board has no such split; run the splits of the board's preset")
        raise SubmissionError(
            f"{_where(cell)}: not a protocol of this board, which has {', '.join(boards)}; hand in a run of these only"
        )
    theirs, ours = (
        {name: c.identity.get(name) for name in _PLACE} | {name: getattr(c, name) for name in _SEEN}
        for c in (cell, own[0])
    )
    if theirs != ours:
        raise SubmissionError(
            f"{_where(cell)}: not the board's data and split, {_first(ours, theirs)}; run the board's preset"
        )


def _check_budget(cell: PlannedCell, board: Plan) -> None:
    budgets = [_budget(c) for c in board.cells if (c.dataset, c.protocol) == (cell.dataset, cell.protocol)]
    if (asked := _budget(cell)) not in budgets:
        raise SubmissionError(
            f"{_where(cell)}: another budget or selection than any model of this board, {_first(budgets[0], asked)}; "
            f"run it with one of the board's"
        )


def _check_coverage(
    board: Plan, theirs: Iterable[PlannedCell], places: Mapping[tuple[str, str, str], Sequence[PlannedCell]]
) -> None:
    """Every split and seed of the board, counting what the board already has of the model."""
    together = {cell.id: cell for cell in (*board.cells, *theirs)}.values()
    found: dict[tuple[str, str, str], dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    classes: dict[tuple[str, str, str], str] = {}
    for cell in together:
        key = cell.dataset, cell.protocol, cell.model
        found[key][cell.split].add(cell.seed)
        classes[key] = _class(cell)
    for key in {(c.dataset, c.protocol, c.model): None for c in theirs}:
        for (dataset, protocol, split), own in places.items():
            if (dataset, protocol) != key[:2]:
                continue
            for seeds in _enough_seeds(own, classes[key]):
                if seeds <= found[key][split]:
                    break
            else:
                lacking = sorted({cell.seed for cell in own} - found[key][split])
                raise SubmissionError(
                    f"{key[2]} on {protocol}/{split} of {dataset}: the board also has seed "
                    f"{', '.join(map(str, lacking))}; run all its splits and seeds"
                )


def _enough_seeds(own: Sequence[PlannedCell], cls: str) -> Iterator[set[int]]:
    """Sets of seeds of which a model of this class needs one on a split of which the board has these cells."""
    yield {cell.seed for cell in own}
    for model in {cell.model for cell in own if _class(cell) == cls}:
        yield {cell.seed for cell in own if cell.model == model}


def _class(cell: PlannedCell) -> str:
    model = cell.identity.get("model")
    return str(model.get("class", model)) if isinstance(model, dict) else str(model)


def _method(cell: PlannedCell) -> dict[str, Any]:
    return {name: value for name, value in cell.identity.items() if name not in _NOT_THE_METHOD}


def _budget(cell: PlannedCell) -> dict[str, Any]:
    """Steps, rows, checks and selection; of a search the number of trials, its ranges being the model's own."""
    found = {name: cell.identity.get(name) for name in _BUDGET}
    tuning = found.pop("tuning")
    return {**found, "trials": tuning.get("trials") if isinstance(tuning, dict) else 1}


def _first(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    return differing_fields(ours, theirs)[0]


def _where(cell: PlannedCell) -> str:
    return f"{cell.model} on {cell.protocol}/{cell.split} of {cell.dataset}, seed {cell.seed}"
