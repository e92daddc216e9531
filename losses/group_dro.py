"""Online group-distributionally robust loss: the groups that do worst gain weight as training goes on."""

from __future__ import annotations

from torch import Tensor


def group_dro(losses: Tensor, group: Tensor, group_weight: Tensor, step_size: float) -> tuple[Tensor, Tensor]:
    """One step of Algorithm 1 of Sagawa et al. (ICLR 2020) on a batch: the weights move first, then the loss is taken.

        q_g <- q_g exp(eta l_g) / sum_h q_h exp(eta l_h),    loss = sum_g q_g l_g

    A group the batch does not hold counts as l_g = 0, as in the authors' code: it keeps its share but for the
    normalisation. With a single group the weight is 1 and the loss is that group's.

    Args:
        losses: (K,) mean loss of each group in the batch.
        group: (K,) int64, which groups these are, each once.
        group_weight: (G,) the weights q before this step; non-negative, sum 1.
        step_size: eta, not negative; 0 leaves the weights alone.

    Returns:
        The loss, shape (), whose gradient takes the weights as given, and the weights after this step, (G,).

    Raises:
        ValueError: the step size is negative.
    """
    if step_size < 0:
        raise ValueError(f"step size of group DRO is {step_size}, must not be negative")
    exponent = group_weight.new_zeros(len(group_weight))
    exponent[group] = step_size * losses.detach().to(group_weight)
    # A softmax of the log weights, so that one very bad batch cannot overflow the exponential.
    moved = (group_weight.log() + exponent).softmax(dim=0)
    return moved[group] @ losses, moved
