"""The losses of soft actor-critic against what is written down in numbers, and where their gradients go."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from scalarize.learners.rl import sac
from scalarize.learners.rl.networks import ActorCritic
from scalarize.learners.rl.replay import Transitions

T, B, D, A = 2, 3, 4, 2


def model(**more: bool) -> ActorCritic:
    torch.manual_seed(0)
    return ActorCritic(T, D, A, [8, 8], temperature=0.3, **more).double()


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def batch() -> Transitions:
    over = torch.zeros(T, B, dtype=torch.bool)
    over[1, 2] = True
    return Transitions(normal(T, B, D), normal(T, B, A).tanh(), normal(T, B), normal(T, B, D), over)


def test_the_density_of_squashed_actions_is_that_of_torch() -> None:
    made, noise = model(), 3 * normal(T, B, A)
    inputs = made.told(normal(T, B, D))
    actions, log_density = made.actor.sample(inputs, noise)
    mean, log_deviation = made.actor(inputs)
    raw = mean + log_deviation.exp() * noise
    known = torch.distributions.TransformedDistribution(
        torch.distributions.Normal(mean, log_deviation.exp()), torch.distributions.TanhTransform(cache_size=1)
    )
    assert torch.allclose(actions, raw.tanh())
    assert torch.allclose(log_density, known.log_prob(torch.tanh(raw)).sum(-1), atol=1e-6)


def test_targets_and_losses_by_hand() -> None:
    made, seen, noise = model(), batch(), normal(T, B, A)
    found = sac.critic_targets(made, seen, noise, discount=0.9)
    inputs = made.told(seen.successors)
    actions, log_density = made.actor.sample(inputs, noise)
    joined = torch.cat([inputs, actions], -1)
    best = torch.minimum(*(critic(joined)[..., 0] for critic in made.targets))
    wanted = seen.rewards + 0.9 * (best - 0.3 * log_density)
    wanted[1, 2] = seen.rewards[1, 2]  # it terminated: no future
    assert torch.allclose(found, wanted)
    assert sac.critic_targets(made, seen, noise, 0.9, clip=0.1).abs().max() <= 0.1
    most = torch.tensor([-0.5, 100.0])  # by task, and from above alone
    bounded = sac.critic_targets(made, seen, noise, 0.9, most=most)
    assert torch.equal(bounded, torch.minimum(found, most[:, None]))
    assert bool((bounded[0] < found[0]).any())
    here = torch.cat([made.told(seen.observations), seen.actions], -1)
    errors = [((critic(here)[..., 0] - found) ** 2).mean(1) for critic in made.critics]
    losses = sac.critic_losses(made, made.told(seen.observations), seen.actions, found)
    assert torch.allclose(losses, errors[0] + errors[1])


def test_a_loss_taken_task_by_task_is_the_same() -> None:
    made, seen = model(), batch()
    inputs, noise, hot = made.told(seen.observations), normal(T, B, A), made.temperature().detach()
    whole, density = sac.actor_losses(made, inputs, noise, hot)
    for t in range(T):
        one, own = sac.actor_losses(made, inputs[t : t + 1], noise[t : t + 1], hot[t : t + 1])
        assert torch.allclose(one[0], whole[t])
        assert torch.allclose(own[0], density[t])


@pytest.mark.parametrize("per_task", [False, True])
def test_the_temperature_rises_where_the_policy_is_too_sure(per_task: bool) -> None:
    made = model(per_task=per_task)
    assert made.temperature().tolist() == pytest.approx([0.3, 0.3])
    sac.temperature_loss(made.temperature(), torch.tensor([9.0, 1.0]).double(), -2.0).backward()
    slope = made.log_temperature.grad
    assert slope is not None
    by_hand = [-0.3 * (9 - 2) / 2, -0.3 * (1 - 2) / 2]  # entropy -9 lies below -2: up; -1 above it: down
    assert slope.tolist() == pytest.approx(by_hand if per_task else [sum(by_hand)])


def test_targets_follow_and_the_task_is_told() -> None:
    made = model()
    before = [p.clone() for p in made.targets.parameters()]
    for p in made.critics.parameters():
        p.data.add_(1.0)
    made.follow(0.25)
    assert all(torch.allclose(p, q + 0.25) for p, q in zip(made.targets.parameters(), before, strict=True))
    assert made.told(normal(T, B, D))[:, :, D:].tolist() == [[[1.0, 0.0]] * B, [[0.0, 1.0]] * B]
    assert math.isclose(sum(1 for _ in made.shared_parameters()), 3 * 6)


def test_observations_are_scaled_and_the_task_is_not() -> None:
    seen = normal(T, B, D)
    told, scaled = model().told(seen), model(scale=5.0).told(seen)
    assert torch.equal(scaled[:, :, :D], 5 * told[:, :, :D])
    assert torch.equal(scaled[:, :, D:], told[:, :, D:])
