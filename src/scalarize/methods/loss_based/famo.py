"""FAMO: all losses fall at the same rate, seen from the losses alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.checks import in_range, losses_of
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.registry import register
from scalarize.utils.errors import RunError


@register
@dataclass(eq=False)
class FAMO(Method):
    """Weights ``z_t / ((L_t - m_t) c)``, with sum 1, that minimise ``sum_t z_t log(L_t - m_t) / c`` with ``z =
    softmax(logits)`` and ``c = sum_t z_t / (L_t - m_t)`` held constant (Liu et al. 2023, algorithm 1).

    After the step the logits descend, by Adam, on ``z . (log L before - log L after)``: tasks that fell less get more.
    The losses after the step, on the same batch, are given by ``observe``.

    Args:
        lr: learning rate of Adam, >= 0. Default 0.025.
        decay: Adam's coupled weight decay on the logits, >= 0. Default 0.001 (1e-5 and 0.01 in other code).
        min_loss: m, a lower bound of every loss, in the unit of the losses. Default 0.

    Raises:
        RequestError: lr or decay is negative, or losses are missing.
        RunError: a loss is below min_loss.

    Cost: one ordinary backward, and a second forward of the batch if the losses after the step are shown.

    Fails: without that forward the next batch's losses stand for them, and the noise between batches passes for
    progress; a loss that comes near its bound takes nearly all the weight.

    Our choice: the next step's losses if ``observe`` was not called; 1e-8 beside the logarithms.
    """

    name = "famo"
    family = "loss-based"
    needs = Needs.LOSSES
    heads = "weighted"
    paper = "Liu et al. 2023"
    observes = True
    has_objective = True
    task_axes = {"logits": 1, "mean": 1, "square": 1, "before": 1}
    lr: float = 0.025
    decay: float = 0.001
    min_loss: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "lr", 0.0)
        in_range(self, "decay", 0.0)

    @property
    def ignores_zero_losses(self) -> bool:
        """True: a loss of 0 has no logarithm. With another ``min_loss`` it has one."""
        return self.min_loss == 0

    def init(self, n_tasks: int) -> State:
        """logits (T,); mean and square (T,), Adam's moments, and its steps; before (T,): the losses of a step whose
        outcome has not been seen, NaN if there is none."""
        zeros = torch.zeros(n_tasks, dtype=torch.float64)
        unseen = torch.full((n_tasks,), float("nan"), dtype=torch.float64)
        steps = torch.zeros((), dtype=torch.int64)
        return {"logits": zeros, "mean": zeros.clone(), "square": zeros.clone(), "steps": steps, "before": unseen}

    def _distance(self, losses: Tensor) -> Tensor:
        return losses - self.min_loss + 1e-8

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        losses = losses_of(evidence, self)
        if bool((losses < self.min_loss).any()):
            raise RunError(f"famo takes logarithms of L - min_loss: a loss fell below min_loss={self.min_loss:g}")
        state = self.look_back(losses, state)
        share = torch.softmax(state["logits"], dim=0).to(losses.device) / self._distance(losses.double())
        return (share / share.sum()).to(losses), {**state, "before": losses.double()}

    def objective(self, losses: Tensor, state: State) -> Tensor:
        state = self.look_back(losses.detach(), state)
        z = torch.softmax(state["logits"], dim=0).to(losses)
        distance = self._distance(losses)
        return (z * torch.log(distance)).sum() / (z / distance).sum().detach()

    def look_back(self, losses: Tensor, state: State) -> State:
        before = state["before"]
        after = losses.detach().to(before)
        fell = torch.log(self._distance(before)) - torch.log(self._distance(after))
        if not bool(torch.isfinite(fell).any()):
            return {**state, "before": torch.full_like(before, float("nan"))}
        # A task without both losses pulls nowhere.
        fell = torch.where(torch.isfinite(fell), fell, torch.zeros_like(fell))
        z = torch.softmax(state["logits"], dim=0)
        gradient = z * (fell - (z * fell).sum()) + self.decay * state["logits"]
        steps = state["steps"] + 1
        mean = 0.9 * state["mean"] + 0.1 * gradient
        square = 0.999 * state["square"] + 0.001 * gradient**2
        count = float(steps)
        moved = (mean / (1 - 0.9**count)) / ((square / (1 - 0.999**count)).sqrt() + 1e-8)
        return {
            **state,
            "logits": state["logits"] - self.lr * moved,
            "mean": mean,
            "square": square,
            "steps": steps,
            "before": torch.full_like(before, float("nan")),
        }
