"""Floating point operations of a call."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NoReturn

import torch
from torch.utils.flop_counter import FlopCounterMode


def flops(call: Callable[[], object]) -> int:
    """Of one run of the call: two a multiply-add of convolutions, products and attention, nothing elementwise.

    Counted by `torch.utils.flop_counter`, and products with a vector, which it leaves out, in the same way.

    Raises:
        NotImplementedError: the call runs a heavy operation that is not known, so that the sum would be too low.
    """
    with FlopCounterMode(display=False, custom_mapping=_FORMULAS) as counter:
        call()
    return int(counter.get_total_flops())


def _product(left: Any, right: Any, *_: Any, **__: Any) -> int:
    """Of a matrix (N, K) or vector (K,) with a vector (K,)."""
    return 2 * int(prod(left))


def _added_product(added: Any, left: Any, right: Any, *_: Any, **__: Any) -> int:
    return _product(left, right)


def _unknown(*_: Any, **__: Any) -> NoReturn:
    raise NotImplementedError("no formula for what this operation computes")


_aten = torch.ops.aten
_FORMULAS: dict[Any, Callable[..., int]] = {
    _aten.mv: _product,
    _aten.dot: _product,
    _aten.addmv: _added_product,
    # The counter would take these for free.
    _aten._cdist_forward: _unknown,
    _aten._trilinear: _unknown,
    _aten.linalg_solve_triangular: _unknown,
    _aten._fft_r2c: _unknown,
    _aten._fft_c2c: _unknown,
}
