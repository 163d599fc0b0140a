"""One stack: a model with its losses, representation and shared parameters, and one step of it, compared."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import stacks_reference as reference
import torch
from torch import Tensor, nn
from torch.nn import functional

import scalarize

WIDTH = 5
TASKS = ["a", "b", "c"]


@dataclass
class Case:
    """What a stack's function returns.

    forward: losses by task and representation, the same at every call; plain: the same without the stack's wrapping,
    for the reference; around: a context in which forward and backward run; again: called before each forward (random
    streams, buffers); options: of the Balancer; balancer: what becomes of it before it is used; optimizer: makes an
    optimiser of parameters, fused or not, whose step is compared in place of ``.grad``; scaler: of gradients.
    """

    parameters: list[Tensor]
    shared: Any
    forward: reference.Forward
    plain: reference.Forward | None = None
    reference_shared: list[Tensor] | None = None
    around: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext
    again: Callable[[], None] = lambda: None
    options: dict[str, Any] = field(default_factory=dict)
    balancer: Callable[[scalarize.Balancer], scalarize.Balancer] = lambda b: b
    optimizer: Callable[[list[Tensor], bool], torch.optim.Optimizer] | None = None
    scaler: Any = None


STACKS: dict[str, tuple[Callable[[], Case], float]] = {}


def stack(name: str, tolerance: float = 2e-3) -> Callable[[Callable[[], Case]], Callable[[], Case]]:
    """Register a stack under ``name``; ``tolerance``: the relative error that its precision explains."""

    def register(make: Callable[[], Case]) -> Callable[[], Case]:
        STACKS[name] = (make, tolerance)
        return make

    return register


def heads(width: int = WIDTH) -> nn.ModuleDict:
    return nn.ModuleDict({"a": nn.Linear(width, 1), "b": nn.Linear(width, 3), "c": nn.Linear(width, 1)})


def encoder(inputs: int = 6) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, WIDTH))


def losses(head: Any, z: Tensor, y: Tensor, c: Tensor) -> dict[str, Tensor]:
    """A regression, a classification, and a regression that contradicts the first."""
    return {
        "a": ((head["a"](z).float() - y) ** 2).mean(),
        "b": functional.cross_entropy(head["b"](z).float(), c),
        "c": 3 * ((head["c"](z).float() + y) ** 2).mean(),
    }


def targets(rows: int = 16) -> tuple[Tensor, Tensor]:
    return torch.randn(rows, 1), torch.randint(0, 3, (rows,))


def case(enc: nn.Module, x: Tensor, read: Callable[[Any], Tensor] = lambda z: z, told: Any = None, **more: Any) -> Case:
    """The usual stack: ``enc`` gives z, three heads read it; told: what is given as representation, of z."""
    head, (y, c) = heads(), targets()

    def forward() -> tuple[dict[str, Tensor], Any]:
        z = enc(x)
        return losses(head, read(z), y, c), z if told is None else told(z)

    params = [*enc.parameters(), *head.parameters()]
    return Case(params, more.pop("shared", list(enc.parameters())), forward, **more)


def run(make: Callable[[], Case], method: str, level: str) -> float:
    """The relative error of one step of ``method``. Raises what the Balancer raises."""
    torch.manual_seed(0)
    it = make()

    def forward() -> tuple[dict[str, Tensor], Any]:
        it.again()
        return it.forward()

    def plain() -> tuple[dict[str, Tensor], Any]:
        it.again()
        with it.around():
            return (it.plain or it.forward)()

    shared = it.reference_shared if it.reference_shared is not None else it.shared
    want = reference.expected(plain, shared, it.parameters, scalarize.methods.create(method), level)
    for p in it.parameters:
        p.grad = None
    balancer = it.balancer(scalarize.Balancer(method, shared=it.shared, level=level, tasks=TASKS, **it.options))
    start = [p.detach().clone() for p in it.parameters]
    optimizer = None if it.optimizer is None else it.optimizer(it.parameters, True)
    with it.around():
        by_task, z = forward()
        given = {"representation": z} if level == "representation" else {}
        more = {} if it.scaler is None else {"scaler": it.scaler}
        balancer.backward(by_task, **given, **more)
    if it.scaler is not None:
        it.scaler.unscale_(torch.optim.SGD(it.parameters, 0.1))
    if optimizer is None:
        return reference.error(it.parameters, want)
    optimizer.step()
    assert it.optimizer is not None
    copies = [nn.Parameter(p.clone(memory_format=torch.contiguous_format)) for p in start]
    for q, p in zip(copies, it.parameters, strict=True):
        g = want[id(p)]
        q.grad = None if g is None else g.to(q.dtype).contiguous()
    it.optimizer(copies, False).step()
    return reference.relative(it.parameters, copies, start)
