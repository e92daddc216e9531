"""Few points that cover many: PatchCore's greedy choice of the patches a memory bank keeps."""

from __future__ import annotations

import torch
from torch import Tensor

_PROJECTED = 128
_PROJECTION_SEED = 0


def projected(points: Tensor) -> Tensor:
    """Points (..., C) under a fixed random projection to (..., 128) that about keeps distances, or as they are if
    C is no more.

    Johnson and Lindenstrauss, as in PatchCore (Roth et al. 2022, 3.2); 128 is the published code's.
    """
    width = points.shape[-1]
    if width <= _PROJECTED:
        return points
    draw = torch.Generator().manual_seed(_PROJECTION_SEED)
    matrix = torch.randn(width, _PROJECTED, generator=draw) / _PROJECTED**0.5
    return torch.matmul(points, matrix.to(points))


def greedy_k_center(points: Tensor, count: int) -> Tensor:
    """Indices (count,) of points (N, C), each the farthest from all chosen before it (Roth et al. 2022, Alg. 1).

    The first is the farthest from the mean, where the published code starts from ten random points: so the choice
    depends on neither a seed nor the order of the points. Takes `count` passes over the points, and N numbers beside
    them. All points where `count` is N or more.
    """
    if count >= len(points):
        return torch.arange(len(points), device=points.device)
    # Around the mean the expanded square below loses least to rounding.
    points = points - points.mean(dim=0)
    squares = points.square().sum(dim=1)
    chosen = [int(squares.argmax())]
    nearest = torch.full_like(squares, torch.inf)
    while len(chosen) < count:
        last = chosen[-1]
        distance = torch.addmv(squares, points, points[last], alpha=-2).add_(squares[last])
        torch.minimum(nearest, distance, out=nearest)
        # Rounding must not leave a chosen point to be chosen again.
        nearest[last] = -torch.inf
        chosen.append(int(nearest.argmax()))
    return torch.tensor(chosen, device=points.device)
