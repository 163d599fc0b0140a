"""Other people's rules as methods: a function of the Gramian, or a TorchJD weighting or aggregator.

What these make is used like any method (``Balancer(from_function(f), ...)``). It is not registered: it has no name
that a command line could find, and declares none of the properties of the conformance suite.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.utils.errors import RequestError
from scalarize.utils.seeds import fork_rng

Rule = Callable[[Tensor], Tensor]


@dataclass(eq=False)
class _FromGramian(Method):
    """A method whose weights (T,) are a function of G (T, T)."""

    name = "from-gramian"
    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "own"
    paper = "the caller's own"
    permutation_equivariant = False
    homogeneity = None
    rule: Rule
    label: str

    @property
    def hyper(self) -> dict[str, Any]:
        return {"rule": self.label}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.gramian is not None
        return self._weights(evidence.gramian, evidence), state

    def _weights(self, told: Tensor, evidence: Evidence) -> Tensor:
        weights = _seeded(self.rule, told, evidence)
        if not isinstance(weights, Tensor) or weights.shape != (told.shape[0],):
            got = tuple(weights.shape) if isinstance(weights, Tensor) else type(weights).__name__
            raise RequestError(f"{self.label}: it must answer a tensor of {told.shape[0]} weights, got {got}")
        return weights.detach().to(told)

    def reset(self) -> None:
        super().reset()
        forget = getattr(self.rule, "reset", None)
        if callable(forget):
            forget()


@dataclass(eq=False)
class _FromJacobian(_FromGramian):
    """A method whose weights (T,) are a function of J (T, P)."""

    name = "from-jacobian"
    needs = Needs.JACOBIAN

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.jacobian is not None
        return self._weights(evidence.jacobian, evidence), state


@dataclass(eq=False)
class _Aggregation(_FromJacobian):
    """A method whose gradient (P,) is a function of J (T, P); there are no weights."""

    name = "from-aggregator"
    has_combine = True

    def combine(self, evidence: Evidence, state: State) -> tuple[Tensor, Tensor | None, State]:
        assert evidence.jacobian is not None
        return _seeded(self.rule, evidence.jacobian, evidence).detach(), None, state


def _seeded(rule: Rule, told: Tensor, evidence: Evidence) -> Tensor:
    """Return ``rule(told)``, whose draws from torch's global source depend on the evidence's generator alone."""
    if evidence.generator is None:
        return rule(told)
    seed = int(torch.randint(2**62, (), generator=evidence.generator))
    with fork_rng(seed, [told.device]):
        return rule(told)


def from_function(rule: Rule, takes: Literal["gramian", "jacobian"] = "gramian") -> Method:
    """Make a method of a function that computes weights from the Gramian or from the Jacobian.

    Cost: T backwards, T x P numbers, and the function's own. Nothing is promised about conflicts or scale.

    Args:
        rule: function of the Gramian G (T, T) or the Jacobian J (T, P), a tensor in float32 at least; returns the
            weights (T,).
        takes: ``"gramian"`` or ``"jacobian"``. Default ``"gramian"``.

    Returns:
        The method, which is not registered.

    Raises:
        RequestError: ``takes`` is unknown; at the first step: the function does not return a tensor of T weights.

    >>> method = from_function(lambda gramian: 1 / gramian.diagonal())
    >>> method.combine_gradients(torch.tensor([[2.0, 0.0], [0.0, 4.0]])).gradient
    tensor([0.5000, 0.2500])
    """
    if takes not in ("gramian", "jacobian"):
        raise RequestError(f"from_function: takes must be 'gramian' or 'jacobian', got {takes!r}")
    kind = _FromGramian if takes == "gramian" else _FromJacobian
    return kind(rule=rule, label=getattr(rule, "__name__", type(rule).__name__))


def from_torchjd(rule: Any, takes: Literal["gramian", "jacobian"] = "gramian") -> Method:
    """Make a method of a TorchJD ``Weighting`` or ``Aggregator``.

    An aggregator that is a function of the Gramian gives its weights of the Gramian; another weighted one its weights
    of the Jacobian; any other the vector itself. ``rule`` is copied; its memory stays inside the copy and not in
    ``state``, so that checkpoints and clones of a population do not carry it. Cost: T backwards, T x P numbers, and the
    rule's own.

    Args:
        rule: an instance of a class of ``torchjd.aggregation``.
        takes: argument of a bare ``Weighting``: ``"gramian"`` or ``"jacobian"``. Default ``"gramian"``.

    Returns:
        The method, which is not registered.

    Raises:
        RequestError: ``rule`` is neither, or TorchJD is not installed.

    >>> from torchjd.aggregation import Mean
    >>> from_torchjd(Mean()).combine_gradients(torch.tensor([[2.0, 0.0], [0.0, 4.0]])).gradient
    tensor([1., 2.])
    """
    try:
        from torchjd.aggregation import Aggregator, GramianWeightedAggregator, WeightedAggregator, Weighting
    except ImportError:
        raise RequestError("from_torchjd needs TorchJD: pip install torchjd") from None
    own, label = copy.deepcopy(rule), type(rule).__name__
    if isinstance(own, GramianWeightedAggregator):
        return _FromGramian(rule=cast(Rule, own.weighting.weighting), label=label)
    if isinstance(own, WeightedAggregator):
        return _FromJacobian(rule=own.weighting, label=label)
    if isinstance(own, Aggregator):
        return _Aggregation(rule=own, label=label)
    if isinstance(own, Weighting):
        return _FromGramian(rule=own, label=label) if takes == "gramian" else _FromJacobian(rule=own, label=label)
    raise RequestError(f"from_torchjd takes a TorchJD Weighting or Aggregator, got {label}")
