"""What a person reads first about partial classification: a table a data set and protocol, from the board's rows."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable

from reshift.results.board_rows import MEAN
from reshift.results.partial_row import PartialRow

_READING = """\
How to read it. Parts a rule is sure of skip the re-test. **Bound**: the rate of defective parts called OK that is
promised not to be exceeded; a rule that has too few defective calibration parts to promise it abstains and re-tests
everything. **Skip**: share of tested parts that skip the re-test. **Escapes**: share of defective parts called OK, mean
over cells. **Above**: on how many cells that share exceeds the bound, which chance alone allows; **refuted**: on how
many an exact test refutes the promise. **Good called NK**: share of good parts that are scrapped unasked, bounded too.
**Cost**: per 1,000 parts, of re-tests, escapes and scrap, beside re-testing everything. **Verdict**: on the share that
skips, unless a promise is broken; a rule may skip more and cost more. The promise holds for parts like the calibration
parts: on a shifted split it is shown against what came.
"""
READING = " ".join(_READING.split())

HEAD = (
    "bound",
    "rule",
    "OK by",
    "NK by",
    "skip",
    "escapes",
    "above",
    "refuted",
    "good called NK",
    "cost",
    "verdict",
    "cells",
)


def partial_tables(
    rows: Iterable[PartialRow], name: Callable[[str, str, str], str]
) -> dict[tuple[str, str], list[list[str]]]:
    """Lines under `HEAD` by (data set, protocol), in the board's order; rows of single splits are passed over.

    Args:
        name: how tables call a model, given with data set and protocol, see `Boards.marked_model`.
    """
    tables: dict[tuple[str, str], list[list[str]]] = defaultdict(list)
    for row in rows:
        if row.split == MEAN:
            tables[row.dataset, row.protocol].append(_line(row, name))
    return dict(tables)


def _line(row: PartialRow, name: Callable[[str, str, str], str]) -> list[str]:

    def deciders(models: str) -> str:
        # A rule may name two, "a + b", and several splits their own, "a | b": at odd places stand the signs between.
        parts = enumerate(re.split(r"( [+|] )", models))
        return "".join(part if place % 2 else name(part, row.dataset, row.protocol) for place, part in parts)

    cost = "" if row.cost is None else f"{row.cost:.0f} of {row.cost_of_retesting:.0f}"
    return [
        f"{100 * row.bound:g} %",
        row.rule.replace("_", " "),
        deciders(row.ok_model),
        deciders(row.nk_model),
        "" if row.skipped is None else f"{100 * row.skipped:.0f} %",
        "" if row.escape_rate is None else f"{100 * row.escape_rate:.1f} %",
        "" if row.above is None else str(row.above),
        "" if row.broken is None else str(row.broken),
        "" if row.false_reject_rate is None else f"{100 * row.false_reject_rate:.1f} %",
        cost,
        row.verdict,
        row.cells,
    ]
