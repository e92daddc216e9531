"""One finished cell, judged: its units at both levels, its metrics, and what each part contributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from reshift.results.clustered_auroc import Components, components
from reshift.results.metrics import MetricKey, cell_metrics, groups
from reshift.results.part_scores import part_units
from reshift.results.record import Record
from reshift.results.scored_units import Labels, Level, ScoredUnits, Units, units_as_stored
from reshift.results.scores_file import Columns
from reshift.results.thresholds import thresholds

LEVELS: tuple[Level, ...] = ("part", "image")


@dataclass(frozen=True)
class Evaluation:
    """One named score of one cell.

    Attributes:
        model: the name on boards; a score that is not the headline is named in brackets, 'differnet [z2]'.
        levels: units of the levels that exist; a multi-view model has no image level, a data set with few good
            validation parts no part level.
    """

    model: str
    score_name: str
    levels: Mapping[Level, ScoredUnits]

    @cached_property
    def metrics(self) -> dict[MetricKey, float]:
        """All defined metrics of all levels."""
        found: dict[MetricKey, float] = {}
        for scored in self.levels.values():
            found |= cell_metrics(scored, self.score_name)
        return found

    @cached_property
    def members(self) -> dict[tuple[str, Level], Units]:
        """Test units by group and level."""
        return {
            (group, level): scored.test.where(mask)
            for level, scored in self.levels.items()
            for group, mask in groups(scored.test)
        }

    @cached_property
    def calls(self) -> dict[tuple[Level, str], Labels]:
        """Verdicts on the test units (1 = called defective) by level and threshold."""
        return {
            (level, name): threshold.calls(scored.test)
            for level, scored in self.levels.items()
            for name, threshold in thresholds(scored, self.score_name).items()
        }

    @cached_property
    def components(self) -> dict[Level, Components]:
        """What each part contributes to the AUROC, for levels where both classes are present."""
        return {n: components(scored.test) for n, scored in self.levels.items() if scored.test.both_classes}

    @cached_property
    def parts(self) -> dict[tuple[str, Level], frozenset[str]]:
        """Names of the parts in each group and level of the test units."""
        return {key: frozenset(members.part.tolist()) for key, members in self.members.items()}


def model_label(model: str, score_names: tuple[str, ...], name: str) -> str:
    """What boards call a model under one of its scores; the first score is the model itself."""
    return model if name == score_names[0] else f"{model} [{name}]"


def evaluate(record: Record, scores: pd.DataFrame | Columns) -> list[Evaluation]:
    """Judge every named score of a record of classes, headline first."""
    assert record.scores is not None and record.unit != "sequence"
    found = []
    for name in record.scores.names:
        stored = units_as_stored(scores, name, record.unit)
        levels: dict[Level, ScoredUnits] = {record.unit: stored}
        if record.unit == "image" and (parts := part_units(stored)) is not None:
            levels["part"] = parts
        found.append(Evaluation(model_label(record.model, record.scores.names, name), name, levels))
    return found
