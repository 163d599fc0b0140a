"""The part of a Balancer that lasts from step to step: settings, counts, and the state that is saved."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from scalarize.balancer.arguments import Loss, read_losses
from scalarize.balancer.distributed import Processes
from scalarize.balancer.losses import read
from scalarize.balancer.method_state import MethodState
from scalarize.balancer.surroundings import Turn, undisturbed
from scalarize.balancer.training_step import TrainingStep
from scalarize.methods import Method
from scalarize.utils.errors import RequestError


class BalancerState:
    """The part of the Balancer that lasts from step to step.

    Args:
        method_state: the method, its state, and the count of steps and epochs.
        step: makes the steps.
        shared: the parameters that all tasks share.
        processes: the processes that share a batch.
    """

    def __init__(
        self, method_state: MethodState, step: TrainingStep, shared: list[Tensor], processes: Processes
    ) -> None:
        self.method: Method = method_state.method
        self.shared = shared
        self._processes = processes
        self._method_state = method_state
        self._step = step
        self._turn = Turn()

    @property
    def tasks(self) -> tuple[str, ...] | None:
        """The names of all tasks; None before the first batch if they were not given."""
        return self._method_state.tasks

    @property
    def step(self) -> int:
        """The number of steps so far, skipped ones included."""
        return self._method_state.step

    @property
    def epoch(self) -> int:
        """The epoch that the method sees, from 0: set by the training, else counted by ``steps_per_epoch``.

        If neither is given, methods that count epochs take 25 steps for one, and say so once; a schedule over epochs
        raises RequestError.
        """
        return self._method_state.epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._method_state.epoch = epoch

    @property
    def skipped_steps(self) -> int:
        """The number of steps that were skipped because a loss or gradient was not finite."""
        return self._step.skipped

    @property
    def solver_failures(self) -> int:
        """The number of times that a solver of the method fell back to its documented direction."""
        return self.method.solver_failures

    @property
    def empty_rows(self) -> dict[str, int]:
        """The number of steps by task in which its gradient (or its loss, for methods that use it) was exactly 0."""
        return self._method_state.empty_rows

    def reseed(self, seed: int) -> None:
        """Restart the method's random choices.

        Args:
            seed: of the choices from here on.

        Example:
            >>> import torch, scalarize
            >>> w = torch.nn.Parameter(torch.ones(2))
            >>> balancer = scalarize.Balancer("rlw", [w], seed=3)
            >>> first = balancer.backward({"a": w.sum(), "b": w.square().sum()}).weights
            >>> balancer.reseed(3)
            >>> torch.equal(first, balancer.backward({"a": w.sum(), "b": w.square().sum()}).weights)
            True
        """
        self._method_state.reseed(seed)

    @undisturbed
    def parameters(self) -> list[torch.nn.Parameter]:
        """Return the method's learned parameters, for your optimiser.

        Returns:
            The parameters, such as T log variances; empty for most methods.

        Raises:
            RequestError: there are some, and ``learned="yours"`` or ``tasks=`` was not given.

        Example:
            >>> import torch, scalarize
            >>> w = torch.nn.Parameter(torch.ones(2))
            >>> balancer = scalarize.Balancer("uncertainty", [w], tasks=["a", "b"], learned="yours")
            >>> optimizer = torch.optim.Adam([w, *balancer.parameters()])
            >>> [p.shape for p in balancer.parameters()]
            [torch.Size([2])]
        """
        self._method_state.learned.check_asked()
        if self.method.learned and self.tasks is None:
            raise RequestError(f"{self.method.name} has learned parameters: give the Balancer tasks=[...]")
        if self.method.learned:
            self._method_state.init_state(self._device())
        return self.method.parameters()

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that the coming steps depend on; to be called between steps, not within one.

        Returns:
            A flat dict of tensors: the method's state, its random stream, and the counts.

        Example:
            >>> import torch, scalarize
            >>> w = torch.nn.Parameter(torch.ones(2))
            >>> balancer = scalarize.Balancer("dwa", [w], steps_per_epoch=10)
            >>> used = balancer.backward({"a": w.sum(), "b": w.square().sum()})
            >>> fresh = scalarize.Balancer("dwa", [w], steps_per_epoch=10)
            >>> fresh.load_state_dict(balancer.state_dict())
            >>> fresh.step
            1
        """
        return self._method_state.state_dict() | {"skipped_steps": torch.tensor(self.skipped_steps)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a saved state; learned parameters are filled in place, so that an optimiser keeps them.

        A state of another number of tasks raises RequestError at the next step.

        Args:
            state: from :meth:`state_dict` of a Balancer with the same method.

        Raises:
            KeyError: it is not such a state.

        Example:
            >>> import torch, scalarize
            >>> balancer = scalarize.Balancer("uniform", [torch.nn.Parameter(torch.ones(2))])
            >>> balancer.load_state_dict(balancer.state_dict())
        """
        self._method_state.load_state_dict(state)
        self._step.skipped = int(state["skipped_steps"])
        self._step.accumulator.clear()
        self._step.columns.forget()

    @undisturbed
    def observe(self, losses: Mapping[str, Loss]) -> None:
        """Show the method the losses after the optimiser's step, on the same batch.

        Without it, methods that look at them take the next step's losses instead; other methods ignore the call.

        Args:
            losses: loss by task, single numbers.

        Raises:
            RequestError: the losses are not single numbers by task.

        Example:
            >>> import torch, scalarize
            >>> w = torch.nn.Parameter(torch.tensor([2.0, 1.0]))
            >>> balancer, optimizer = scalarize.Balancer("famo", [w]), torch.optim.SGD([w], lr=0.1)
            >>> losses = lambda: {"a": w.square().sum(), "b": (w - 1).square().sum()}
            >>> used = balancer.backward(losses())
            >>> optimizer.step()
            >>> with torch.no_grad():
            ...     balancer.observe(losses())
        """
        if self.method.observes:
            tasks = self._method_state.register_tasks(list(losses))
            step = read(read_losses(losses, self._device()), tasks, self._processes)
            self._method_state.init_state(step.values.device)
            self._method_state.observe(step.values, step.index)

    def _device(self, losses: Mapping[str, Tensor | None] | None = None) -> torch.device:
        tensors = [*self.shared[:1], *(x for x in (losses or {}).values() if x is not None)]
        return tensors[0].device if tensors else torch.device("cpu")
