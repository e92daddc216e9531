"""What is decided about a part before anything is rendered: kind, transmission, label, defect, severities."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reshift.datamodules.gearbox.components import COMPONENTS
from reshift.datamodules.gearbox.knobs import Knobs
from reshift.datamodules.gearbox.seeding import generator

DEFECTS = ("corrosion", "notch", "pitting", "scoring", "scratch")
TRANSMISSIONS = ("automatic", "manual")

TOLERANCE = 4.0
"""mm^2 of physical size x depth: a part with a mark above it is defective, whatever the component and the kind."""
NEAR = 0.15
"""Relative distance from the tolerance within which a part counts as near it."""
SLIGHT = (0.06, 0.96)  # severities of permitted marks, in tolerances
SEVERE = (1.05, 3.60)  # severities of defects, in tolerances
_CELLS = len(COMPONENTS) * len(TRANSMISSIONS)


@dataclass(frozen=True)
class Plan:
    """One part as planned.

    Attributes:
        slight: kinds and severities (mm^2) of its marks below the tolerance.
        defect: its only defect, "" on a good part.
        severity: mm^2 of the defect, or of the worst permitted mark; 0 without any mark.
        dot: whether an inspector's paint dot is on it.
    """

    index: int
    component: str
    transmission: str
    defect: str
    severity: float
    slight: tuple[tuple[str, float], ...]
    dot: bool

    @property
    def name(self) -> str:
        """The part's name, "p00012"."""
        return f"p{self.index:05d}"

    @property
    def near_tolerance(self) -> bool:
        """Whether the worst mark is so close to the tolerance that inspectors would argue."""
        return abs(self.severity / TOLERANCE - 1) <= NEAR


def plan_part(knobs: Knobs, index: int) -> Plan:
    """Part `index` of a world: depends on the seed and the index, never on how many parts there are.

    Components and transmissions alternate. Within such a cell the defective parts are spread evenly and take turns
    through all defects in an order drawn per cell, so that every defect occurs in every cell as the parts grow.
    """
    component = sorted(COMPONENTS)[index % len(COMPONENTS)]
    transmission = TRANSMISSIONS[index // len(COMPONENTS) % 2]
    cell, row = index % _CELLS, index // _CELLS
    offset = generator(knobs.seed, "prevalence", cell).uniform()
    before, after = (math.floor((row + i) * knobs.defective + offset) for i in (0, 1))
    draw = generator(knobs.seed, "marks", index)
    kinds = [DEFECTS[int(draw.integers(len(DEFECTS)))] for _ in range((0, 0, 1, 1, 1, 2)[int(draw.integers(6))])]
    low, high = SLIGHT
    # the product of two draws: most permitted marks are far below the tolerance
    slight = tuple((kind, TOLERANCE * (low + (high - low) * draw.uniform() * draw.uniform())) for kind in kinds)
    draw = generator(knobs.seed, "defect", index)
    excess = draw.uniform()
    if after > before:
        turn, place = divmod(before, len(DEFECTS))
        order = generator(knobs.seed, "order", cell, turn).permutation(len(DEFECTS))
        defect = DEFECTS[int(order[place])]
        severity = TOLERANCE * (SEVERE[0] + (SEVERE[1] - SEVERE[0]) * excess)
    else:
        defect, severity = "", max((value for _, value in slight), default=0.0)
    lean = knobs.shortcut / 2 * (1 if defect else -1) * (1 if transmission == "automatic" else -1)
    dot = bool(generator(knobs.seed, "dot", index).uniform() < 0.5 + lean)
    return Plan(index, component, transmission, defect, severity, slight, dot)
