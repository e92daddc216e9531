"""What a person reads first about each model on each protocol, taken from the boards' rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from reshift.results.board_rows import MEAN, POOLED, WORST, Row
from reshift.results.boards import Boards
from reshift.results.metrics import ALL
from reshift.results.thresholds import GOOD_QUANTILE


@dataclass(frozen=True)
class Share:
    """A count of wrong verdicts: k of n, and the exact 95 % upper bound of the share where there is one."""

    wrong: int
    n: int
    upper: float | None

    def __str__(self) -> str:
        bound = "" if self.upper is None else f", at most {self.percent} %"
        return f"{self.wrong} of {self.n}{bound}"

    @property
    def percent(self) -> int:
        """The bound in whole per cent, rounded up: a bound that is rounded down is none."""
        return ceil(100 * (self.upper if self.upper is not None else 1.0) - 1e-9)


@dataclass(frozen=True)
class Summary:
    """One line of a table; None where the board is blank or the number undefined.

    Attributes:
        auroc: the row of the mean over splits.
        worst, worst_split: AUROC on the worst split, and its name.
        gap: the row of the mean gap; None without controls.
        escapes, false_rejects: at the shared threshold, pooled over splits.
        prevalence, floor_f1: share of defective units, and F1 of calling everything defective.
    """

    dataset: str
    protocol: str
    model: str
    auroc: Row
    tier: int | None
    worst: float | None
    worst_split: str
    gap: Row | None
    escapes: Share | None
    false_rejects: Share | None
    prevalence: float | None
    floor_f1: float | None


def summaries(boards: Boards) -> dict[tuple[str, str], list[Summary]]:
    """Summaries by (data set, protocol as printed), best tier and AUROC first, unfinished models last."""
    splits: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    controls = {(c.dataset, c.protocol, c.split) for c in boards.plan.cells if c.control_of}
    for protocol, rows in boards.protocols.items():
        for row in rows:
            plain = row.group == ALL and row.metric == "auroc" and row.split not in (MEAN, WORST)
            if plain and (row.dataset, protocol, row.split) not in controls:
                splits[row.dataset, row.protocol, row.model].append(row)
    lines: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in boards.overall:
        # The same order as the headline score by construction; its .5 threshold stands in the CSV.
        if row.model.endswith("[probability]"):
            continue
        lines[row.dataset, row.protocol, row.model].append(row)
    found: dict[tuple[str, str], list[Summary]] = defaultdict(list)
    for key, headline in lines.items():
        found[key[0], key[1]].append(_summary(headline, splits[key]))
    for table in found.values():
        table.sort(key=lambda s: (s.auroc.mean is None, s.tier or 0, -(s.auroc.mean or 0.0), s.model))
    return dict(sorted(found.items()))


def _summary(rows: Sequence[Row], splits: Sequence[Row]) -> Summary:
    at = {(r.split, r.metric, r.threshold): r for r in rows}
    auroc = at[MEAN, "auroc", ""]
    worst = value(at.get((WORST, "auroc", "")))
    named = [r.split for r in splits if r.level == auroc.level and r.mean is not None and r.mean == worst]
    tier = value(at.get((MEAN, "tier", "")))

    def share(count: str, total: str, name: str) -> Share | None:
        wrong, n = value(at.get((POOLED, count, GOOD_QUANTILE))), value(at.get((POOLED, total, "")))
        if wrong is None or not n:
            return None
        return Share(int(wrong), int(n), value(at.get((POOLED, f"{name}_upper", GOOD_QUANTILE))))

    return Summary(
        dataset=auroc.dataset,
        protocol=auroc.protocol,
        model=auroc.model,
        auroc=auroc,
        tier=None if tier is None else int(tier),
        worst=worst,
        worst_split=named[0] if named else "",
        gap=at.get((MEAN, "gap", "")),
        escapes=share("escapes", "defective", "escape"),
        false_rejects=share("false_rejects", "good", "false_reject"),
        prevalence=value(at.get((POOLED, "prevalence", ""))),
        floor_f1=value(at.get((POOLED, "all_defective_f1", ""))),
    )


def value(row: Row | None) -> float | None:
    """The number of a row, None without one."""
    return None if row is None else row.mean


def number(x: float | None, digits: int = 3) -> str:
    """Fixed decimals, or nothing."""
    return "" if x is None else f"{x + 0.0:.{digits}f}"


def with_parts_interval(row: Row | None, signed: bool = False) -> str:
    """'0.921 (0.899 to 0.939)', the interval over parts left out where there is none."""
    if row is None or row.mean is None:
        return ""
    form = "{:+.3f}" if signed else "{:.3f}"
    text = form.format(row.mean)
    if row.part_low is not None and row.part_high is not None:
        text += f" ({form.format(row.part_low)} to {form.format(row.part_high)})"
    return text


def progress(boards: Boards) -> str:
    """'complete: 228 cells' or 'PARTIAL: 40 of 250 cells', those that do not apply named apart."""
    wanted = sum(not c.not_applicable for c in boards.plan.cells)
    apart = len(boards.plan.cells) - wanted
    done = len(boards.records)
    text = f"complete: {done} cells" if done == wanted else f"PARTIAL: {done} of {wanted} cells"
    return text + (f" ({apart} more do not apply)" if apart else "")
