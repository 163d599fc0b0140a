"""Checks of hyper-parameters, and of the evidence that methods are given."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.evidence import Evidence, State
from scalarize.utils.errors import RequestError, RunError, unknown_name_error


def losses_of(evidence: Evidence, method: Method) -> Tensor:
    """Return the losses (T,). Raises RequestError if they were not given to a method that looks at them."""
    if evidence.losses is None:
        raise RequestError(f"{method.name} looks at the losses: pass losses=")
    return evidence.losses


def slopes(method: Method, losses: Tensor, state: State) -> Tensor:
    """Return the derivatives (T,) of the method's objective by the losses: its weights."""
    with torch.enable_grad():
        at = losses.detach().double().requires_grad_()
        (weights,) = torch.autograd.grad(method.objective(at, state), at)
    return weights.to(losses)


def positive(losses: Tensor, method: Method) -> Tensor:
    """Return the losses (T,) with 0 as the least normal number. Raises RunError if one is below 0."""
    if bool((losses.detach() < 0).any()):
        raise RunError(f"{method.name} takes logarithms or inverses of the losses: they must be > 0")
    return losses.clamp(min=torch.finfo(losses.dtype).tiny)


def flag(method: Method, key: str) -> None:
    """Raise RequestError if the hyper-parameter ``key`` is neither true nor false."""
    if not isinstance(getattr(method, key), bool):
        raise RequestError(f"{method.name}: {key} must be true or false, got {getattr(method, key)!r}")


def one_choice(method: Method, key: str, choices: Sequence[str]) -> None:
    """Raise RequestError if the hyper-parameter ``key`` is none of ``choices``."""
    value = getattr(method, key)
    if value not in choices:
        raise unknown_name_error(key, str(value), choices, where=f" of method {method.name!r}")


def in_range(method: Method, key: str, low: float, high: float = float("inf"), open_low: bool = False) -> None:
    """Raise RequestError if the hyper-parameter ``key`` is no number in [low, high], or (low, high]."""
    value = getattr(method, key)
    ok = isinstance(value, int | float) and not isinstance(value, bool)
    if not (ok and low <= value <= high and not (open_low and value == low)):
        bracket = "(" if open_low else "["
        raise RequestError(f"{method.name}: {key} must be in {bracket}{low:g}, {high:g}], got {value!r}")


def no_failures() -> State:
    """Return the state's counter for methods that solve a problem: no failure yet."""
    return {"solver_failures": torch.zeros((), dtype=torch.int64)}


def counted(state: State, converged: bool) -> State:
    """Return the state after a solve; one failure more if it did not converge."""
    return state if converged else {**state, "solver_failures": state["solver_failures"] + 1}
