"""The interface of every method: its declarations, its pure functions, and a shell that tries them on numbers.

Every way of training on T tasks is ``theta <- theta - eta * sum_t p_t * grad L_t`` (Royer et al. 2023,
equation 1). A :class:`Method` makes the weights ``p``. The work is done by pure functions with
explicit state, in the manner of optax: ``init(n_tasks) -> state`` and ``weigh(evidence, state) -> weights, state``;
``weights @ jacobian`` is the universal lift. A thin shell on top (``state``, ``combine_gradients``,
``combine_losses``) checks any method against numbers without a network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from scalarize.methods.evidence import CombinedGradient, CombinedLoss, Evidence, Needs, State, precise
from scalarize.utils.errors import RequestError


@dataclass(eq=False)
class Method:
    """A rule that makes task weights. Subclasses are dataclasses; their fields are the hyper-parameters.

    A subclass sets the class attributes below and implements ``weigh`` (or ``objective``). Hooks that most leave
    alone: ``objective`` (a differentiable total loss, for methods with learned parameters), ``combine`` (the
    gradient is not ``weights @ J``), ``look_back`` (looks at the losses after the step), ``view`` (each task's head is
    given its own view of the shared representation), and the properties ``counts_epochs`` and ``ignores_zero_losses``.
    A method whose solver may fail keeps a scalar entry
    ``solver_failures`` in its state and documents the direction it falls back to.

    Weights come in the dtype and on the device of the evidence (float64 if there is none).
    """

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
        """True if ``Evidence.epoch`` matters to this method, as it was created."""
        return False

    @property
    def ignores_zero_losses(self) -> bool:
        """True if the method takes logarithms, inverses or rates of losses, so that a loss of exactly 0 (a batch
        without labels, as a rule) would decide everything; the balancer leaves such a task out, as one without a loss.
        """
        return False

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
        """The ``task``-th head's view of the shared representation (B, ..., d): the same shape, differentiable in it.
        It counts in evaluation, too."""
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
        """Hyper-parameter -> default, without those that it ``requires``."""
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
        """Number of times that a solver did not converge, or no solution existed, and the fallback was used."""
        return int(self.state["solver_failures"]) if "solver_failures" in self.state else 0

    def ensure(self, n_tasks: int) -> State:
        """The current state, initialised for ``n_tasks`` if it is not yet; learned entries are parameters.

        Raises RequestError if the state held is that of another number of tasks.
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
        """The learned entries of the state, for an optimiser; empty for most methods."""
        return [p for p in self.state.values() if isinstance(p, torch.nn.Parameter)]

    def observe(self, losses: Tensor, state: State | None = None) -> State:
        """The state after the losses (T,) that the step led to; if ``state`` is not given, the held one advances."""
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
        """The update direction of one step; advances the state. The mathematics is done in float64.

        Args:
            jacobian: (T, P), row t the gradient of task t by the shared parameters.
            losses: (T,), for methods that look at them.
            generator: source of random choices; None: torch's own.
            draws: the random numbers themselves, as the method documents them.
            step, epoch: counted from 0; None: the number of calls so far.
            extra: the Jacobians (T, P) of further batches, for methods that want them.

        Returns:
            gradient (P,), in the Jacobian's dtype, and weights (T,), None if the method has none.

        Raises:
            RequestError: a wrong shape, losses that are missing, or a state of another number of tasks.

        >>> jacobian = torch.tensor([[1.0, 0.0], [-1.0, 1.0]])
        >>> from scalarize import methods
        >>> methods.create("pcgrad").combine_gradients(jacobian).gradient
        tensor([0.5000, 1.5000])
        """
        if jacobian.ndim != 2:
            raise RequestError(f"the Jacobian must have shape (tasks, parameters), got {tuple(jacobian.shape)}")
        state = self.ensure(jacobian.shape[0])
        evidence = dataclasses.replace(
            Evidence.of_jacobian(jacobian),
            losses=None if losses is None else precise(losses),
            step=self._calls if step is None else step,
            epoch=self._calls if epoch is None else epoch,
            generator=generator,
            draws=draws,
            extra=tuple(e if isinstance(e, Evidence) else Evidence.of_jacobian(e) for e in extra),
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
        """The total loss of one step; advances the state.

        Args:
            losses: (T,), with their graph if the total is to be differentiated.
            generator, draws, step, epoch: as for :meth:`combine_gradients`.

        Returns:
            loss, a differentiable scalar, and weights (T,), its derivative by each loss.

        Raises:
            RequestError: the method needs gradients, or holds a state of another number of tasks.
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
