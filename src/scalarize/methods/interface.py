"""The interface of every method: its declarations and its pure functions, with the defaults that most methods keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.utils.errors import RequestError


@dataclass(eq=False)
class Interface:
    """The declarations and pure functions that a subclass of Method sets; see there."""

    name: ClassVar[str]
    family: ClassVar[Literal["scalarization", "loss-based", "gradient-based"]]
    needs: ClassVar[Needs]
    heads: ClassVar[Literal["own", "weighted", "objective"]]
    paper: ClassVar[str]
    requires: ClassVar[tuple[str, ...]] = ()  # hyper-parameters without which it cannot be created
    extra_batches: ClassVar[int] = 0
    levels: ClassVar[tuple[str, ...]] = ("parameters", "representation")  # of the gradients that it can use
    learned: ClassVar[tuple[str, ...]] = ()  # state entries trained by gradient descent on the objective
    task_axes: ClassVar[dict[str, int]] = {}  # state entry -> how many leading axes index tasks
    coordinates: ClassVar[tuple[str, ...]] = ()  # state entries (T, P) with a column for each shared number
    observes: ClassVar[bool] = False
    has_objective: ClassVar[bool] = False
    has_combine: ClassVar[bool] = False
    has_view: ClassVar[bool] = False
    same_samples: ClassVar[bool] = False  # compares tasks sample by sample: all need the same samples
    epoch_window: ClassVar[int | None] = 25  # steps that stand for an epoch that nobody counts; None: not possible

    # Declared properties; the conformance suite holds every method to them.
    random: ClassVar[bool] = False  # draws random numbers, from ``Evidence.generator``
    permutation_equivariant: ClassVar[bool] = True  # tasks in another order: the same gradient
    non_conflicting: ClassVar[bool] = False  # g . g_i >= 0 for every task
    homogeneity: ClassVar[float | None] = 1.0  # c J gives c^h g for c > 0, from a fresh state; None: no such rule
    row_scale_invariant: ClassVar[bool] = False  # scaling one task's gradient leaves the direction as it is

    @property
    def counts_epochs(self) -> bool:
        """True if ``Evidence.epoch`` matters to this method, with its hyper-parameters."""
        return False

    @property
    def ignores_zero_losses(self) -> bool:
        """True if the method takes logarithms, inverses or rates of losses.

        A loss of exactly 0 (as a rule a batch without labels) would then decide everything; the balancer treats such a
        task as one without a loss.
        """
        return False

    # --- the pure functions -------------------------------------------------------------------------------------
    def init(self, n_tasks: int) -> State:
        """Return the state before the first step.

        Args:
            n_tasks: number T of tasks.

        Returns:
            A flat dict of tensors; empty for methods without a state.
        """
        return {}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        """Compute the weights of one step; pure.

        Args:
            evidence: losses, Gramian or Jacobian, as far as the method ``needs`` them.
            state: the state before the step, which is left unchanged.

        Returns:
            The weights (T,) and the next state.

        Raises:
            RequestError: the method has no weights, or losses that it needs are missing.
            RunError: the evidence is not finite or out of range.
        """
        raise RequestError(f"{type(self).__name__} defines no weights")

    def objective(self, losses: Tensor, state: State) -> Tensor:
        """Return the total loss, for methods with ``has_objective``.

        Args:
            losses: losses (T,), with their graph if the total is to be differentiated.
            state: the state, with its learned entries.

        Returns:
            A single number, differentiable in ``losses`` and in the learned entries.

        Raises:
            RequestError: the method has no objective.
        """
        raise RequestError(f"{type(self).__name__} has no objective")

    def combine(self, evidence: Evidence, state: State) -> tuple[Tensor, Tensor | None, State]:
        """Combine the Jacobian (T, P) of one step into a gradient; by default ``weights @ J``.

        Args:
            evidence: with the Jacobian.
            state: the state before the step, which is left unchanged.

        Returns:
            The gradient (P,), the weights (T,) or None if there are none, and the next state.

        Raises:
            RequestError, RunError: as for :meth:`weigh`.
        """
        weights, state = self.weigh(evidence, state)
        assert evidence.jacobian is not None
        return weights.to(evidence.jacobian) @ evidence.jacobian, weights, state

    def look_back(self, losses: Tensor, state: State) -> State:
        """Update the state by the losses after the step; the hook behind ``observe``.

        Args:
            losses: losses (T,) of the same batch after the step, detached.
            state: the state after the step, which is left unchanged.

        Returns:
            The next state; by default ``state`` itself.
        """
        return state

    def view(self, representation: Tensor, task: int, state: State) -> Tensor:
        """Return the input of one task's head, in training and in evaluation.

        Args:
            representation: the shared representation (B, ..., d).
            task: position of the task, from 0.
            state: the state.

        Returns:
            A tensor of the same shape, differentiable in ``representation``; by default ``representation`` itself.
        """
        return representation
