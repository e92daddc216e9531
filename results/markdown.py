"""The Markdown twin of a run's boards, for people: one table a data set and protocol."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from reshift.results.boards import Boards, file_name, picture_name
from reshift.results.label_error_summary import HEAD as LABEL_ERROR_HEAD
from reshift.results.label_error_summary import READING as LABEL_ERROR_READING
from reshift.results.label_error_summary import label_error_notes, label_error_tables
from reshift.results.localisation_summary import HEAD as LOCALISATION_HEAD
from reshift.results.localisation_summary import READING as LOCALISATION_READING
from reshift.results.localisation_summary import localisation_tables
from reshift.results.partial_summary import HEAD as PARTIAL_HEAD
from reshift.results.partial_summary import READING as PARTIAL_READING
from reshift.results.partial_summary import partial_tables
from reshift.results.prognosis_summary import HEAD as PROGNOSIS_HEAD
from reshift.results.prognosis_summary import READING as PROGNOSIS_READING
from reshift.results.prognosis_summary import prognosis_tables
from reshift.results.provenance import PROVENANCE_FILE, provenance_notes
from reshift.results.published import beside
from reshift.results.rank_test import board_rank_tests
from reshift.results.removals import removals
from reshift.results.statistics import MIN_PARTS
from reshift.results.summary import Summary, number, progress, summaries, with_parts_interval
from reshift.results.thresholds import ALPHA, smallest_good_count

_READING = f"""\
How to read it. **AUROC**: how often a defective part scores above a good one (0.5 is guessing, 1 perfect), mean over
splits and seeds, with the 95 % interval over parts (none below {MIN_PARTS} parts of a class). **± seeds**: half width
of the 95 % interval over seeds. **Worst split**: the split with the lowest AUROC. **Gap**: AUROC lost to the shift,
measured against a matched control on the same parts; an interval above 0 is a real loss. **Escapes**: defective called
good; **false rejects**: good called defective; both at the threshold that is meant to reject {100 * ALPHA:.0f} % of
good ones (it needs {smallest_good_count(ALPHA)} good validation parts), over all splits, each part counted once, mean
over seeds rounded up, "at most" an exact 95 % bound for new parts like these. **Tier**: models of one tier cannot be
told apart on these parts; their order means nothing.
"""


def markdown(boards: Boards, files: Collection[str]) -> str:
    """`leaderboards/README.md`; every number in it stands in one of the `files` beside it."""
    plan = boards.plan
    lines = [f"# Leaderboards of run `{plan.name}`", "", f"**{progress(boards)}**", ""]
    lines += [f"- {note}" for note in (*plan.notes, *provenance_notes(boards.provenance))]
    lines += [f"- unreadable, counted as missing: {problem}" for problem in boards.problems]
    lines += ["", *([" ".join(_READING.split()), ""] if boards.protocols else [])]
    for (dataset, protocol), table in summaries(boards).items():
        lines += [f"## {dataset}: {protocol}", ""]
        if "[breaks: " in protocol:
            lines += [
                "> **MARKED BOARD.** Training and test are not independent here, so these numbers flatter the models. "
                "It is shown for comparison only.",
                "",
            ]
        lines += [*_head(table), "", *_table(boards, table), ""]
    lines += [*_label_errors(boards), *_localisation(boards), *_partial(boards), *_prognosis(boards, files)]
    lines += [*_ranks(boards), *_published(boards), *_removals(boards), *_skipped(boards)]
    lines += ["## Files", ""]
    lines += [f"- `{file_name(p)}.csv`: every split, component, defect, metric and threshold" for p in boards.protocols]
    lines += ["- `overall.csv`: the tables above", "- `cost.csv`: measured time, throughput, size and memory"]
    for name, text in (
        ("tuning.csv", "every trial of tuning and which was chosen"),
        ("removals.csv", "what refinement removed, good and bad"),
        ("ranks.csv", "ranks over data sets"),
        ("published.csv", "published figures beside ours"),
        ("label_errors.csv", "bounds of the headline figures under wrong test labels"),
        ("views.csv", "how often the view with the most evidence of a defect shows it"),
        ("localisation.csv", "anomaly maps against masks, by split, size and kind of defect"),
        ("partial.csv", "parts that skip a re-test, promised and realised escapes, costs, by split and seed"),
        ("risk_coverage.csv", "how wrong each model is on the parts it is surest of"),
        (PROVENANCE_FILE, "rows that were handed in by others, and who has run them again"),
        ("prognosis.csv", "every metric of remaining life, by split and over all sequences"),
    ):
        lines += [f"- `{name}`: {text}"] if name in files else []
    lines.append("")
    return "\n".join(lines)


def _head(table: Sequence[Summary]) -> list[str]:
    known = [s for s in table if s.prevalence is not None and s.floor_f1 is not None]
    levels = {s.auroc.level for s in table}
    level = "" if levels == {"part"} else "Judged by " + " and ".join(sorted(levels)) + ". "
    if not known:
        return [f"{level}Not complete, so no prevalence and floor yet."]
    first = known[0]
    unit = "parts" if first.auroc.level == "part" else "images"
    return [
        f"{level}Of the tested {unit}, {100 * (first.prevalence or 0):.0f} % are defective; calling everything "
        f"defective has F1 {number(first.floor_f1)}, the floor for any F1 in the CSV."
    ]


def _table(boards: Boards, table: Sequence[Summary]) -> list[str]:
    gaps = any(s.gap is not None for s in table)
    head = ["tier", "model", "AUROC", "± seeds", "worst split", "escapes", "false rejects", "parts", "cells"]
    rows = []
    for s in table:
        worst = f"{number(s.worst)} ({s.worst_split})" if s.worst is not None else ""
        model = boards.marked_model(s.model, s.dataset, s.protocol)
        row = [str(s.tier or ""), model, with_parts_interval(s.auroc), _half_width(s), worst]
        row += [str(s.escapes or ""), str(s.false_rejects or ""), str(s.auroc.n_parts or ""), s.auroc.coverage]
        if gaps:
            row.insert(5, with_parts_interval(s.gap, signed=True))
        rows.append(row)
    if gaps:
        head.insert(5, "gap")
    return markdown_table(head, rows)


def _half_width(s: Summary) -> str:
    row = s.auroc
    if row.mean is None or row.seed_low is None or row.seed_high is None:
        return ""
    # The wider side: the other may have been clipped at 1.
    return number(max(row.mean - row.seed_low, row.seed_high - row.mean))


def _label_errors(boards: Boards) -> list[str]:
    tables, notes = label_error_tables(boards.label_errors), label_error_notes(boards.label_errors)
    lines = [LABEL_ERROR_READING, ""] if tables else []
    for (dataset, protocol), rows in tables.items():
        lines += [f"## {dataset}: {protocol}, if test labels are wrong", "", notes[dataset, protocol], ""]
        lines += [*marked_table(boards, LABEL_ERROR_HEAD, (dataset, protocol), rows), ""]
    return lines


def _localisation(boards: Boards) -> list[str]:
    tables = localisation_tables(boards.localisation)
    lines = [LOCALISATION_READING, ""] if tables else []
    for (dataset, protocol), rows in tables.items():
        lines += [f"## {dataset}: {protocol}, where defects are seen", ""]
        lines += [*marked_table(boards, LOCALISATION_HEAD, (dataset, protocol), rows), ""]
    return lines


def _partial(boards: Boards) -> list[str]:
    tables = partial_tables(boards.partial, boards.marked_model)
    lines = [PARTIAL_READING, ""] if tables else []
    for (dataset, protocol), rows in tables.items():
        lines += [f"## {dataset}: {protocol}, who skips the re-test", "", *markdown_table(PARTIAL_HEAD, rows), ""]
    return lines


def _prognosis(boards: Boards, files: Collection[str]) -> list[str]:
    tables = prognosis_tables(boards.prognosis)
    lines = [PROGNOSIS_READING, ""] if tables else []
    for (dataset, protocol), rows in tables.items():
        lines += [f"## {dataset}: {protocol}, remaining life", ""]
        lines += [*marked_table(boards, PROGNOSIS_HEAD, (dataset, protocol), rows), ""]
        for model, *_ in rows:
            drawn = [picture_name(dataset, protocol, model, kind) for kind in ("sequence", "lives")]
            lines += [f"![Forecasts of {model}]({name})" for name in drawn if name in files]
        lines.append("")
    return lines


def _ranks(boards: Boards) -> list[str]:
    lines: list[str] = []
    for protocol, test in board_rank_tests(boards.overall, {cell.model for cell in boards.plan.cells}).items():
        rows = [
            [boards.marked_model(model), f"{rank:.2f}"]
            for model, rank in sorted(test.mean_ranks.items(), key=lambda i: (i[1], i[0]))
        ]
        lines += [
            f"## Ranks over {test.blocks} data sets: {protocol}",
            "",
            f"Friedman's test: p = {test.p:.2g}. Models whose mean ranks lie less than {test.critical_difference:.2f} "
            "apart cannot be told apart (Nemenyi, 5 %).",
            "",
            *markdown_table(["model", "mean rank"], rows),
            "",
        ]
    return lines


def _published(boards: Boards) -> list[str]:
    rows = []
    for found in beside(boards.plan.published, boards.overall):
        f = found.published
        model = boards.marked_model(f.model, f.dataset, f.protocol)
        rows.append([f.dataset, model, f.protocol, number(f.value), number(found.ours), found.level, f.source])
    if not rows:
        return []
    head = ["data", "model", "protocol", "published AUROC", "ours", "by", "source"]
    return ["## Published beside ours", "", *markdown_table(head, rows), ""]


def _removals(boards: Boards) -> list[str]:
    rows = [
        [dataset, boards.marked_model(model, dataset, protocol), protocol, *map(str, counts)]
        for (dataset, model, protocol), counts in removals(boards.records).items()
    ]
    if not rows:
        return []
    head = ["data", "model", "protocol", "cells", "wrong pictures injected", "of them removed", "good ones removed"]
    return ["## What refinement removed", "", *markdown_table(head, rows), ""]


def _skipped(boards: Boards) -> list[str]:
    lines: list[str] = []
    if boards.plan.skipped:
        lines += ["## Protocols that these data cannot carry", ""]
        lines += [*markdown_table(["data", "protocol", "reason"], boards.plan.skipped), ""]
    reasons = Counter((c.dataset, c.model, c.protocol, c.not_applicable) for c in boards.plan.cells if c.not_applicable)
    if reasons:
        lines += ["## Models that do not apply", ""]
        rows = [[*key[:3], str(n), key[3]] for key, n in sorted(reasons.items())]
        lines += [*markdown_table(["data", "model", "protocol", "cells", "reason"], rows), ""]
    return lines


def marked_table(
    boards: Boards, head: Sequence[str], board: tuple[str, str], rows: Sequence[Sequence[str]]
) -> list[str]:
    """A table of one data set and protocol whose first column names models."""
    return markdown_table(head, [[boards.marked_model(model, *board), *others] for model, *others in rows])


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table, padded so that its source reads as a table too."""
    cells = [[c.replace("|", "\\|").replace("\n", " ") for c in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    text = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in cells]
    return [text[0], "| " + " | ".join("-" * w for w in widths) + " |", *text[1:]]
