"""Everything that a probe may change, taken before and put back after."""

from __future__ import annotations

import copy
import gc
import inspect
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from scalarize.balancer.balancer import Balancer


@contextmanager
def restored(balancer: Balancer, optimizer: Any) -> Iterator[Callable[[], None]]:
    """Yield a function that puts random streams, modules, ``.grad``, the Balancer and the optimiser back."""
    tensors: dict[int, Tensor] = {id(p): p for p in [*balancer.shared, *held_by(optimizer)]}
    for module in live_modules():
        tensors |= {id(x): x for x in [*module.parameters(), *module.buffers()] if _is_plain(x)}
    values = {key: x.detach().clone() for key, x in tensors.items()}
    grads = {key: x.grad for key, x in tensors.items()}
    method_state, training_step, method = balancer._method_state, balancer._step, balancer.method
    skipped = training_step.skipped
    streams = _streams()
    inner = unwrapped(optimizer)
    opt_state: Any = {} if inner is None else inner.state
    groups = [] if inner is None else [dict(g) for g in inner.param_groups]

    def again() -> None:
        with torch.no_grad():
            for key, x in tensors.items():
                if not torch.equal(x, values[key]) or x.dtype != values[key].dtype:
                    x.copy_(values[key])
                x.grad = None
        balancer._method_state = training_step.method_state = copy.deepcopy(method_state)
        balancer.method = balancer._method_state.method
        training_step.skipped = skipped
        training_step.accumulator.clear()
        if inner is not None:
            inner.state = copy.copy(opt_state)
            for p, held in opt_state.items():
                inner.state[p] = {k: v.clone() if isinstance(v, Tensor) else v for k, v in held.items()}
            for group, held in zip(inner.param_groups, groups, strict=True):
                group.update(held)
        _set_streams(streams)

    try:
        again()
        yield again
    finally:
        again()
        balancer._method_state = training_step.method_state = method_state
        balancer.method = method
        for key, x in tensors.items():
            x.grad = grads[key]
        if inner is not None:
            inner.state = opt_state


def _is_plain(x: Tensor) -> bool:
    return type(x) in (Tensor, nn.Parameter, nn.Buffer) and not x.is_meta


def _streams() -> tuple[Any, ...]:
    numpy = sys.modules.get("numpy")
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else None
    return torch.get_rng_state(), cuda, random.getstate(), None if numpy is None else numpy.random.get_state()


def _set_streams(streams: tuple[Any, ...]) -> None:
    cpu, cuda, python, numpy = streams
    torch.set_rng_state(cpu)
    if cuda is not None:
        torch.cuda.set_rng_state_all(cuda)
    random.setstate(python)
    if numpy is not None:
        sys.modules["numpy"].random.set_state(numpy)


@contextmanager
def silent(leaves: Sequence[Tensor]) -> Iterator[None]:
    """Suspend the hooks of the parameters, which may step an optimiser or change a gradient."""
    held = []
    for p in leaves:
        for hooks in (p._backward_hooks, getattr(p, "_post_accumulate_grad_hooks", None)):
            if hooks:
                held.append((hooks, dict(hooks)))
                hooks.clear()
    try:
        yield
    finally:
        for hooks, saved in held:
            hooks.update(saved)


def live_modules() -> list[nn.Module]:
    """Return all modules that are alive."""
    return [x for x in gc.get_objects() if issubclass(type(x), nn.Module)]


def held_by(optimizer: Any) -> list[Tensor]:
    """Return the parameters of an optimiser; an empty list for None."""
    return [] if optimizer is None else [p for group in optimizer.param_groups for p in group["params"]]


def unwrapped(optimizer: Any) -> Any:
    """Return the optimiser inside the wrappers of accelerate and the like."""
    while hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    return optimizer


def needs_closure(optimizer: Any) -> bool:
    """Tell if its step must be given a function that evaluates the loss, as LBFGS's must."""
    if optimizer is None:
        return False
    closure = inspect.signature(type(unwrapped(optimizer)).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty
