"""What a training sets on a Balancer, reads from it and saves."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from scalarize.balancer.method_state import MethodState
from scalarize.balancer.surroundings import Turn, undisturbed
from scalarize.balancer.training_step import TrainingStep
from scalarize.methods import Method
from scalarize.utils.errors import RequestError


class BalancerState:
    """The part of the Balancer that lasts from step to step.

    Args:
        method_state: the method, its state and its place in time.
        step: the way in which steps are made.
        shared: the parameters that all tasks share.
    """

    def __init__(self, method_state: MethodState, step: TrainingStep, shared: list[Tensor]) -> None:
        self.method: Method = method_state.method
        self.shared = shared
        self._method_state = method_state
        self._step = step
        self._turn = Turn()

    @property
    def tasks(self) -> tuple[str, ...] | None:
        """The names of all tasks; None before the first batch where they were not given."""
        return self._method_state.tasks

    @property
    def step(self) -> int:
        """How many steps were made, skipped ones included."""
        return self._method_state.step

    @property
    def epoch(self) -> int:
        """The epoch that the method is told, from 0: set by the training, else counted by ``steps_per_epoch``.

        If neither is there, methods that count epochs take 25 steps for one, and say so once; a schedule over epochs
        is refused.
        """
        return self._method_state.epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._method_state.epoch = epoch

    @property
    def skipped_steps(self) -> int:
        """How many steps were left out since something was not finite."""
        return self._step.skipped

    @property
    def solver_failures(self) -> int:
        """How often a solver of the method fell back to its documented direction."""
        return self.method.solver_failures

    @property
    def empty_rows(self) -> dict[str, int]:
        """Task -> number of steps in which its gradient was exactly 0, or its loss for methods that look at that."""
        return self._method_state.empty_rows

    def reseed(self, seed: int) -> None:
        """Start the method's random choices anew from ``seed``."""
        self._method_state.reseed(seed)

    @undisturbed
    def parameters(self) -> list[torch.nn.Parameter]:
        """The method's learned parameters, for your optimiser; empty for most methods.

        Raises:
            RequestError: there are some, and the Balancer was not told ``learned="yours"`` and ``tasks=``.
        """
        self._method_state.learned.check_asked()
        if self.method.learned and self.tasks is None:
            raise RequestError(f"{self.method.name} has learned parameters: give the Balancer tasks=[...]")
        if self.method.learned:
            self._method_state.init_state(self._device())
        return self.method.parameters()

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that the coming steps depend on, as a flat dict of tensors (between steps, not within one)."""
        return self._method_state.state_dict() | {"skipped_steps": torch.tensor(self.skipped_steps)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from ``state``; learned parameters are filled in place, so that an optimiser keeps them."""
        self._method_state.load_state_dict(state)
        self._step.skipped = int(state["skipped_steps"])
        self._step.accumulator.clear()

    def _device(self, losses: Mapping[str, Tensor | None] | None = None) -> torch.device:
        tensors = [*self.shared[:1], *(x for x in (losses or {}).values() if x is not None)]
        return tensors[0].device if tensors else torch.device("cpu")
