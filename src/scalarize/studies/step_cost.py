"""The cost of a step under every method, beside a bare PyTorch loop of the same model and batch.

All measurements are interleaved in one process, so that other load on the machine affects all alike: in each round
every candidate makes one step right beside one of the bare loop, and every other round runs backwards.
"""

from __future__ import annotations

import gc
import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from scalarize import methods
from scalarize.balancer.balancer import Balancer
from scalarize.utils.clocks import clock_of

Forward = Callable[..., tuple[dict[str, Tensor], Any]]  # takes the candidate's view, if it has one
Backward = Callable[[dict[str, Tensor], Any], object]


class Balanced:
    """A method's step: it fills ``.grad``; ``view`` is what it puts between representation and heads, or None.

    Args:
        balancer: with the method.
        forward: forward passes of its own, if it does not share the bare loop's.
    """

    def __init__(self, balancer: Balancer, forward: Forward | None = None) -> None:
        self._balancer, self.forward = balancer, forward
        self.view = balancer.view if balancer.method.has_view else None

    def __call__(self, losses: dict[str, Tensor], representation: Any) -> object:
        return self._balancer.backward(losses, representation=representation)


def measure(
    forward: Forward,
    parameters: Iterable[Tensor],
    candidates: Mapping[str, Callable[[], Backward]],
    repeats: int = 10,
    clock: Callable[[], float] | None = None,
    memory: bool = True,
    floor: bool = True,
    steps: int = 1,
    seconds: float = 0.0,
) -> list[dict[str, Any]]:
    """Measure one row per candidate, beginning with ``bare`` and, if asked for, ``floor``.

    ``bare`` sums the losses and calls ``backward``; ``floor``, the lower bound at parameter level, makes one backward
    pass per task of the same graph. The optimiser's step is left out on all sides.

    Args:
        forward: computes the losses by task and the representation, anew at each call.
        parameters: the shared parameters.
        candidates: name -> a function that makes the step, which fills ``.grad``.
        repeats: number of rounds at least.
        clock: :func:`scalarize.utils.clocks.clock_of` the parameters' device by default.
        memory: measure memory too.
        floor: add the row ``floor``.
        steps: number of consecutive steps whose mean is one measurement: a whole turn of a method that works only in
            some.
        seconds: further rounds are made until this many seconds have passed.

    Returns:
        Rows: ``method``; ``seconds`` of a step (median); ``to_bare`` (ratio to the step of the bare loop beside it) and
        ``to_floor`` (within the round), medians of ratios, with ``_low`` and ``_high``, their quartiles; ``megabytes``:
        the rise of the tensors' memory in one step above what was held before.
    """
    params = list(parameters)
    clock = clock or clock_of(params[0].device)
    makers: dict[str, Callable[[], Backward]] = {
        "bare": lambda: _bare,
        **({"floor": lambda: _floor} if floor else {}),
        **candidates,
    }

    def step(backward: Backward, number: int = steps) -> float:
        start = clock()
        own = backward if isinstance(backward, Balanced) else None
        run, view = (own and own.forward) or forward, own and own.view
        for _ in range(number):
            for p in params:
                p.grad = None
            losses, representation = run() if view is None else run(view)
            backward(losses, representation)
        return (clock() - start) / number

    ready = {name: make() for name, make in makers.items()}
    for backward in ready.values():
        step(backward)  # warm-up: one-time work is done here
    taken: list[dict[str, tuple[float, float]]] = []
    end = time.monotonic() + seconds
    while len(taken) < repeats or time.monotonic() < end:
        way = 1 if len(taken) % 2 == 0 else -1
        pairs = {}
        for name, backward in list(ready.items())[::way]:
            times = [step(which) for which in (_bare, backward)[::way]]
            pairs[name] = (times[::way][0], times[::way][1])
        taken.append(pairs)
    ready.clear()
    rows = []
    for name, make in makers.items():
        row: dict[str, Any] = {"method": name, "seconds": statistics.median(r[name][1] for r in taken)}
        ratios = {"bare": [r[name][1] / r[name][0] for r in taken]}
        if floor:
            ratios["floor"] = [r[name][1] / r["floor"][1] for r in taken]
        for base, values in ratios.items():
            low, middle, high = _quartiles(values)
            row |= {f"to_{base}": middle, f"to_{base}_low": low, f"to_{base}_high": high}
        for p in params:
            p.grad = None  # freed here, outside of the measurement
        row["megabytes"] = _rise(lambda make=make: step(make(), 1)) if memory else None  # type: ignore[misc]
        rows.append(row)
    return rows


def balancers(
    names: Sequence[str], shared: Sequence[Tensor], tasks: Sequence[str], level: str = "parameters", **options: Any
) -> dict[str, Callable[[], Backward]]:
    """Return candidates for :func:`measure`, by the methods' names, at ``level`` or at the only one that they know."""

    def make(name: str) -> Backward:
        known = methods.get(name).levels
        at = level if level in known else known[0]
        return Balanced(Balancer(name, shared, level=at, tasks=tasks, **options))

    return {name: lambda name=name: make(name) for name in names}  # type: ignore[misc]


def _bare(losses: dict[str, Tensor], representation: Tensor) -> None:
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]


def _floor(losses: dict[str, Tensor], representation: Tensor) -> None:
    for left, loss in zip(range(len(losses) - 1, -1, -1), losses.values(), strict=True):
        loss.backward(retain_graph=left > 0)  # type: ignore[no-untyped-call]


def _quartiles(values: list[float]) -> tuple[float, float, float]:
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def _rise(step: Callable[[], object]) -> float:
    """Return the rise of the tensors' memory within a step, in megabytes, by the allocator's own account."""
    gc.collect()
    if torch.cuda.is_available():
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step()
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # silence the profiler's own messages
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        step()
    assert profile.profiler is not None
    taken = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = itertools.accumulate(e.nbytes() for e in sorted(taken, key=lambda e: e.start_ns()))
    return max(held, default=0) / 1e6
