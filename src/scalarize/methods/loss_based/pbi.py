"""PBI: the losses' distance along a direction, and a penalty for their distance from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.methods import preference
from scalarize.methods.base import Method
from scalarize.methods.checks import in_range, losses_of, slopes
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.registry import register
from scalarize.utils.errors import RequestError


@register
@dataclass(eq=False)
class PBI(Method):
    """Penalty-based boundary intersection (Zhang and Li 2007, section III): ``d_1 + theta d_2``, with ``d_1 = (L -
    z).u`` and ``d_2 = |L - z - d_1 u|``, z the ideal point and u the unit vector along the preference.

    The preference is a direction of the losses: where the front allows it, ``L - z`` ends on it, so a task with a
    *larger* entry ends with a *larger* loss. Unlike a weighted sum it reaches concave parts of a front.

    Args:
        theta: penalty, >= 0. Default 5, as in the paper.
        preference: T numbers >= 0, the direction. Default: all the same.
        ideal: the ideal point z (T,), in the unit of the losses. Default: zeros.

    Raises:
        RequestError: theta is negative, the preference is negative, all 0 or of another length than T, ideal has
            another length, or losses are missing.

    Cost: one ordinary backward.

    Fails: the weight ``u_t + theta e_t``, e the unit vector from the direction to the losses, is negative for a task
    that is better off than the direction wants, whose loss is then made worse; with a large theta that decides the
    whole step. Losses of different units need an ideal point and scales of their own.

    Our choice: on the direction itself, where d_2 has no derivative, its part of the weights is 0.
    """

    name = "pbi"
    family = "loss-based"
    needs = Needs.LOSSES
    heads = "weighted"
    paper = "Zhang and Li 2007"
    has_objective = True
    task_axes = {"preference": 1, "ideal": 1}
    theta: float = 5.0
    preference: Sequence[float] | None = None
    ideal: Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "theta", 0.0)
        preference.check(self)

    def init(self, n_tasks: int) -> State:
        given = [0.0] * n_tasks if self.ideal is None else list(self.ideal)
        if len(given) != n_tasks:
            raise RequestError(f"pbi: ideal has {len(given)} entries for {n_tasks} tasks")
        return {"ideal": torch.tensor(given, dtype=torch.float64), **preference.entry(self, n_tasks)}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        return slopes(self, losses_of(evidence, self), state), state

    def objective(self, losses: Tensor, state: State) -> Tensor:
        towards = preference.tensor_shares(state, losses)
        length = torch.linalg.vector_norm(towards)
        unit = towards / length.clamp(min=torch.finfo(losses.dtype).tiny)
        above = losses - state["ideal"].to(losses)
        along = above @ unit
        across = above - along * unit
        # Rounding alone is no direction; the inner where keeps the root's infinite slope at 0 out of the backward.
        square = across @ across
        off = square > (10 * torch.finfo(losses.dtype).eps * torch.linalg.vector_norm(above.detach())) ** 2
        apart = torch.where(off, square, torch.ones_like(square)).sqrt() * off
        total: Tensor = (along + self.theta * apart) * (length > 0)
        return total
