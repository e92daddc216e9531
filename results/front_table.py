"""The boards on README and docs/line.md, made from the records of published runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reshift.results.atomic_write import write_atomically
from reshift.results.board_rows import MEAN, Row
from reshift.results.boards import Boards, build_boards
from reshift.results.line_tables import localisation_table, partial_table, prognosis_table, tuning_table, views_table
from reshift.results.markdown import markdown_table
from reshift.results.metrics import ALL
from reshift.results.rank_agreement import board_means, rank_agreement
from reshift.results.store import RunStore
from reshift.results.summary import Share, number, progress, value, with_parts_interval
from reshift.results.thresholds import GOOD_QUANTILE

SHIFTS = ("acquisition", "unseen_component", "unseen_defect", "unseen_transmission")
FAMILIAR = "in_distribution"
NOISE = ("contamination-00", "contamination-10", "contamination-30")
LEAK = ("in_distribution", "published_tiles")
FLOORS = ("class_prior", "n_views", "size_brightness")
VIEWS = ("all-views", "a-view-missing", "shown-in-one")
EXPOSURES = ("all-exposures", "an-exposure-missing")
RANKED = {
    "by tile": ("tiles", "in_distribution"),
    "by session": ("sessions", "in_distribution"),
    "by image (leaks)": ("tiles", "random_image"),
}


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
            rows.append(
                (
                    shifted.auroc.mean or 0.0,
                    [boards.marked_model(model), *_cells(familiar), shifted.split, *_cells(shifted)],
                )
            )
    head = ["model", "in distribution: AUROC (95 %)", "escapes", "false rejects"]
    head += ["worst shift", "AUROC (95 %)", "escapes", "false rejects"]
    return markdown_table(head, [cells for _, cells in sorted(rows, key=lambda r: -r[0])])


def protocol_table(boards: Boards, protocols: Sequence[str]) -> list[str]:
    """Markdown lines: a row a model that has all of these protocols, its mean AUROC with interval in each column."""
    found: dict[str, dict[str, Row]] = {}
    for row in boards.overall:
        name = row.protocol.partition(" [")[0]
        if name in protocols and row.split == MEAN and row.metric == "auroc" and row.mean is not None:
            found.setdefault(row.model, {})[name] = row
    rows = [
        [boards.marked_model(model), *(with_parts_interval(columns[name]) for name in protocols)]
        for model, columns in sorted(found.items())
        if set(columns) == set(protocols) and not model.endswith("[probability]")
    ]
    return markdown_table(["model", *protocols], rows)


def rank_table(boards: Boards) -> list[str]:
    """Markdown lines: mean AUROC of every model on the boards of `RANKED`, and how far their orders agree."""
    columns = {name: board_means(boards.overall, board) for name, board in RANKED.items()}
    first, *others = RANKED
    models = sorted(set().union(*columns.values()), key=lambda m: (-columns[first].get(m, 0.0), m))
    rows = [[boards.marked_model(model), *(number(means.get(model)) for means in columns.values())] for model in models]
    lines = markdown_table(["model", *columns], rows)
    for other in others:
        found = rank_agreement(boards.overall, RANKED[first], RANKED[other], FLOORS)
        if found is not None:
            agreement = f"{found.tau:.2f} over {found.models} models, floors left out"
            lines += ["", f"Kendall's tau between the orders {first} and {other}: {agreement}."]
    return [*lines, "", progress(boards)]


def weights_table(boards: Boards) -> list[str]:
    """Markdown lines: mean AUROC of every method with ImageNet weights and with a random start."""
    found: dict[str, dict[str, Row]] = {}
    for row in boards.overall:
        method, _, start = row.model.partition(" (")
        if row.split == MEAN and row.metric == "auroc" and start.endswith(")"):
            found.setdefault(method, {})[start.removesuffix(")")] = row
    starts = ("ImageNet", "random")
    rows = [[m, *(with_parts_interval(by[s]) if s in by else "" for s in starts)] for m, by in sorted(found.items())]
    return [*markdown_table(["method", "ImageNet weights", "random start"], rows), "", progress(boards)]


BLOCKS: dict[str, tuple[tuple[str, ...], Callable[..., list[str]]]] = {
    "board": (("tiles",), lambda tiles: [*front_table(tiles), "", progress(tiles)]),
    "noise": (("tiles",), lambda tiles: protocol_table(tiles, NOISE)),
    "leak": (("tiles",), lambda tiles: protocol_table(tiles, LEAK)),
    "ranks": (("tiles-baselines",), rank_table),
    "weights": (("tiles-weights",), weights_table),
    "tuned": (("tiles-tuned", "tiles-baselines"), lambda new, old: tuning_table(new, old, ("tiles", FAMILIAR))),
    "partial": (("diecasting",), lambda shots: partial_table(shots, "chronological", (0.01, 0.02, 0.05))),
    "partial-shifted": (("diecasting",), lambda shots: partial_table(shots, "unseen_transmission", (0.05,))),
    "moulds": (("diecasting",), prognosis_table),
    "screw": (("bsdata",), prognosis_table),
    "localisation": (("localisation",), lambda tiles: localisation_table(tiles, FAMILIAR)),
    "localisation-unseen": (("localisation",), lambda tiles: localisation_table(tiles, "unseen_defect")),
    "views": (("multiview",), lambda parts: views_table(parts, VIEWS, FLOORS)),
    "exposures": (("multiview",), lambda parts: views_table(parts, EXPOSURES, FLOORS)),
}
"""What stands between the markers of a name, and the published runs it is made from."""

RUNS = sorted({run for runs, _ in BLOCKS.values() for run in runs})


def page_blocks(published: Path) -> dict[str, list[str]]:
    """What stands between which markers of the pages, from the records of the published runs."""
    boards = {run: build_boards(store := RunStore(published / run), store.read_plan()) for run in RUNS}
    return {name: shown(*(boards[run] for run in runs)) for name, (runs, shown) in BLOCKS.items()}


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
    """`front_table LEADERBOARDS PAGE...`: renew the boards on these pages.

    Raises:
        ValueError: a board stands on none of the pages.
    """
    published, pages = Path(arguments[0]), [Path(page) for page in arguments[1:]]
    texts = {page: page.read_text(encoding="utf-8") for page in pages}
    for name, lines in page_blocks(published).items():
        page = next((page for page in pages if f"<!-- {name} -->" in texts[page]), pages[0])
        texts[page] = replace_between(texts[page], name, lines)
    for page, text in texts.items():
        write_atomically(page, text.encode())


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
