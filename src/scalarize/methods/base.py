"""The base class of every method: the interface, and a shell that tries a method on numbers.

Every way of training on T tasks is ``theta <- theta - eta * sum_t p_t * grad L_t`` (Royer et al. 2023, equation 1).
A :class:`Method` makes the weights ``p``. The work is done by pure functions with explicit state, in the manner of
optax: ``init(n_tasks) -> state`` and ``weigh(evidence, state) -> weights, state``; the gradient is
``weights @ jacobian``. A thin shell on top (``state``, ``combine_gradients``, ``combine_losses``) applies any method to
numbers without a network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from scalarize.methods.evidence import CombinedGradient, CombinedLoss, Evidence, Needs, State, precise
from scalarize.methods.interface import Interface
from scalarize.utils.errors import RequestError


@dataclass(eq=False)
class Method(Interface):
    """A rule that makes task weights. Subclasses are dataclasses; their fields are the hyper-parameters.

    A subclass sets the class attributes ``name``, ``family``, ``needs``, ``heads`` and ``paper``, and implements
    ``weigh`` (or ``objective``). Hooks that most leave alone: ``objective`` (a differentiable total loss, for methods
    with learned parameters), ``combine`` (the gradient is not ``weights @ J``), ``look_back`` (looks at the losses
    after the step), ``view`` (each task's head is given its own view of the shared representation), and the properties
    ``counts_epochs`` and ``ignores_zero_losses``. A method whose solver may fail keeps a scalar entry
    ``solver_failures`` in its state and documents the direction it falls back to.

    Weights come in the dtype and on the device of the evidence (float64 if there is none).

    >>> @dataclass(eq=False)
    ... class InverseNorm(Method):
    ...     name, family, heads, paper = "inverse-norm", "gradient-based", "own", "this example"
    ...     needs = Needs.GRAMIAN
    ...
    ...     def weigh(self, evidence, state):
    ...         return evidence.gramian.diagonal().rsqrt(), state
    >>> InverseNorm().combine_gradients(torch.tensor([[2.0, 0.0], [0.0, 4.0]])).gradient
    tensor([1., 1.])
    """

    def __post_init__(self) -> None:
        self._state: State | None = None
        self._calls = 0

    @property
    def hyper(self) -> dict[str, Any]:
        """The hyper-parameters, as they are recorded with a run."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return the default of each hyper-parameter.

        Returns:
            Default by name, without the hyper-parameters that the method ``requires``.
        """
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
        """Return to the state before the first step."""
        self._state = None
        self._calls = 0

    @property
    def solver_failures(self) -> int:
        """Number of times that a solver did not converge, or no solution existed, and the fallback was used."""
        return int(self.state["solver_failures"]) if "solver_failures" in self.state else 0

    def ensure(self, n_tasks: int) -> State:
        """Initialise the state if it is not yet, with the learned entries as parameters.

        Args:
            n_tasks: number T of tasks.

        Returns:
            The current state.

        Raises:
            RequestError: the state held is that of another number of tasks.
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
        """Return the learned entries of the state, for an optimiser.

        Returns:
            The parameters; empty for most methods, and before the first step.
        """
        return [p for p in self.state.values() if isinstance(p, torch.nn.Parameter)]

    def observe(self, losses: Tensor, state: State | None = None) -> State:
        """Show the method the losses after the step.

        Args:
            losses: losses (T,) of the same batch after the step.
            state: the state to start from, left unchanged. Default: the held one, which advances.

        Returns:
            The next state.
        """
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
        """Compute the update direction of one step, in float64; advances the state.

        Args:
            jacobian: Jacobian (T, P), row t the gradient of task t by the shared parameters.
            losses: losses (T,), for methods that look at them. Default: none.
            generator: source of random choices. Default: torch's own.
            draws: the random numbers themselves, as the method documents them. Default: drawn from ``generator``.
            step: number of the step, from 0. Default: the number of calls so far.
            epoch: number of the epoch, from 0. Default: the number of calls so far.
            extra: Jacobians (T, P) of further batches, for methods that use them. Default: none.

        Returns:
            The gradient (P,), in the Jacobian's dtype, and the weights (T,), None if the method has none.

        Raises:
            RequestError: a shape is wrong, losses are missing, or the state is that of another number of tasks.
            RunError: the evidence is not finite or out of range.

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
        """Compute the total loss of one step; advances the state.

        Args:
            losses: losses (T,), with their graph if the total is to be differentiated.
            generator: as for :meth:`combine_gradients`, like the next three.
            draws: the random numbers themselves.
            step: number of the step, from 0.
            epoch: number of the epoch, from 0.

        Returns:
            The total loss, a differentiable scalar, and the weights (T,), its derivatives by the losses.

        Raises:
            RequestError: the method needs gradients, or holds a state of another number of tasks.
            RunError: a loss is out of the method's range.

        >>> from scalarize import methods
        >>> loss, weights = methods.create("gls").combine_losses(torch.tensor([1.0, 4.0]))
        >>> loss, weights
        (tensor(2.), tensor([1.0000, 0.2500]))
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
