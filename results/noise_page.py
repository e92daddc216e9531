"""docs/noise.md: its tables and its two plots, made from the records of the published runs under label noise."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from reshift.results.atomic_write import write_atomically
from reshift.results.contamination_auroc import contamination_aurocs, unit_of
from reshift.results.front_table import replace_between
from reshift.results.noise_ablation import ablation_table
from reshift.results.noise_plot import auroc_figure, model_lines, separation_figure
from reshift.results.noise_tables import aim_table, gain_tables, lead_table, mean_tables, oracle_share, signed_gain
from reshift.results.plot_style import svg_bytes
from reshift.results.refinement_gain import Yardstick, method_gains, split_gains
from reshift.results.separation import read_separation as read_lines
from reshift.results.store import RunStore

RUNS = ("noise", "noise-views", "noise-gearbox")
ABLATION = "noise-ablation"
SEPARATION_FILE = "separation.csv"
YARDSTICK = Yardstick()

# What the plot draws beside the baseline, and what its legend says; tables list every model.
ORACLES = {
    "differnet_oracle": "oracle: noise removed",
    "differnet_oracle_negative": "oracle: noise as known bad",
}
DRAWN = {
    "differnet_found_signed": "noise found, signed weights",
    "boundary_flow": "known defects",
    "boundary_flow_found": "known defects and noise found",
    "patch_flow": "flow over patches",
    "boundary_patch_flow_found": "patches, known defects, noise found",
    "padim": "PaDiM",
}
LEADS = (
    ("boundary_flow_found", "boundary_flow"),
    ("boundary_patch_flow_found", "patch_flow"),
    ("boundary_patch_flow_found", "padim"),
    ("boundary_patch_flow_found", "softpatch"),
)
"""Which rows the page compares with each other rather than with the baseline."""
WAYS = {"in-sample": "own fit (in-sample)", "parts": "cross-fitted over parts", "images": "cross-fitted over images"}
"""How candidates may be scored in `SEPARATION_FILE`, and what the page calls it."""

_NO_SHARE = "No oracle's gain lies above zero with its interval, so there is nothing to have a share of."


def read_aurocs(published: Path, runs: Iterable[str] = RUNS) -> pd.DataFrame:
    """`contamination_aurocs` of these published runs together."""
    return pd.concat([contamination_aurocs(RunStore(published / run)) for run in runs], ignore_index=True)


def read_separation(published: Path, runs: Iterable[str] = RUNS) -> pd.DataFrame:
    """Rows of all components together, from what `reshift audit --separation` wrote about these presets.

    Args:
        published: the boards' folder; measurements lie beside it, `separation/<preset>/separation.csv`.

    Returns:
        Columns dataset, unit, split, rate, method, how (as the page calls it), separation in [0, 1]; splits without
        injected noise, where there is nothing to separate, are left out.

    Raises:
        ValueError: no preset has the file, one is damaged, or it names a way that is not one of `WAYS`.
    """
    folder = published.parent / "separation"
    files = [path for run in runs if (path := folder / run / SEPARATION_FILE).exists()]
    if not files:
        raise ValueError(
            f"{folder}: none of {', '.join(runs)} has a {SEPARATION_FILE}; `make noise-separation` writes them"
        )
    lines = [line for path in files for line in read_lines(path)]
    if unknown := {line.how for line in lines} - {*WAYS}:
        raise ValueError(f"{SEPARATION_FILE}: how={min(unknown)!r} is none of {', '.join(WAYS)}; name it on the page")
    rows = [
        (line.dataset, unit, line.split, line.rate, line.method, said, line.separation)
        for how, said in WAYS.items()
        for line in lines
        if line.how == how and not line.component and line.separation is not None and (unit := unit_of(line.protocol))
    ]
    return pd.DataFrame(rows, columns=["dataset", "unit", "split", "rate", "method", "how", "separation"])


def page_blocks(aurocs: pd.DataFrame, separation: pd.DataFrame, ablation: list[str]) -> dict[str, list[str]]:
    """What stands between which markers of the page; `ablation` as `noise_ablation.ablation_table` gives it."""
    gains = method_gains(split_gains(aurocs, YARDSTICK.baseline), YARDSTICK)
    ranked = separation.assign(**{"suspicion by": separation["method"] + ", " + separation["how"]})
    return {
        "noise-aim": aim_table(gains),
        "noise-lead": lead_table(aurocs, LEADS),
        "noise-auroc": mean_tables(aurocs, "model", "auroc"),
        "noise-gain": gain_tables(gains, signed_gain),
        "noise-share": gain_tables(gains, oracle_share) or [_NO_SHARE],
        "noise-separation": mean_tables(ranked, "suspicion by", "separation"),
        "noise-ablation": ablation,
    }


def page_plots(aurocs: pd.DataFrame, separation: pd.DataFrame) -> dict[str, bytes]:
    """The plots as SVG, by what follows the page's name in theirs."""
    gains = method_gains(split_gains(aurocs, YARDSTICK.baseline), YARDSTICK)
    lines = model_lines(YARDSTICK.baseline, ORACLES, DRAWN)
    figures = {"auroc": auroc_figure(aurocs, gains, lines), "separation": separation_figure(separation)}
    return {name: svg_bytes(figure) for name, figure in figures.items()}


def main(arguments: Sequence[str]) -> None:
    """`noise_page LEADERBOARDS PAGE`: renew the tables on the page, and its plots beside it.

    Raises:
        FileNotFoundError, ValueError: a run, its separation file or a marker of the page is missing.
    """
    published, page = Path(arguments[0]), Path(arguments[1])
    aurocs, separation = read_aurocs(published), read_separation(published)
    text = page.read_text(encoding="utf-8")
    ablation = ablation_table(RunStore(published / ABLATION), YARDSTICK)
    for name, lines in page_blocks(aurocs, separation, ablation).items():
        text = replace_between(text, name, lines)
    for name, picture in page_plots(aurocs, separation).items():
        write_atomically(page.with_name(f"{page.stem}-{name}.svg"), picture)
    write_atomically(page, text.encode())


if __name__ == "__main__":
    main(sys.argv[1:])
