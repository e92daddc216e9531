"""What metrics are computed on: validation, test and calibration units of one cell with one score each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reshift.results.scores_file import PREFIX, Columns

Level = Literal["image", "part"]
Texts = NDArray[np.str_]
Labels = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Units:
    """Parallel arrays, one entry a unit.

    Attributes:
        unit: sample id at image level, part name at part level.
        label: the truth; `observed` is what training saw (1 = defective).
        score: higher = more defective; only its order means anything.
        raw: the score on the model's own scale (a part's is the maximum over its views).
    """

    unit: Texts
    part: Texts
    component: Texts
    defect: Texts
    label: Labels
    observed: Labels
    score: Floats
    raw: Floats

    def where(self, mask: Mask) -> Units:
        """The units for which `mask` holds."""
        return Units(**{name: array[mask] for name, array in vars(self).items()})

    @property
    def both_classes(self) -> bool:
        """Whether good and defective units are present, without which no AUROC exists."""
        return bool(len(self.label)) and 0 < int(self.label.sum()) < len(self.label)


_NO_TEXTS, _NO_LABELS, _NO_SCORES = np.empty(0, np.str_), np.empty(0, np.int64), np.empty(0, np.float64)
NO_UNITS = Units(_NO_TEXTS, _NO_TEXTS, _NO_TEXTS, _NO_TEXTS, _NO_LABELS, _NO_LABELS, _NO_SCORES, _NO_SCORES)


@dataclass(frozen=True)
class ScoredUnits:
    """Units of one cell at one level, scored on one scale; `calibration` is empty unless the split reserves parts."""

    val: Units
    test: Units
    level: Level
    calibration: Units = NO_UNITS


def units_as_stored(scores: pd.DataFrame | Columns, name: str, level: Level) -> ScoredUnits:
    """The rows of a scores file as they are: images of a single-image model, or parts of a multi-view one."""
    roles = np.asarray(scores["role"], dtype=np.str_)

    def of_role(role: str) -> Units:
        mask = roles == role

        def texts(column: str) -> Texts:
            # At the width of these rows, so that a role does not carry another one's longest name around.
            return np.array(np.asarray(scores[column])[mask].tolist(), dtype=np.str_)

        score = np.asarray(scores[PREFIX + name], dtype=np.float64)[mask]
        return Units(
            unit=texts("sample"),
            part=texts("part"),
            component=texts("component"),
            defect=texts("defect"),
            label=np.asarray(scores["label"], dtype=np.int64)[mask],
            observed=np.asarray(scores["observed_label"], dtype=np.int64)[mask],
            score=score,
            raw=score,
        )

    return ScoredUnits(of_role("val"), of_role("test"), level, of_role("calibration"))
