"""Soft actor-critic (Haarnoja et al. 2018), one loss per task: pure functions of a batch, T tasks by B transitions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from scalarize.learners.rl.networks import ActorCritic
from scalarize.learners.rl.replay import Transitions
from scalarize.learners.rl.settings import Settings


@torch.no_grad()
def critic_targets(
    model: ActorCritic,
    batch: Transitions,
    noise: Tensor,
    discount: float,
    clip: float | None = None,
    most: Tensor | None = None,
) -> Tensor:
    """Return ``r + discount * (min Q - temperature * log pi)`` at the successor (T, B); an episode that terminated has
    no future, one that was cut off has. clip: bound of the targets' size; most: upper bound by task (T,).

    The temperature is in the unit of the values: a task's deviation with PopArt, 1 without.
    """
    inputs = model.told(batch.successors)
    actions, log_density = model.actor.sample(inputs, noise)
    best = model.values(model.targets, inputs, actions).amin(0)
    future = best - model.scales(inputs) * (model.temperature()[:, None] * log_density)
    found = batch.rewards + discount * (~batch.terminated) * future
    found = found if clip is None else found.clamp(-clip, clip)
    return found if most is None else found.minimum(most.to(found)[:, None])


def critic_losses(model: ActorCritic, inputs: Tensor, actions: Tensor, targets: Tensor) -> Tensor:
    """Return the squared error of both critics in the values' unit, summed over the two, averaged over B: (T,)."""
    errors = (model.values(model.critics, inputs, actions) - targets) / model.scales(inputs)
    return errors.square().mean(-1).sum(0)


def actor_losses(model: ActorCritic, inputs: Tensor, noise: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``temperature * log pi - min Q``, Q in its unit, averaged over B: (T,); and the log-density (T,).

    The critics must not require a gradient meanwhile.
    """
    actions, log_density = model.actor.sample(inputs, noise)
    best = model.values(model.critics, inputs, actions).amin(0)
    return (temperature[:, None] * log_density - best / model.scales(inputs)).mean(-1), log_density.detach().mean(-1)


def temperature_loss(temperature: Tensor, log_density: Tensor, wanted: float) -> Tensor:
    """Return the loss that raises temperatures (T,) if the entropy, minus ``log_density``, is below ``wanted``."""
    return -(temperature * (log_density + wanted)).mean()


def critic_losses_by_task(
    model: ActorCritic,
    batch: Transitions,
    noise: Tensor,
    settings: Settings,
    apart: bool,
    most: Tensor | None = None,
) -> list[Tensor]:
    """Return each task's loss of the critics, from a graph of its own if ``apart``, else from one graph of all.

    most: upper bound of the targets by task (T,). With PopArt, its statistics follow the targets first.
    """
    clip = settings.target_clip if isinstance(settings.target_clip, float) else None
    wanted = critic_targets(model, batch, noise, settings.discount, clip, most)
    model.normalise(wanted)
    parts = _parts((model.told(batch.observations), batch.actions, wanted), apart)
    return [loss for part in parts for loss in critic_losses(model, *part).unbind()]


def actor_losses_by_task(
    model: ActorCritic, batch: Transitions, noise: Tensor, apart: bool
) -> tuple[list[Tensor], Tensor]:
    """Return each task's loss of the actor, graphs as above, and the log-densities (T,)."""
    parts = _parts((model.told(batch.observations), noise, model.temperature().detach()), apart)
    found = [actor_losses(model, *part) for part in parts]
    return [loss for losses, _ in found for loss in losses.unbind()], torch.cat([density for _, density in found])


def _parts(inputs: tuple[Tensor, ...], apart: bool) -> list[tuple[Tensor, ...]]:
    return list(zip(*(torch.split(x, 1 if apart else len(x)) for x in inputs), strict=True))


@contextlib.contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Keep gradients from ``module`` inside."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)
