"""PopArt: values stay what they are when the statistics move, and tasks of unlike rewards weigh alike."""

from __future__ import annotations

import copy

import pytest
import torch

from fake_environments import learner
from scalarize.learners.rl import sac
from scalarize.learners.rl.networks import ActorCritic
from scalarize.learners.rl.popart import PopArt
from scalarize.methods import create
from scalarize.utils.errors import RequestError

T, B, D, A = 2, 50, 3, 2


def model(rate: float | None = 0.5) -> ActorCritic:
    torch.manual_seed(0)
    return ActorCritic(T, D, A, (16, 16), popart=rate).double()


def inputs(made: ActorCritic) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    seen = torch.randn(T, B, D, generator=draw, dtype=torch.float64)
    return made.told(seen), torch.rand(T, B, A, generator=draw, dtype=torch.float64)


def test_values_stay_what_they_are_when_the_statistics_move() -> None:
    made = model()
    told, actions = inputs(made)
    before = {name: made.values(getattr(made, name), told, actions) for name in ("critics", "targets")}
    targets = torch.stack([torch.linspace(-1, 1, B), torch.linspace(100, 900, B)]).double()
    for _ in range(20):
        made.normalise(targets)
    assert made.popart is not None
    assert made.popart.mean.tolist() == pytest.approx([0.0, 500.0], abs=1e-2)
    assert made.popart.deviation.numpy() == pytest.approx(targets.std(-1, correction=0).numpy(), rel=1e-4)
    for name, values in before.items():
        torch.testing.assert_close(made.values(getattr(made, name), told, actions), values)
    alone = made.values(made.critics, told[1:], actions[1:])  # one task of the two, as a method that compares has them
    torch.testing.assert_close(alone, before["critics"][:, 1:])


def test_losses_are_in_units_of_each_tasks_deviation() -> None:
    made = model()
    told, actions = inputs(made)
    targets = made.values(made.targets, told, actions)[0].detach() + torch.tensor([[1.0], [300.0]]).double()
    assert made.popart is not None
    made.popart.square.copy_(torch.tensor([1.0, 300.0**2]))
    plain = copy.deepcopy(made)
    found = sac.critic_losses(made, told, actions, targets)
    errors = made.values(made.critics, told, actions) - targets
    torch.testing.assert_close(found, (errors / torch.tensor([[1.0], [300.0]])).square().mean(-1).sum(0))
    noise = torch.zeros(T, B, A, dtype=torch.float64)
    losses, density = sac.actor_losses(plain, told, noise, torch.ones(T, dtype=torch.float64))
    best = plain.values(plain.critics, told, plain.actor.sample(told, noise)[0]).amin(0)
    torch.testing.assert_close(losses, density - (best / torch.tensor([[1.0], [300.0]])).mean(-1))


def test_without_it_nothing_changes_and_with_it_a_training_goes_on_exactly() -> None:
    assert model(None).scales(inputs(model(None))[0]) == 1.0
    whole, parts = (learner(model__popart=0.01, data__rewards="none") for _ in range(2))
    whole.train(create("unitary"), 3)
    parts.train(create("unitary"), 2)
    again = learner(model__popart=0.01, data__rewards="none")
    again.load_state_dict(parts.state_dict())
    again.train(create("unitary"), 3)
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[key]), key
    assert whole.model.popart is not None
    small, large = whole.model.popart.deviation.tolist()
    assert large > 2 * small  # rewards of the second task are ten times as large, where they are not divided


def test_a_rate_is_a_share() -> None:
    with pytest.raises(RequestError, match=r"model\.popart=2"):
        learner(model__popart=2.0)
    statistics = PopArt(1, 1.0)
    layer = torch.nn.Linear(2, 1)
    statistics.follow(torch.zeros(1, 4), [layer])  # all alike: the deviation is the least one
    assert statistics.deviation.tolist() == pytest.approx([1e-4])
    assert layer.weight.isfinite().all()
