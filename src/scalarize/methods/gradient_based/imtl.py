"""IMTL: impartial losses (L) and impartial gradients (G) together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.gradient_based.imtl_g import impartial_weights
from scalarize.methods.gram import Gram, as_weights
from scalarize.methods.registry import register


@register
@dataclass(eq=False)
class IMTL(Method):
    """IMTL-G on the gradients of the scaled losses ``e^{s_t} L_t`` (Liu et al. 2021, algorithm 1). It has no
    hyper-parameters.

    The shared parameters get ``sum_t alpha_t e^{s_t} g_t``, alpha from IMTL-G; the learned ``s`` (T,), from 0, gets the
    gradient of ``e^{s_t} L_t - s_t`` (the ``objective``), and so do the heads: gradient balance for the shared
    parameters, loss balance for those of one task (the paper's abstract and section 3.3), which is
    ``heads="objective"``. Since IMTL-G is blind to each gradient's scale but for the sum of its weights, s changes only
    the length of the shared step. ``heads="own"`` leaves the heads unscaled, as public code does.

    Raises:
        RunError: the Gramian is not finite.

    Cost: T backwards, T x P numbers, and a linear system of size T; T learned numbers.

    Fails: as ``imtl-g`` does for what is shared and ``imtl-l`` for the heads.
    """

    name = "imtl"
    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "objective"
    paper = "Liu et al. 2021"
    learned = ("s",)
    task_axes = {"s": 1}
    has_objective = True
    row_scale_invariant = True

    def init(self, n_tasks: int) -> State:
        return {"s": torch.zeros(n_tasks, dtype=torch.float64)}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.gramian is not None
        gram = Gram.of(evidence.gramian)
        scale = np.exp(state["s"].detach().double().cpu().numpy())
        alpha = impartial_weights(gram.scaled(scale))
        return as_weights(alpha * scale, evidence.gramian), state

    def objective(self, losses: Tensor, state: State) -> Tensor:
        s = state["s"].to(losses)
        return (torch.exp(s) * losses - s).sum()
