"""Value noise from a table of hashed numbers: stains, cast texture, turning marks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_SIDE = 32


class Noise:
    """Smooth noise in [0, 1] with one cell per unit of its argument, repeating every 32 cells."""

    def __init__(self, draw: np.random.Generator) -> None:
        self._table = torch.from_numpy(draw.random(_SIDE**3).astype(np.float32))

    def line(self, t: Tensor) -> Tensor:
        """Noise along one coordinate."""
        cell, part = _split(t)
        low = self._table[cell]
        return low + (self._table[(cell + 1) & (_SIDE - 1)] - low) * part

    def space(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """Noise in space."""
        (i, a), (j, b), (k, c) = _split(x), _split(y), _split(z)
        i0, i1 = i * (_SIDE * _SIDE), ((i + 1) & (_SIDE - 1)) * (_SIDE * _SIDE)
        j0, j1 = j * _SIDE, ((j + 1) & (_SIDE - 1)) * _SIDE
        k1 = (k + 1) & (_SIDE - 1)
        table = self._table

        def edge(base: Tensor) -> Tensor:
            low = table[base + k]
            return low + (table[base + k1] - low) * c

        near, far = edge(i0 + j0), edge(i1 + j0)
        near = near + (edge(i0 + j1) - near) * b
        far = far + (edge(i1 + j1) - far) * b
        return near + (far - near) * a


def _split(t: Tensor) -> tuple[Tensor, Tensor]:
    whole = t.floor()
    part = t - whole
    return whole.long() & (_SIDE - 1), part * part * (3 - 2 * part)
