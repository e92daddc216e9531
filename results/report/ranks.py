"""Mean ranks of models over data sets, drawn as bars as long as Nemenyi's critical difference."""

from __future__ import annotations

from reshift.results.boards import Boards
from reshift.results.rank_test import RankTest, board_rank_tests
from reshift.results.report.html import cell, heading, row, table, text

_WIDTH = 240


def rank_tables(boards: Boards) -> str:
    """A table a protocol with enough data sets: models whose bars do not overlap differ at 5 %."""
    tests = board_rank_tests(boards.overall, {c.model for c in boards.plan.cells})
    return "".join(_table(boards, protocol, test) for protocol, test in tests.items())


def _table(boards: Boards, protocol: str, test: RankTest) -> str:
    rows = [
        row(
            model,
            [
                heading(text(boards.marked_model(model))),
                cell(f"{rank:.2f}", round(rank, 6)),
                cell(_bar(rank, test), round(rank, 6)),
            ],
        )
        for model, rank in sorted(test.mean_ranks.items(), key=lambda item: (item[1], item[0]))
    ]
    return (
        f"<h3>{text(protocol)}, {test.blocks} data sets</h3><p>Friedman’s test: p = {test.p:.2g}. Models whose mean "
        f"ranks lie less than {test.critical_difference:.2f} apart cannot be told apart (Nemenyi, 5 %): their bars "
        "overlap.</p>" + table(["model", "mean rank", "critical difference"], rows)
    )


def _bar(rank: float, test: RankTest) -> str:
    highest, half = len(test.mean_ranks), test.critical_difference / 2

    def place(value: float) -> float:
        return (value - 1 + half) / (highest - 1 + 2 * half) * _WIDTH

    return (
        f'<svg class="ranks" aria-hidden="true" viewBox="-4 0 {_WIDTH + 8} 14">'
        f'<path class="bar" d="M{place(rank - half):.1f} 7H{place(rank + half):.1f}"/>'
        f'<circle cx="{place(rank):.1f}" cy="7" r="3.5"/></svg>'
    )
