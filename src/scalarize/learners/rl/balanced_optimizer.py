"""One half of an actor-critic: its parameters, its optimiser, and the method that balances its tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from scalarize.balancer.balancer import BackwardResult, Balancer
from scalarize.learners.optimizer import make_optimizer
from scalarize.learners.recipe import Recipe
from scalarize.methods import Method


class BalancedOptimizer:
    """An optimiser of ``module`` from a loss per task, combined by ``method`` at parameter level; l2 ``decay``."""

    def __init__(self, module: nn.Module, method: Method, recipe: Recipe, tasks: Sequence[str], decay: float) -> None:
        self.parameters = list(module.parameters())
        self.recipe, self.tasks = recipe, tuple(tasks)
        self.balancer = Balancer(
            method, self.parameters, on_nonfinite=recipe.on_nonfinite, tasks=tasks, learned="yours"
        )
        chosen = recipe.optimizer.model_copy(update={"weight_decay": decay})
        self.optimizer = make_optimizer(chosen, self.parameters, self.balancer.parameters())

    def begin(self, epoch: int, seed: int) -> None:
        """Begin an epoch: seed the method's random choices, and set the learning rate."""
        self.balancer.epoch = epoch
        self.balancer.reseed(seed)
        rate = self.recipe.optimizer.lr * self.recipe.schedule.factor(epoch, self.recipe.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def update(self, losses: Sequence[Sequence[Tensor]]) -> BackwardResult:
        """Make one step on the tasks' losses; those of further batches follow those of the first."""
        self.optimizer.zero_grad(set_to_none=True)
        named = [dict(zip(self.tasks, own, strict=True)) for own in losses]
        used = self.balancer.backward(named[0], extra=named[1:])
        if self.recipe.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.recipe.max_grad_norm)
        self.optimizer.step()
        return used

    def state_dict(self) -> dict[str, Any]:
        """Return the states of optimiser and method."""
        return {"optimizer": self.optimizer.state_dict(), "method": self.balancer.state_dict()}

    def restore(self, state: dict[str, Any], method_too: bool) -> None:
        """Restore an optimiser's state, but not its hyper-parameters, and the method's state if it is the same one."""
        own = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state["optimizer"]["state"], "param_groups": own})
        if method_too:
            self.balancer.load_state_dict(state["method"])
