"""The tables of docs/scale.md."""

from __future__ import annotations

from math import inf

from reshift.benchmark.speed.scale_costs import Scale, feature_entries, scored_rows, sustained, totals
from reshift.benchmark.speed.scale_limits import DAY, HOUR, RATES, Axis, Resource, sorted_by_break
from reshift.benchmark.speed.scale_of_cells import cell_resources
from reshift.benchmark.speed.scale_of_data import data_resources
from reshift.results.markdown import markdown_table

FACTORS = (1, 10, 100)


def page_blocks(scale: Scale) -> dict[str, list[str]]:
    """What stands between which markers of the page."""
    found = [*data_resources(scale), *cell_resources(scale)]
    return {
        "scale-study": study_table(scale),
        "scale-units": unit_table(scale),
        "scale-models": model_table(scale),
        "scale-bytes": byte_table(scale),
        "scale-pictures": limit_table(found, "pictures"),
        "scale-cells": limit_table(found, "cells"),
        "scale-first": first_lines(found),
        "scale-machine": [
            f"Measured on one core of: {scale.hardware['processor']}, {scale.hardware['cores']} cores, accelerator: "
            f"{scale.hardware['accelerator'] or 'none'}; torch {scale.hardware['versions']['torch']}."
        ],
    }


def study_table(scale: Scale) -> list[str]:
    """Data, budget, splits and cells."""
    study = scale.study
    rows = [
        ["pictures", f"{study['images']:,}, {study['defective_images']:,} of them defective"],
        ["parts", f"{study['parts']:,} of {study['components']} components"],
        ["side", f"{study['size']} px"],
        ["budget", f"{study['steps']:,} steps of {study['batch_size']}, {study['checks']} looks at validation"],
    ]
    rows += [[f"splits of {count.protocol}", str(count.splits)] for count in scale.protocols]
    rows += [
        ["splits", f"{scale.splits}"],
        ["cells", f"{scale.cells:,}: " + ", ".join(f"{name} {n}" for name, n in study["cells"].items())],
    ]
    return markdown_table(["the study", ""], rows)


def unit_table(scale: Scale) -> list[str]:
    """Pieces that are not a model's."""
    study, pieces = scale.study, scale.pieces
    return markdown_table(
        ["piece", "cost"],
        [
            ["hash one JPEG of 1024 px", f"{1e3 * pieces['hash_seconds']:.2g} ms"],
            ["read, decode, resize, hash and keep it", f"{1e3 * pieces['decode_seconds']:.2g} ms"],
            ["draw one kept copy (a rotation)", f"{1e3 * pieces['copy_seconds']:.2g} ms"],
            ["one decoded picture", size_text(pieces["decoded_bytes"])],
            ["one record", f"{size_text(pieces['record_bytes'])}, {pieces['records']:.0f} committed ones"],
            ["one scored row", f"{pieces['row_bytes']:.3g} bytes, {pieces['rows']:,.0f} committed ones"],
            ["one scored row of this study, made-up scores", f"{pieces['study_row_bytes']:.3g} bytes"],
            ["one cell in plan.json", size_text(study["plan_bytes"] / scale.cells)],
            ["table and splits of a worker", size_text(study["splits_bytes"])],
            ["drawing and checking all splits", time_text(study["splits_seconds"])],
            ["boards, one record from nothing", time_text(pieces["board_seconds"])],
        ],
    )


def model_table(scale: Scale) -> list[str]:
    """Operations and hours of every model, all cells."""
    head = ["model", "cells", "FLOPs/step", "features", "training", "validation looks", "fit", "scoring"]
    head += ["FLOPs in all", "GFLOP/s here", "core hours here"]
    head += [f"GPU hours at {rate / 1e12:g} TFLOP/s (assumed)" for rate in RATES]
    rows = []
    for units, total in zip(scale.models, totals(scale), strict=True):
        parts = (total.step, total.features, total.steps, total.watch, total.fit, total.score, total.whole)
        rows.append(
            [
                units.model,
                f"{total.cells:,}",
                *(flops_text(work.flops) for work in parts),
                f"{sustained(units) / 1e9:.0f}",
                hours_text(total.whole.seconds),
                *(hours_text(total.whole.flops / rate) for rate in RATES),
            ]
        )
    every = [total.whole for total in totals(scale)]
    flops, seconds = sum(work.flops for work in every), sum(work.seconds for work in every)
    last = ["all", f"{scale.cells:,}", *[""] * 6, flops_text(flops), "", hours_text(seconds)]
    return markdown_table(head, [*rows, [*last, *(hours_text(flops / rate) for rate in RATES)]])


def byte_table(scale: Scale) -> list[str]:
    """What lies on disk when the study is done and nothing was removed."""
    study, pieces = scale.study, scale.pieces
    rows = scored_rows(scale)
    kinds = [
        ("pictures as JPEGs of 1024 px, random ones", pieces["file_bytes"] * study["images"]),
        ("decoded pictures", pieces["decoded_bytes"] * study["images"]),
        *((f"features for {e.model}, {_copies(e.copies)}", e.bytes) for e in feature_entries(scale)),
        ("records", pieces["record_bytes"] * scale.cells),
        (f"scores, {rows:,.0f} rows", pieces["row_bytes"] * rows),
        ("plan.json", float(study["plan_bytes"])),
    ]
    return markdown_table(["bytes of", ""], [[name, size_text(amount)] for name, amount in kinds])


def limit_table(found: list[Resource], axis: Axis) -> list[str]:
    """Every resource that grows along an axis, first to break first."""
    rows = []
    for factor, resource in sorted_by_break(found, axis):
        sizes = [_amount(resource, resource.at(f, axis)) for f in FACTORS]
        broken = [f"**{text}**" if f > factor else text for f, text in zip(FACTORS, sizes, strict=True)]
        rows.append([resource.what, resource.limit_text, *broken, _factor(factor), resource.remedy])
    head = ["what", "limit", *(f"{factor}x" for factor in FACTORS), "breaks above", "what one would do"]
    return markdown_table(head, rows)


def first_lines(found: list[Resource]) -> list[str]:
    """One line a size: what is newly too much at it."""
    lines = []
    for axis in ("pictures", "cells"):
        ordered = sorted_by_break(found, axis)
        for lower, upper in zip((0, *FACTORS), FACTORS, strict=False):
            names = [resource.what for factor, resource in ordered if lower <= factor < upper]
            lines.append(f"- **{upper}x the {axis}**: {'; '.join(names) or 'nothing more'}.")
    return lines


def flops_text(flops: float) -> str:
    """E.g. "4.1e12"; "" for none."""
    return f"{flops:.1e}".replace("e+", "e") if flops else ""


def hours_text(seconds: float) -> str:
    """Hours, two digits."""
    hours = seconds / HOUR
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"


def time_text(seconds: float) -> str:
    """The largest unit that leaves at least 2 of it."""
    for name, length in (("days", DAY), ("h", HOUR), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{_digits(seconds / length)} {name}"
    return f"{seconds:.2g} s"


def size_text(amount: float) -> str:
    """In powers of 1000."""
    for name, length in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if amount >= length:
            return f"{_digits(amount / length)} {name}"
    return f"{amount:.0f} bytes"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _amount(resource: Resource, value: float) -> str:
    if resource.unit == "bytes":
        return size_text(value)
    return time_text(value) if resource.unit == "seconds" else f"{value:,.0f}"


def _factor(factor: float) -> str:
    return "never" if factor == inf else f"{_digits(factor)}x"


def _copies(count: int) -> str:
    return "the picture itself" if count == 1 else f"{count} copies"
