"""STCH: a smooth maximum of the losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.methods import preference
from scalarize.methods.base import Method
from scalarize.methods.checks import in_range, losses_of, one_choice, positive, slopes
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.registry import register
from scalarize.utils.errors import RequestError


@register
@dataclass(eq=False)
class STCH(Method):
    """Smooth Tchebycheff scalarization (Lin et al. 2024, equation 5), in both published forms.

    - ``"paper"``: ``mu logsumexp(lambda_t (L_t - z_t) / mu)`` with the preference lambda and the ideal point z;
    - ``"mtl"``, of the authors' multi-task code: ``T mu logsumexp(log(L_t / nadir_t) / mu)``.

    Args:
        form: ``"paper"`` or ``"mtl"``. Default ``"paper"``.
        mu: smoothing, > 0; the smaller, the nearer to the maximum. Default 1.
        ideal: the ideal point z (T,), in the unit of the losses. Default: zeros.
        preference: T numbers >= 0, normalised to sum 1, lambda of ``"paper"``. Default: all the same.
        nadir: positive numbers (T,), in the unit of the losses. Default: the mean losses of epoch ``warmup``; until its
            end the sum of ``log L_t`` is minimised.
        warmup: number, from 0, of the epoch whose mean losses are the nadir, >= 0. Default 4, as in the authors' code.

    Raises:
        RequestError: a hyper-parameter is out of range, preference, ideal or nadir has another length than T, a
            preference is given with ``"mtl"``, or losses are missing.
        RunError: a loss is below 0 with ``"mtl"``.

    Cost: one ordinary backward; with the warm-up 3 T numbers of state.

    Fails: with ``"paper"`` the largest raw loss decides, so losses on different scales need ``"mtl"`` or weights
    before; with a small mu one task trains at a time.

    Our choice: mu = 1; a task that the warm-up's epoch did not bring takes its first losses as nadir.
    """

    name = "stch"
    family = "loss-based"
    needs = Needs.LOSSES
    heads = "weighted"
    paper = "Lin et al. 2024"
    has_objective = True
    task_axes = {"preference": 1, "ideal": 1, "nadir": 1, "sum": 1, "count": 1}
    form: str = "paper"
    mu: float = 1.0
    ideal: Sequence[float] | None = None
    preference: Sequence[float] | None = None
    nadir: Sequence[float] | None = None
    warmup: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        one_choice(self, "form", ("paper", "mtl"))
        in_range(self, "mu", 0.0, open_low=True)
        in_range(self, "warmup", 0)
        preference.check(self)
        if self.preference is not None and self.form != "paper":
            raise RequestError(f"stch: the form {self.form!r} has no preference; choose form=paper")
        if self.nadir is not None and not all(z > 0 for z in self.nadir):
            raise RequestError(f"stch: the nadir's entries must be > 0, got {list(self.nadir)}")

    @property
    def counts_epochs(self) -> bool:
        """True if a warm-up is to make the nadir."""
        return self.form == "mtl" and self.nadir is None

    @property
    def ignores_zero_losses(self) -> bool:
        """True for the form that takes logarithms."""
        return self.form == "mtl"

    def init(self, n_tasks: int) -> State:
        """ideal (T,); or nadir (T,), NaN while unknown, with the sum and count (T,) of the epoch that makes it."""
        if self.form == "paper":
            ideal = self._given("ideal", self.ideal, n_tasks, 0.0)
            return {"ideal": ideal, **preference.entry(self, n_tasks)}
        zeros = torch.zeros(n_tasks, dtype=torch.float64)
        nadir = self._given("nadir", self.nadir, n_tasks, math.nan)
        return {"nadir": nadir, "sum": zeros, "count": zeros.clone()}

    def _given(self, key: str, values: Sequence[float] | None, n_tasks: int, default: float) -> Tensor:
        if values is not None and len(values) != n_tasks:
            raise RequestError(f"stch: {key} has {len(values)} entries for {n_tasks} tasks")
        return torch.tensor([default] * n_tasks if values is None else list(values), dtype=torch.float64)

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        return slopes(self, losses_of(evidence, self), state), self._learn_nadir(evidence, state)

    def _learn_nadir(self, evidence: Evidence, state: State) -> State:
        if self.form == "paper" or not bool(state["nadir"].isnan().any()):
            return state
        losses = losses_of(evidence, self).detach().to(state["sum"])
        if evidence.epoch == self.warmup:
            return {**state, "sum": state["sum"] + losses, "count": state["count"] + 1}
        if evidence.epoch > self.warmup:
            # A task that the epoch did not bring (or a run resumed past it) takes its first losses instead.
            mean = torch.where(state["count"] > 0, state["sum"] / state["count"].clamp(min=1), losses)
            return {**state, "nadir": torch.where(state["nadir"].isnan(), mean, state["nadir"])}
        return state

    def objective(self, losses: Tensor, state: State) -> Tensor:
        if self.form == "paper":
            scaled = losses - state["ideal"].to(losses)
            given = preference.KEY in state
            scaled = scaled * preference.tensor_shares(state, losses) if given else scaled / losses.numel()
            return self.mu * torch.logsumexp(scaled / self.mu, dim=0)
        logs = torch.log(positive(losses, self))
        nadir = state["nadir"].to(losses)
        if bool(nadir.isnan().any()):
            return logs.sum()
        return losses.numel() * self.mu * torch.logsumexp((logs - torch.log(nadir)) / self.mu, dim=0)
