"""What the Balancer's checks of a step cost, in microseconds of CPU: small models, where nothing else hides it.

    python benchmarks/balancer_checks.py [--steps 400]

Steps with the checks and without them take turns, so that a busy machine slows both; their lower deciles count. The
checks are those of what surrounds the call, of arguments and of reachability, and the silencing of hooks. Their bound
is 50 microseconds.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

import scalarize
from scalarize.balancer import balancer as public
from scalarize.balancer import hooks

CASES = [("uniform", "parameters"), ("mgda", "parameters"), ("mgda", "representation")]


def make(method: str, level: str, checked: bool) -> Callable[[], float]:
    """A function that makes one step on a network of three layers and three heads, and tells its microseconds."""
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 16))
    heads = nn.ModuleDict({t: nn.Linear(16, 1) for t in "abc"})
    x = torch.randn(32, 16)
    balancer: Any = scalarize.Balancer(method, encoder.parameters(), level=level)
    if not checked:
        balancer._step.reachability = Unchecked()
        balancer.backward = types.MethodType(scalarize.Balancer.backward.__wrapped__, balancer)

    def step() -> float:
        z = encoder(x)
        losses = {t: (head(z) - 1).square().mean() for t, head in heads.items()}
        encoder.zero_grad()
        heads.zero_grad()
        with contextlib.nullcontext() if checked else unread():
            start = time.process_time_ns()
            balancer.backward(losses, representation=z)
            return (time.process_time_ns() - start) / 1e3

    return step


class Unchecked:
    """In the place of ``Reachability``."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return nothing


def nothing(*_: Any) -> None:
    """No check."""


@contextlib.contextmanager
def unread() -> Iterator[None]:
    """Without reading arguments and silencing hooks."""
    held = public.read_losses, public.read_representation, hooks.silenced
    public.read_losses, public.read_representation = (lambda x, _: dict(x)), (lambda z: [z])
    hooks.silenced = lambda _: contextlib.nullcontext()
    try:
        yield
    finally:
        public.read_losses, public.read_representation, hooks.silenced = held


def main() -> None:
    """Print one line a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400, help="pairs of steps")
    steps = parser.parse_args().steps
    torch.set_num_threads(1)
    for method, level in CASES:
        with_checks, without = make(method, level, True), make(method, level, False)
        pairs = [(with_checks(), without()) for _ in range(steps + 20)][20:]
        checked, bare = (statistics.quantiles(times, n=10)[0] for times in zip(*pairs, strict=True))
        print(
            f"{method:8} {level:15} step {checked:6.0f} us, unchecked {bare:6.0f} us: checks {checked - bare:4.0f} us"
        )


if __name__ == "__main__":
    main()
