"""GO4Align: tasks of like progress share a weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.checks import in_range, losses_of, positive
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.gram import Array, as_weights
from scalarize.methods.registry import register
from scalarize.utils.errors import RequestError


@register
@dataclass(eq=False)
class GO4Align(Method):
    """Group weights (Shen et al. 2024, adaptive group risk minimisation): a task has the mean of
    ``r_t = p_t sum(L) / L_t`` over its group.

    ``p <- p exp(-beta L)``, normalised to sum 1, from 1/T, remembers the losses so far. The groups divide r as the
    k-means criterion asks: the least sum of squared distances to the groups' means.

    Args:
        groups: number of groups, >= 1; with as many as there are tasks or more, each has its own weight. Default 2.
        beta: step length in the exponent, >= 0, per unit of loss. Default 1e-4.

    Raises:
        RequestError: groups or beta is out of range, or losses are missing.
        RunError: a loss is below 0.

    Cost: one ordinary backward; the groups are found on the CPU, in about ``groups x T^2`` operations.

    Fails: the weights follow one batch's losses, and so does the length of the step, as they do not sum to a constant;
    a task with the greatest loss has the least weight, however important it is. Groups flicker if no gap divides r.

    Our choice: groups by the exact optimum of k-means on a line, where the authors' code starts at random; two groups,
    where their script's default, one, is the sum of the losses times a number.
    """

    name = "go4align"
    family = "loss-based"
    needs = Needs.LOSSES
    heads = "weighted"
    paper = "Shen et al. 2024"
    task_axes = {"logits": 1}
    groups: int = 2
    beta: float = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "beta", 0.0)
        if isinstance(self.groups, bool) or not isinstance(self.groups, int) or self.groups < 1:
            raise RequestError(f"go4align: groups must be a whole number of at least 1, got {self.groups!r}")

    @property
    def ignores_zero_losses(self) -> bool:
        """True: a loss of 0 has no inverse."""
        return True

    def init(self, n_tasks: int) -> State:
        """logits (T,): the logarithms of p, up to one number."""
        return {"logits": torch.zeros(n_tasks, dtype=torch.float64)}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        told = losses_of(evidence, self)
        losses = positive(told.double(), self).clamp(min=1e-100)
        logits = state["logits"].to(losses) - self.beta * losses
        logits = logits - logits.max()
        risk = torch.softmax(logits, dim=0) * losses.sum() / losses
        weights = group_means(risk.cpu().numpy(), self.groups)
        return as_weights(weights, told), {**state, "logits": logits.to(state["logits"])}


def group_means(values: Array, groups: int) -> Array:
    """Return for each value (T,) the mean of its group in the best division into at most so many groups.

    The best groups on a line are intervals, so that they are found by dynamic programming over the sorted values
    (Fisher 1958): ``cost[k, j]`` is the least sum of squares of the first j values in k groups.
    """
    order = np.argsort(values, kind="stable")
    n = values.size
    centred = values[order] - values.mean()
    sums, squares = np.append(0.0, np.cumsum(centred)), np.append(0.0, np.cumsum(centred**2))
    count = np.arange(n + 1) - np.arange(n + 1)[:, None]  # [i, j]: values i, ..., j - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = squares - squares[:, None] - (sums - sums[:, None]) ** 2 / count
    within = np.where(count > 0, np.maximum(spread, 0.0), np.inf)
    cost, cuts = within[0], []
    for _ in range(min(groups, n) - 1):
        through = cost[:, None] + within
        cuts.append(through.argmin(axis=0))
        cost = through.min(axis=0)
    means, end = np.empty(n), n
    for cut in [*cuts[::-1], np.zeros(n + 1, dtype=np.int64)]:
        start = int(cut[end])
        means[order[start:end]] = values[order[start:end]].mean()
        end = start
    return means
