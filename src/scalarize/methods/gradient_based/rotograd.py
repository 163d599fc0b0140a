"""RotoGrad: equal gradient norms, and a rotation of the shared features for each task that aligns the directions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.checks import in_range
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.registry import register
from scalarize.utils.errors import RequestError


@register
@dataclass(eq=False)
class RotoGrad(Method):
    """Rotated features ``R_k z`` for each head k instead of the shared features z; the encoder gets ``C sum_k U_k``
    (Javaloy and Valera 2022, equations 4 and 6 to 8, algorithm 1).

    G_k (B, d) is the gradient of task k by z, ``U_k = G_k / |G_k|`` (Frobenius), so the weights are ``C / |G_k|`` with
    ``C = sum_k alpha_k |G_k|``, ``alpha_k`` proportional to ``|G_k| / |G_k(0)|`` with sum 1: tasks that converge slowly
    set the length. The rotation descends on ``-sum_n <R_k^T h_nk, v_n>`` with ``h_nk = R_k g_nk`` held constant and ``V
    = sum_k U_k / K`` the common direction: the leader of a Stackelberg game that the network follows, converging if it
    learns ever more slowly than the network. ``R_k = exp(A_k - A_k^T)``, A from 0.

    The rotations are trained here, by Adam (betas 0.9 and 0.999), whose learning rate ``lr decay^step`` must lie below
    the network's. z has shape (B, ..., d).

    Args:
        lr: learning rate of the rotations, >= 0. Default 5e-4.
        decay: factor of that learning rate a step, in (0, 1]. Default 0.9999.
        size: number of first features that are rotated (the paper's subspaces), >= 1. Default: all.

    Raises:
        RequestError: lr, decay or size is out of range, or the features have another width than the rotations.

    Cost: one backward of all heads and of the encoder, and T exponentials of d x d matrices a step; four of them a task
    are kept, so wide features want ``size``. Representation level only.

    Fails: if tasks do not share samples, for directions are compared sample by sample, and if the heads cannot keep up
    with rotations that turn too fast.

    Our choice: lr and decay, which the paper tunes; if a task's gradient was zero so far, its first that is not serves
    as G_k(0).
    """

    name = "rotograd"
    family = "gradient-based"
    needs = Needs.JACOBIAN
    levels = ("representation",)  # the rotations stand there
    heads = "own"
    paper = "Javaloy and Valera 2022"
    has_view = True
    same_samples = True
    row_scale_invariant = True
    task_axes = {"first_norms": 1, "generators": 1, "turns": 1, "mean": 1, "square": 1, "steps": 1}
    lr: float = 5e-4
    decay: float = 0.9999
    size: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "lr", 0.0)
        in_range(self, "decay", 0.0, 1.0, open_low=True)
        if self.size is not None:
            in_range(self, "size", 1)

    def init(self, n_tasks: int) -> State:
        """first_norms (T,), 0 until seen; generators A and turns R - 1 (T, m, m), Adam's mean and square, all made at
        the first step (one zero a task before); steps (T,), as tasks may be missing from a batch."""
        zero = torch.zeros(n_tasks, 1, 1, dtype=torch.float64)
        return {
            "first_norms": torch.zeros(n_tasks, dtype=torch.float64),
            "generators": zero,
            "turns": zero.clone(),
            "mean": zero.clone(),
            "square": zero.clone(),
            "steps": torch.zeros(n_tasks, dtype=torch.int64),
        }

    def view(self, representation: Tensor, task: int, state: State) -> Tensor:
        """``R_k z`` for each sample."""
        turn = state["turns"][task].to(representation)
        m = len(turn)
        if m == 1:  # before the first step, and in one dimension, there is nothing to turn
            return representation
        if m > representation.shape[-1]:
            raise RequestError(f"rotograd: its rotations are of {m} features, not {representation.shape[-1]}")
        moved = representation[..., :m] @ turn.T
        return representation + torch.nn.functional.pad(moved, (0, representation.shape[-1] - m))

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.jacobian is not None
        j = evidence.jacobian
        norms = torch.linalg.vector_norm(j, dim=1).double()
        first = state["first_norms"].to(norms)
        first = torch.where(first > 0, first, norms)
        progress = _ratio(norms, first)
        length = _ratio((progress * norms).sum(), progress.sum())
        turned = self._turn(j, _ratio(torch.ones_like(norms), norms), evidence.width or j.shape[1], state)
        return _ratio(length, norms).to(j), {**state, **turned, "first_norms": first.to(state["first_norms"])}

    def _turn(self, j: Tensor, inverse: Tensor, width: int, state: State) -> State:
        """The rotations' state after one step of Adam; inverse: 1 / |G_k| (T,)."""
        m = min(self.size or width, width)
        if state["generators"].shape[-1] not in (1, m):
            raise RequestError(f"rotograd: its rotations are of {state['generators'].shape[-1]} features, not {m}")
        old = {k: state[k].to(j).expand(len(j), m, m) for k in ("generators", "mean", "square")}
        g = j.reshape(len(j), -1, width)[..., :m]
        target = (g * inverse.to(j)[:, None, None]).mean(dim=0)
        with torch.enable_grad():
            a = old["generators"].detach().clone().requires_grad_()
            r = torch.linalg.matrix_exp(a - a.mT)
            # d/dR of -sum_n <R^T h_n, v_n> = -sum_n v_n R^T h_n, with h_n = R g_n.
            slope = -(r.detach() @ g.mT @ target)
            (gradient,) = torch.autograd.grad(r, a, slope)
        steps = state["steps"].to(j.device) + 1
        count = steps.to(j)[:, None, None]
        mean = 0.9 * old["mean"] + 0.1 * gradient
        square = 0.999 * old["square"] + 0.001 * gradient**2
        moved = (mean / (1 - 0.9**count)) / ((square / (1 - 0.999**count)).sqrt() + 1e-8)
        generators = old["generators"] - self.lr * self.decay ** (count - 1) * moved
        turns = torch.linalg.matrix_exp(generators - generators.mT) - torch.eye(m).to(j)
        return {"generators": generators, "turns": turns, "mean": mean, "square": square, "steps": steps}


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """``a / b``, and 0 if b is 0: a task without a gradient pulls nowhere."""
    return torch.where(b > 0, a / torch.where(b > 0, b, 1.0), 0.0)
