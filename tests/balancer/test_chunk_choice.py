"""``chunk="auto"``: tried in the first steps, decided by time, never beyond the memory at hand."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scalarize import Balancer
from scalarize.balancer import chunk_choice
from scalarize.balancer.chunk_choice import TRIALS, ChunkChoice
from scalarize.utils.errors import RequestError

CPU = torch.device("cpu")


class Clock:
    """Time as it should pass: ``cost[chunk]`` seconds for rows made ``chunk`` at a time."""

    def __init__(self, cost: dict[int, float]) -> None:
        self.cost, self.now, self.made, self.kept = cost, 0.0, list[int](), list[bool]()

    def rows(self, chunk: int, keep: bool) -> None:
        self.kept.append(keep)
        self.made.append(chunk)
        self.now += self.cost[chunk]
        torch.ones(1000)  # 4,000 bytes


@pytest.mark.parametrize(
    ("cost", "best"),
    [({1: 3.0, 8: 2.0, 40: 1.0}, 40), ({1: 1.0, 8: 2.0, 40: 3.0}, 1), ({1: 2.0, 8: 1.0, 40: 0.97}, 8)],
)
def test_the_fastest_is_kept(cost: dict[int, float], best: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, choice = Clock(cost), ChunkChoice("auto")
    monkeypatch.setattr(chunk_choice.time, "perf_counter", lambda: clock.now)
    for _ in range(3 * TRIALS + 2):
        choice.make(40, CPU, clock.rows)
    assert clock.made == [1, 1, 1, 8, 8, 8, 40, 40, 40, best, best]
    assert clock.kept == [False] * 3 + [True] * 6 + [False] * 2  # in trials one row at a time may have to follow


def test_what_does_not_fit_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, choice = Clock({1: 3.0, 8: 2.0, 40: 1.0}), ChunkChoice("auto")
    monkeypatch.setattr(chunk_choice.time, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(chunk_choice, "memory_at_hand", lambda device: 2.0 * 4000 * 10)
    for _ in range(8):
        choice.make(40, CPU, clock.rows)
    assert clock.made == [1, 1, 1, 8, 8, 8, 8, 8]


def test_what_the_model_does_not_allow_is_left_out() -> None:
    choice, made = ChunkChoice("auto"), list[int]()

    def rows(chunk: int, keep: bool) -> None:
        if chunk > 1:
            raise RequestError("no batching rule")
        made.append(chunk)

    for _ in range(8):
        choice.make(8, CPU, rows)
    assert made == [1] * 8
    assert choice.chosen == 1


def net(seed: int = 0) -> tuple[nn.Module, nn.ModuleList, Tensor]:
    torch.manual_seed(seed)
    return (
        nn.Sequential(nn.Linear(3, 8), nn.Tanh()).double(),
        nn.ModuleList(nn.Linear(8, 1).double() for _ in range(10)),
        torch.randn(6, 3).double(),
    )


@pytest.mark.parametrize("options", [{}, {"accumulate": "full"}, {"heads": "weighted"}], ids=str)
@pytest.mark.parametrize("method", ["pcgrad", "graddrop"])
def test_each_step_is_that_of_one_row_at_a_time(method: str, options: dict[str, Any]) -> None:
    encoder, heads, x = net()
    balancers = {c: Balancer(method, encoder, chunk=c, **options) for c in (1, "auto")}
    parameters = [*encoder.parameters(), *heads.parameters()]
    for step in range(12):
        found = []
        for balancer in balancers.values():
            for p in parameters:
                p.grad = None
            for final in (False, True):
                z = encoder(x + step + final)
                losses = {str(k): (head(z) - k).square().mean() for k, head in enumerate(heads)}
                balancer.backward(losses, final=final)
            found.append([p.grad for p in parameters])
        for a, b in zip(*found, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
    assert balancers["auto"]._step.accumulator.chunks.chosen in (1, 8, 10)


def test_a_model_without_batching_rules_goes_on() -> None:
    class NoRule(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            return grad * float(grad.sum() * 0 + 1)  # a number out of a batched tensor

    encoder, heads, x = net()
    balancer, alone = (Balancer("pcgrad", encoder, chunk=c) for c in ("auto", 1))
    for _ in range(8):
        found = []
        for b in (balancer, alone):
            for p in [*encoder.parameters(), *heads.parameters()]:
                p.grad = None
            z = NoRule.apply(encoder(x))
            b.backward({str(k): (head(z) - k).square().mean() for k, head in enumerate(heads)})
            found.append([p.grad for p in [*encoder.parameters(), *heads.parameters()]])
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other)
    assert balancer._step.accumulator.chunks.chosen == 1


def test_trials_are_silent() -> None:
    """Operators without a batching rule warn: trying them is our affair. Warnings are errors here."""
    choice = ChunkChoice("auto")

    def rows(chunk: int, keep: bool) -> None:
        if chunk > 1:
            warnings.warn("there is a performance drop", stacklevel=2)

    for _ in range(2 * TRIALS):
        choice.make(8, CPU, rows)
    assert choice.chosen is None or choice.chosen == 1


def test_other_words_are_refused() -> None:
    encoder, _, _ = net()
    with pytest.raises(RequestError, match="auto"):
        Balancer("pcgrad", encoder, chunk="atuo")
    with pytest.raises(RequestError, match="blocks"):
        Balancer("mgda", encoder, chunk="auto", blocks=2)
    with pytest.raises(RequestError, match="at least 1"):
        Balancer("mgda", encoder, chunk=0)


def test_memory_at_hand_is_a_number_of_bytes() -> None:
    assert chunk_choice.memory_at_hand(CPU) > 1e6
    assert chunk_choice.memory_at_hand(torch.device("meta")) == float("inf")
