"""The method seam: what a method is told, what it declares, what it answers.

Every way of training on T tasks is ``theta <- theta - eta * sum_t p_t * grad L_t`` (Royer et al. 2023,
equation 1). A :class:`Method` says where the weights ``p`` come from. The work is done by pure functions with
explicit state, in the manner of optax: ``init(n_tasks) -> state`` and ``weigh(evidence, state) -> weights, state``;
``weights @ jacobian`` is the universal lift. A thin shell on top (``state``, ``combine_gradients``,
``combine_losses``) checks any method against numbers without a network.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from scalarize.utils.errors import RequestError

State = dict[str, Tensor]


class Needs(enum.IntEnum):
    """What a method must see before it can weigh, ordered by cost."""

    NOTHING = 0  # weights are known before the batch is drawn: they may serve as sampling rates
    LOSSES = 1  # T numbers: one ordinary backward pass
    GRAMIAN = 2  # G = J J^T, (T, T): T backward passes, then small mathematics
    JACOBIAN = 3  # J itself, (T, P): the result is not a function of G alone


@dataclass(frozen=True)
class Evidence:
    """What a method is told at one step. All tensors are detached.

    losses (T,); gramian (T, T) if needed; jacobian (T, P) if needed; step and epoch count from 0;
    generator: source of randomness; draws: replaces it (tests); extra: evidence of further batches; width: the last
    axis of the representation, where the rows of the Jacobian are gradients by it, sample after sample.
    """

    losses: Tensor | None = None
    gramian: Tensor | None = None
    jacobian: Tensor | None = None
    step: int = 0
    epoch: int = 0
    generator: torch.Generator | None = None
    draws: Tensor | None = None
    extra: tuple[Evidence, ...] = ()
    width: int | None = None


class CombinedGradient(NamedTuple):
    """gradient (P,): what goes into ``.grad``; weights (T,), or None where no weights exist."""

    gradient: Tensor
    weights: Tensor | None


class CombinedLoss(NamedTuple):
    """loss: a differentiable scalar; weights (T,): its derivative by each loss, detached."""

    loss: Tensor
    weights: Tensor


@dataclass(eq=False)
class Method:
    """Where the task weights come from. Subclasses are dataclasses; their fields are the hyper-parameters.

    A subclass sets the class attributes below and implements ``weigh`` (or ``objective``). Hooks that most leave
    alone: ``objective`` (a differentiable total loss, for methods with learned parameters), ``combine`` (the
    gradient is not ``weights @ J``), ``look_back`` (looks at the losses after the step), ``view`` (each task's head is
    given its own view of the shared representation). A method whose solver may fail keeps a scalar entry
    ``solver_failures`` in its state and documents the direction it falls back to.

    Weights come in the dtype and on the device of the evidence (float64 where there is none).
    """

    name: ClassVar[str]
    family: ClassVar[Literal["scalarization", "loss-based", "gradient-based"]]
    needs: ClassVar[Needs]
    heads: ClassVar[Literal["own", "weighted", "objective"]]
    paper: ClassVar[str]
    requires: ClassVar[tuple[str, ...]] = ()  # hyper-parameters without which it cannot be created
    extra_batches: ClassVar[int] = 0
    levels: ClassVar[tuple[str, ...]] = ("parameters", "representation")  # where its gradients may be taken
    learned: ClassVar[tuple[str, ...]] = ()  # state entries trained by the training's own optimiser
    task_axes: ClassVar[dict[str, int]] = {}  # state entry -> how many leading axes index tasks
    observes: ClassVar[bool] = False
    has_objective: ClassVar[bool] = False
    has_combine: ClassVar[bool] = False
    has_view: ClassVar[bool] = False
    same_samples: ClassVar[bool] = False  # compares tasks sample by sample: all need the same samples

    # Declared properties; the conformance suite holds every method to them.
    random: ClassVar[bool] = False  # draws random numbers, from ``Evidence.generator``
    permutation_equivariant: ClassVar[bool] = True  # tasks in another order: the same gradient
    non_conflicting: ClassVar[bool] = False  # g . g_i >= 0 for every task
    homogeneity: ClassVar[float | None] = 1.0  # c J gives c^h g for c > 0, from a fresh state; None: no such rule
    row_scale_invariant: ClassVar[bool] = False  # scaling one task's gradient leaves the direction as it is

    # --- the pure functions -------------------------------------------------------------------------------------
    def init(self, n_tasks: int) -> State:
        """The state before the first step, as a flat dict of tensors."""
        return {}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        """Weights (T,) for this step, and the next state; ``state`` itself is left unchanged."""
        raise RequestError(f"{type(self).__name__} defines no weights")

    def objective(self, losses: Tensor, state: State) -> Tensor:
        """The total loss, differentiable in ``losses`` (T,) and in the learned state."""
        raise RequestError(f"{type(self).__name__} has no objective")

    def combine(self, evidence: Evidence, state: State) -> tuple[Tensor, Tensor | None, State]:
        """Gradient (P,), implied weights (T,) or None, next state. By default ``weights @ J``."""
        weights, state = self.weigh(evidence, state)
        assert evidence.jacobian is not None
        return weights.to(evidence.jacobian) @ evidence.jacobian, weights, state

    def look_back(self, losses: Tensor, state: State) -> State:
        """The state after seeing the losses (T,) that the step led to (same batch); the hook behind ``observe``."""
        return state

    def view(self, representation: Tensor, task: int, state: State) -> Tensor:
        """What the head of the ``task``-th task is given in place of the shared representation (B, ..., d): the same
        shape, differentiable in it. It counts in evaluation, too."""
        return representation

    # --- the shell ----------------------------------------------------------------------------------------------
    def __post_init__(self) -> None:
        self._state: State | None = None
        self._calls = 0

    @property
    def hyper(self) -> dict[str, Any]:
        """The hyper-parameters, as they are recorded with a run."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Hyper-parameter -> default; those that it ``requires`` are left out."""
        held = {
            f.name: f.default_factory() if f.default_factory is not dataclasses.MISSING else f.default
            for f in dataclasses.fields(cls)
        }
        return {key: value for key, value in held.items() if key not in cls.requires}

    @property
    def state(self) -> State:
        """The current state; empty before the first call. Entries may be assigned."""
        if self._state is None:
            self._state = {}
        return self._state

    def reset(self) -> None:
        """Forget everything seen."""
        self._state = None
        self._calls = 0

    @property
    def solver_failures(self) -> int:
        """How often a solver of this method did not converge, or no solution existed, and its fallback was used."""
        return int(self.state["solver_failures"]) if "solver_failures" in self.state else 0

    def ensure(self, n_tasks: int) -> State:
        """The current state, initialised for ``n_tasks`` where it is not yet; learned entries are parameters.

        Raises RequestError where the state held is that of another number of tasks.
        """
        fresh = self.init(n_tasks)
        held = self.state
        for key, value in fresh.items():
            if key not in held:
                held[key] = value
            axes = self.task_axes.get(key, 0)
            if held[key].shape[:axes] != value.shape[:axes]:
                seen = held[key].shape[0] if held[key].ndim else 0
                raise RequestError(f"{self.name}: its state {key!r} is for {seen} tasks, not {n_tasks}: call reset()")
            if key in self.learned and not isinstance(held[key], torch.nn.Parameter):
                held[key] = torch.nn.Parameter(held[key].detach().clone())
        return held

    def parameters(self) -> list[torch.nn.Parameter]:
        """The learned entries of the state, for the training's optimiser; empty for most methods."""
        return [p for p in self.state.values() if isinstance(p, torch.nn.Parameter)]

    def observe(self, losses: Tensor, state: State | None = None) -> State:
        """The state after the losses (T,) that the step led to; where ``state`` is not given, the held one advances."""
        if state is not None:
            return self.look_back(losses.detach(), state)
        self._state = self.look_back(losses.detach(), self.ensure(losses.shape[0]))
        return self._state

    def combine_gradients(
        self,
        jacobian: Tensor,
        losses: Tensor | None = None,
        generator: torch.Generator | None = None,
        draws: Tensor | None = None,
        step: int | None = None,
        epoch: int | None = None,
        extra: Sequence[Tensor | Evidence] = (),
    ) -> CombinedGradient:
        """The update direction for a Jacobian (T, P), row t the gradient of task t; advances the state.

        ``losses`` (T,) where the method looks at them; ``draws`` fixes its random choices; ``extra`` are the
        Jacobians of further batches; ``step`` and ``epoch`` count the calls where not given. The mathematics is
        done in float64, the gradient comes in the Jacobian's dtype. Raises RequestError for a wrong shape.
        """
        if jacobian.ndim != 2:
            raise RequestError(f"the Jacobian must have shape (tasks, parameters), got {tuple(jacobian.shape)}")
        state = self.ensure(jacobian.shape[0])
        evidence = dataclasses.replace(
            _evidence(jacobian),
            losses=None if losses is None else _precise(losses),
            step=self._calls if step is None else step,
            epoch=self._calls if epoch is None else epoch,
            generator=generator,
            draws=draws,
            extra=tuple(e if isinstance(e, Evidence) else _evidence(e) for e in extra),
        )
        gradient, weights, self._state = self.combine(evidence, state)
        self._calls += 1
        return CombinedGradient(gradient.to(jacobian.dtype), None if weights is None else weights.detach())

    def combine_losses(
        self,
        losses: Tensor,
        generator: torch.Generator | None = None,
        draws: Tensor | None = None,
        step: int | None = None,
        epoch: int | None = None,
    ) -> CombinedLoss:
        """The total loss for task losses (T,), and its derivative by each; advances the state.

        ``step`` and ``epoch`` count the calls where not given. Raises RequestError for a method that needs gradients.
        """
        if self.needs > Needs.LOSSES:
            raise RequestError(f"{self.name} needs the tasks' gradients: use combine_gradients")
        state = self.ensure(losses.shape[0])
        evidence = Evidence(
            losses=losses.detach(),
            step=self._calls if step is None else step,
            epoch=self._calls if epoch is None else epoch,
            generator=generator,
            draws=draws,
        )
        weights, after = self.weigh(evidence, state)
        weights = weights.detach()
        loss = self.objective(losses, state) if self.has_objective else (weights.to(losses) * losses).sum()
        self._state = after
        self._calls += 1
        return CombinedLoss(loss, weights)


def _precise(tensor: Tensor) -> Tensor:
    """Detached, and in float64 where the device has it."""
    return tensor.detach() if tensor.device.type == "mps" else tensor.detach().double()


def _evidence(jacobian: Tensor) -> Evidence:
    precise = _precise(jacobian)
    return Evidence(gramian=precise @ precise.T, jacobian=precise)
