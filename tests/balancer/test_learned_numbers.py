"""Learned numbers: stepped by the Balancer as torch's Adam would, or by the training's optimiser, never by nobody."""

from __future__ import annotations

import io
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import scalarize
from scalarize.utils.errors import RequestError, ScalarizeWarning

TASKS = ("near", "far", "odd")
LEARNED = [n for n in scalarize.methods.names() if scalarize.methods.get(n).learned]
learned = pytest.mark.parametrize("name", LEARNED)


class Problem:
    """Three regressions of unlike scale on one encoder, in float64."""

    def __init__(self, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.x = torch.randn(24, 5, generator=generator).double()
        self.y = torch.randn(24, 3, generator=generator).double() * torch.tensor([1.0, 30.0, 0.1])
        torch.manual_seed(seed)
        self.encoder = nn.Sequential(nn.Linear(5, 7), nn.Tanh()).double()
        self.heads = nn.ModuleDict({t: nn.Linear(7, 1) for t in TASKS}).double()

    def losses(self, at: slice = slice(None)) -> dict[str, Tensor]:
        z = self.encoder(self.x[at])
        return {t: ((self.heads[t](z)[:, 0] - self.y[at, k]) ** 2).mean() for k, t in enumerate(TASKS)}

    def parameters(self) -> list[nn.Parameter]:
        return [*self.encoder.parameters(), *self.heads.parameters()]


def numbers(balancer: scalarize.Balancer) -> Tensor:
    return torch.cat([p.detach().clone() for p in balancer.method.parameters()])


def train(name: str, steps: int = 6, rate: float = 0.05, **options: Any) -> tuple[scalarize.Balancer, Tensor]:
    """The Balancer, and all parameters of the model, after ``steps`` of SGD."""
    problem = Problem()
    balancer = scalarize.Balancer(name, problem.encoder.parameters(), tasks=TASKS, **options)
    optimizer = torch.optim.SGD(problem.parameters(), lr=1e-4)
    theirs = None
    if options.get("learned") == "yours":
        theirs = torch.optim.Adam(balancer.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        balancer.backward(problem.losses())
        optimizer.step()
        if theirs is not None:
            theirs.step()
            theirs.zero_grad()
    return balancer, torch.cat([p.detach().flatten() for p in problem.parameters()])


@learned
def test_own_is_what_torchs_adam_does(name: str) -> None:
    own, model = train(name, learned_rate=0.05)
    yours, again = train(name, learned="yours")
    start = torch.cat([v.flatten() for v in scalarize.methods.create(name).init(3).values()])
    assert (numbers(own) - start).abs().min() > 1e-3
    torch.testing.assert_close(numbers(own), numbers(yours), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(model, again, rtol=1e-12, atol=1e-14)


@learned
def test_numbers_are_asked_for_by_those_who_step_them(name: str) -> None:
    with pytest.raises(RequestError, match="learned='yours'"):
        scalarize.Balancer(name, [nn.Parameter(torch.ones(1))], tasks=TASKS).parameters()
    with pytest.raises(RequestError, match="learned_rate="):
        scalarize.Balancer(name, [nn.Parameter(torch.ones(1))], learned="yours", learned_rate=0.1)


def test_other_methods_have_none_to_ask_for_and_bad_options_are_refused() -> None:
    p = [nn.Parameter(torch.ones(1))]
    assert scalarize.Balancer("mgda", p).parameters() == []
    with pytest.raises(RequestError, match="did you mean 'yours'"):
        scalarize.Balancer("mgda", p, learned="your")
    with pytest.raises(RequestError, match="learned_rate"):
        scalarize.Balancer("imtl", p, learned_rate=0.0)


@learned
def test_one_step_of_adam_a_step_of_many_micro_batches(name: str) -> None:
    problem = Problem()
    balancer = scalarize.Balancer(name, problem.encoder.parameters(), tasks=TASKS, learned_rate=0.1)
    before = None
    for k in range(4):
        losses = {t: x / 4 for t, x in problem.losses(slice(6 * k, 6 * k + 6)).items()}
        balancer.backward(losses, final=k == 3)
        if k < 3:
            before = numbers(balancer) if before is None else before
            assert torch.equal(numbers(balancer), before)
    assert before is not None
    # Adam's first step is its rate, whatever the gradient's size.
    torch.testing.assert_close((numbers(balancer) - before).abs(), torch.full((3,), 0.1).double(), rtol=1e-6, atol=0)


@learned
def test_the_whole_batch_and_its_parts_are_one_step(name: str) -> None:
    whole, parts = (Problem() for _ in range(2))
    one = scalarize.Balancer(name, whole.encoder.parameters(), tasks=TASKS, accumulate="full")
    one.backward(whole.losses())
    other = scalarize.Balancer(name, parts.encoder.parameters(), tasks=TASKS, accumulate="full")
    for k in range(4):
        losses = {t: x / 4 for t, x in parts.losses(slice(6 * k, 6 * k + 6)).items()}
        other.backward(losses, final=k == 3)
    torch.testing.assert_close(numbers(one), numbers(other))


@learned
def test_a_scaler_changes_nothing_and_a_step_that_it_skips_is_none(name: str) -> None:
    plain = scalarize.Balancer(name, (p := Problem()).encoder.parameters(), tasks=TASKS)
    plain.backward(p.losses())
    problem = Problem()
    scaler = torch.amp.GradScaler("cpu", init_scale=512.0)
    scaled = scalarize.Balancer(name, problem.encoder.parameters(), tasks=TASKS)
    scaled.backward(problem.losses(), scaler=scaler)
    torch.testing.assert_close(numbers(plain), numbers(scaled))
    before = numbers(scaled)
    # The losses stay as they are, the encoder's gradient is not finite.
    root = (problem.encoder[0].weight * 0).sum().abs().sqrt()
    scaled.backward({t: x + root for t, x in problem.losses().items()}, scaler=scaler)
    assert torch.equal(numbers(scaled), before)
    assert scaled.skipped_steps == 1


@learned
def test_a_skipped_step_moves_nothing(name: str) -> None:
    problem = Problem()
    balancer = scalarize.Balancer(name, problem.encoder.parameters(), tasks=TASKS, on_nonfinite="skip")
    balancer.backward(problem.losses())
    before, state = numbers(balancer), balancer.state_dict()
    balancer.backward({t: x * float("nan") for t, x in problem.losses().items()})
    assert torch.equal(numbers(balancer), before)
    after = balancer.state_dict()
    assert all(torch.equal(after[k], v) for k, v in state.items() if k.startswith("adam"))


@learned
def test_adam_goes_on_from_a_state_dict_and_an_older_one_loads(name: str) -> None:
    straight, _ = train(name, 6)
    problem = Problem()
    first = scalarize.Balancer(name, problem.encoder.parameters(), tasks=TASKS)
    optimizer = torch.optim.SGD(problem.parameters(), lr=1e-4)
    second = None
    for k in range(6):
        if k == 3:
            buffer = io.BytesIO()
            torch.save(first.state_dict(), buffer)
            buffer.seek(0)
            second = scalarize.Balancer(name, problem.encoder.parameters(), tasks=TASKS)
            second.load_state_dict(torch.load(buffer, weights_only=True))
        optimizer.zero_grad()
        (second or first).backward(problem.losses())
        optimizer.step()
    assert second is not None
    assert torch.equal(numbers(second), numbers(straight))
    new = ("adam", "empty_rows", "epoch_set")
    older = {k: v for k, v in straight.state_dict().items() if not k.startswith(new)}
    second.load_state_dict(older)
    second.backward(problem.losses())
    assert not torch.equal(numbers(second), numbers(straight))


@learned
def test_numbers_that_nobody_steps_are_told_once(name: str) -> None:
    problem = Problem()
    balancer = scalarize.Balancer(name, problem.encoder.parameters(), tasks=TASKS, learned="yours")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(60):
            balancer.backward(problem.losses())
    assert [w.category for w in told] == [ScalarizeWarning]
    assert "balancer.parameters()" in str(told[0].message)
    train(name, 60, learned="yours")  # an error if it warned


@learned
def test_numbers_of_a_task_without_labels_stay(name: str) -> None:
    """A masked loss of exactly 0 measures nothing: its number must not run away."""
    problem = Problem()
    balancer = scalarize.Balancer(name, problem.encoder.parameters(), tasks=TASKS)
    start = torch.cat([v.flatten() for v in scalarize.methods.create(name).init(3).values()])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(5):
            balancer.backward({**(losses := problem.losses()), "odd": losses["odd"] * 0.0})
    assert numbers(balancer)[2] == start[2]
    assert (numbers(balancer)[:2] != start[:2]).all()
    assert balancer.empty_rows == {"near": 0, "far": 0, "odd": 5}
