"""The README's first board: in-distribution against the worst shift, made from a published run's records."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reshift.results.atomic_write import write_atomically
from reshift.results.board_rows import Row
from reshift.results.boards import Boards, build_boards
from reshift.results.markdown import markdown_table
from reshift.results.metrics import ALL
from reshift.results.store import RunStore
from reshift.results.summary import Share, progress, value, with_parts_interval
from reshift.results.thresholds import GOOD_QUANTILE

SHIFTS = ("acquisition", "unseen_component", "unseen_defect", "unseen_transmission")
FAMILIAR = "in_distribution"


@dataclass(frozen=True)
class Figures:
    """One model on one split, at part level: AUROC and the two ways to be wrong."""

    split: str
    auroc: Row
    escapes: Share | None
    false_rejects: Share | None


def front_table(boards: Boards) -> list[str]:
    """Markdown lines: a row a model, best worst shift first; a model without part-level figures is left out.

    In-distribution figures are those of its worst fold, so that both sides are one test set each and their counts
    mean the same.
    """
    rows = []
    for model in sorted({c.model for c in boards.plan.cells}):
        familiar = _worst(boards, model, (FAMILIAR,))
        shifted = _worst(boards, model, SHIFTS)
        if familiar is not None and shifted is not None:
            rows.append((shifted.auroc.mean or 0.0, [model, *_cells(familiar), shifted.split, *_cells(shifted)]))
    head = ["model", "in distribution: AUROC (95 %)", "escapes", "false rejects"]
    head += ["worst shift", "AUROC (95 %)", "escapes", "false rejects"]
    return markdown_table(head, [cells for _, cells in sorted(rows, key=lambda r: -r[0])])


def replace_between(text: str, name: str, lines: Sequence[str]) -> str:
    """The text with what stands between `<!-- name -->` and `<!-- end name -->` replaced.

    Raises:
        ValueError: the markers are not there.
    """
    start, end = f"<!-- {name} -->", f"<!-- end {name} -->"
    if start not in text or end not in text:
        raise ValueError(f"the markers {start} and {end} are not in the file; add them where the board should stand")
    before, _, rest = text.partition(start)
    return before + start + "\n" + "\n".join(lines) + "\n" + end + rest.partition(end)[2]


def main(arguments: Sequence[str]) -> None:
    """`front_table RUN README`: renew the README's board."""
    run, readme = Path(arguments[0]), Path(arguments[1])
    store = RunStore(run)
    boards = build_boards(store, store.read_plan())
    text = replace_between(readme.read_text(encoding="utf-8"), "board", [*front_table(boards), "", progress(boards)])
    write_atomically(readme, text.encode())


def _worst(boards: Boards, model: str, protocols: Sequence[str]) -> Figures | None:
    found = list(_figures(boards, model, protocols))
    return min(found, key=lambda f: (f.auroc.mean or 0.0, f.split)) if found else None


def _figures(boards: Boards, model: str, protocols: Sequence[str]) -> Iterator[Figures]:
    controls = {(c.protocol, c.split) for c in boards.plan.cells if c.control_of}
    planned = {(c.protocol, c.split) for c in boards.plan.cells if c.protocol in protocols} - controls
    for protocol, split in sorted(planned):
        at = {
            (r.metric, r.threshold): r
            for r in boards.protocols[protocol]
            if r.model == model and r.split == split and r.group == ALL and r.level == "part"
        }
        auroc = at.get(("auroc", ""))
        if auroc is not None and auroc.mean is not None:
            yield Figures(split, auroc, _share(at, "escapes", "defective"), _share(at, "false_rejects", "good"))


def _share(at: dict[tuple[str, str], Row], count: str, total: str) -> Share | None:
    wrong, n = value(at.get((count, GOOD_QUANTILE))), value(at.get((total, "")))
    if wrong is None or not n:
        return None
    bound = value(at.get((f"{count.removesuffix('s')}_upper", GOOD_QUANTILE)))
    return Share(round(wrong), round(n), bound)


def _cells(figures: Figures) -> list[str]:
    return [with_parts_interval(figures.auroc), str(figures.escapes or ""), str(figures.false_rejects or "")]


if __name__ == "__main__":
    main(sys.argv[1:])
