"""What fitting, records, boards and all cells together take, against their limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reshift.benchmark.speed.scale_costs import ModelTotal, Scale, bank_patches, scored_rows, totals
from reshift.benchmark.speed.scale_limits import DAY, DISK, HOUR, MEMORY, RATES, Resource, Term


def cell_resources(scale: Scale) -> Iterator[Resource]:
    """Closed forms of the largest cell, results, and the whole study."""
    yield from _closed_forms(scale)
    yield from _results(scale)
    yield from _whole(totals(scale))


def _closed_forms(scale: Scale) -> Iterator[Resource]:
    units = {model.model: model for model in scale.models}
    train = max(count.largest_train for count in scale.protocols)
    good = max(count.largest_train_good for count in scale.protocols)
    probe = units["logistic_probe"].width * (4 + 8 + 8) * train  # as it comes, in double precision, and standardised
    yield Resource(
        "logistic probe: features while it fits",
        (Term(probe, 1),),
        MEMORY,
        "64 GB of memory",
        "bytes",
        "fit it by stochastic gradient",
    )
    bank = units["patchcore"]
    yield Resource(
        "PatchCore: patches while it fits",
        (Term(3 * 4 * bank.width * good, 1),),
        MEMORY,
        "64 GB of memory",
        "bytes",
        "sample training patches before choosing; half precision",
    )
    yield Resource(
        "PatchCore: choosing the bank of one cell",
        (Term(bank.fit.seconds * bank_patches(bank, good) * bank.patches * good, 2),),
        DAY,
        "24 h of one core",
        "seconds",
        "sample training patches before choosing, or choose on a GPU; it is bound by memory bandwidth",
    )
    scored = max((count.val + count.test) / count.splits for count in scale.protocols)
    yield Resource(
        "PatchCore: scoring one cell",
        (Term(bank.score.seconds * bank_patches(bank, good) / bank.bank * scored, 2),),
        DAY,
        "24 h of one core",
        "seconds",
        "a bank of fixed size, or approximate search",
    )


def _results(scale: Scale) -> Iterator[Resource]:
    pieces, cells = scale.pieces, scale.cells
    rows = scored_rows(scale)
    share = rows / cells / pieces["board_rows"]
    yield Resource(
        "scores of all records",
        (Term(pieces["row_bytes"] * rows, 1, 1),),
        DISK,
        "one disk of 4 TB",
        "bytes",
        "Parquet with names once a split, or names by number",
    )
    yield Resource(
        "files of all records",
        (Term(pieces["files_per_cell"] * cells, cells=1),),
        1e6,
        "1,000,000 files",
        "",
        "pack finished cells, an archive a model and seed",
    )
    yield Resource(
        "boards from nothing",
        (Term(pieces["board_seconds"] * share * cells, 1, 1),),
        HOUR,
        "1 h of one process",
        "seconds",
        "keep the rows of finished boards (what is unchanged is not judged again); a process a protocol",
    )
    scored = [count.val + count.test for count in scale.protocols]
    yield Resource(
        "boards: judged cells of the largest board in memory",
        (Term(pieces["board_memory_bytes"] * share * cells * max(scored) / sum(scored), 1, 1),),
        MEMORY,
        "64 GB of memory",
        "bytes",
        "judge one model of a board at a time, and keep of each cell what its rows need",
    )


def _whole(models: Sequence[ModelTotal]) -> Iterator[Resource]:
    fixed = sum(m.steps.flops for m in models)
    squared = sum(m.squared.flops for m in models)
    once = sum(m.features.flops for m in models)
    linear = sum(m.whole.flops for m in models) - fixed - squared - once
    for rate in RATES:
        yield Resource(
            f"the whole study on one GPU of {rate / 1e12:g} TFLOP/s",
            tuple(
                Term(amount / rate, *grows)
                for amount, grows in (
                    (fixed, (0, 1)),
                    (once, (1, 0)),
                    (linear, (1, 1)),
                    (squared, (2, 1)),
                )
            ),
            30 * DAY,
            "30 days",
            "seconds",
            "several machines: cells do not depend on each other",
        )
