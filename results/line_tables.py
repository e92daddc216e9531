"""Tables of docs/line.md from published runs: who skips the re-test, remaining life, where defects are seen, views."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from reshift.results import localisation_summary, partial_summary, prognosis_summary
from reshift.results.board_rows import MEAN
from reshift.results.boards import Boards
from reshift.results.markdown import markdown_table, marked_table
from reshift.results.rank_agreement import board_means
from reshift.results.summary import number, progress, with_parts_interval


def partial_table(boards: Boards, protocol: str, bounds: Collection[float]) -> list[str]:
    """Markdown lines: every rule at these bounds on one protocol."""
    rows = [row for row in boards.partial if row.bound in bounds]
    tables = partial_summary.partial_tables(rows, boards.marked_model)
    (found,) = (lines for (_, name), lines in tables.items() if name == protocol)
    return [*markdown_table(partial_summary.HEAD, found), "", progress(boards)]


def prognosis_table(boards: Boards) -> list[str]:
    """Markdown lines: every prognosis method, smallest error first."""
    ((board, rows),) = prognosis_summary.prognosis_tables(boards.prognosis).items()
    return [*marked_table(boards, prognosis_summary.HEAD, board, rows), "", progress(boards)]


def localisation_table(boards: Boards, protocol: str) -> list[str]:
    """Markdown lines: every model that gives anomaly maps on one protocol, best first."""
    tables = localisation_summary.localisation_tables(boards.localisation)
    ((board, rows),) = (found for found in tables.items() if found[0][1] == protocol)
    return [*marked_table(boards, localisation_summary.HEAD, board, rows), "", progress(boards)]


def views_table(boards: Boards, protocols: Sequence[str], left_out: Collection[str]) -> list[str]:
    """Markdown lines: a row a model, its mean AUROC by part on each protocol; models `left_out` are floors."""
    rows: dict[str, dict[str, str]] = {}
    for row in boards.overall:
        plain = row.metric == "auroc" and row.split == MEAN and "[" not in row.model
        if plain and row.protocol in protocols and row.level == "part" and row.model not in left_out:
            rows.setdefault(row.model, {})[row.protocol] = with_parts_interval(row)
    lines = [
        [boards.marked_model(model), *(found.get(p, "") for p in protocols)] for model, found in sorted(rows.items())
    ]
    return [*markdown_table(["model", *protocols], lines), "", progress(boards)]


def tuning_table(tuned: Boards, untuned: Boards, board: tuple[str, str]) -> list[str]:
    """Markdown lines: mean AUROC of every model with and without tuning on the same splits, best tuned first.

    Args:
        board: data set and protocol, as both runs call them.
    """
    before, after = board_means(untuned.overall, board), board_means(tuned.overall, board)
    models = sorted(after, key=lambda m: (-after[m], m))
    lines = [[m, number(before.get(m)), number(after[m]), _signed(before.get(m), after[m])] for m in models]
    head = ["model", "as it stands", "best of 5 on validation", "change"]
    return [*marked_table(tuned, head, board, lines), "", progress(tuned)]


def _signed(before: float | None, after: float) -> str:
    return "" if before is None else f"{after - before + 0.0:+.3f}"
