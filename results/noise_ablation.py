"""One table of docs/noise.md: at one rate, every way to search for wrong labels and to use what was found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from reshift.results.contamination_auroc import contamination_aurocs
from reshift.results.markdown import markdown_table
from reshift.results.noise_tables import oracle_share, signed_gain
from reshift.results.record import RecordError
from reshift.results.refinement_gain import Yardstick, method_gains, split_gains
from reshift.results.store import RunStore
from reshift.results.summary import number

_BLANK = ["", "", ""]


def ablation_table(store: RunStore, yardstick: Yardstick) -> list[str]:
    """Markdown lines: a row a model of a run on one contamination board, largest gain first.

    Gain over the baseline and share of the oracle's gain; and of models that search, means over the cells: how well
    suspicion separates the injected images, the share of what trains at weight 0 or below that is really bad, and the
    share of the images called good that was taken to be bad, 0 where the search abstained.

    Raises:
        FileNotFoundError, ValueError: no plan, or one of another schema; several boards, or none.
    """
    aurocs = contamination_aurocs(store)
    boards = aurocs[["dataset", "unit", "rate"]].drop_duplicates()
    if len(boards) != 1:
        raise ValueError(f"{store.path}: {len(boards)} contamination boards are finished; an ablation is about one")
    mean = aurocs.groupby("model")["auroc"].mean()
    gains = [g for g in method_gains(split_gains(aurocs, yardstick.baseline), yardstick) if g.rate is not None]
    searches = _searches(store)
    rows = [
        [g.model, number(mean[g.model]), signed_gain(g), oracle_share(g), *searches.get(g.model, _BLANK)]
        for g in sorted(gains, key=lambda g: (-g.gain, g.model))
    ]
    rows.append([yardstick.baseline, number(mean[yardstick.baseline]), "", "", *_BLANK])
    head = ["model", "AUROC", "gain (95 %)", "share of the oracle's (95 %)", "separation", "precision", "budget"]
    return markdown_table(head, rows)


def _searches(store: RunStore) -> dict[str, list[str]]:
    """Separation, precision and budget of the models that search, as text."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for cell in store.read_plan().cells:
        try:
            refinement = store.read(cell.id)[0].refinement or {}
        except RecordError:
            continue
        if "cross_fit" in refinement:
            found[cell.model].append(refinement)
    return {
        model: [
            _mean([each["cross_fit"]["suspicion"]["separation"] for each in cells]),
            _mean([each["quality"]["precision"] for each in cells if "precision" in each["quality"]]),
            _mean([each["cross_fit"]["budget"] for each in cells]),
        ]
        for model, cells in found.items()
    }


def _mean(values: Sequence[float]) -> str:
    return number(sum(values) / len(values)) if values else ""
