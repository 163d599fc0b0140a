"""The actor and the twin critics of soft actor-critic, shared by all tasks and told the task as a one-hot vector."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from scalarize.learners.rl.popart import PopArt

LOG_DEVIATIONS = (-20.0, 2.0)  # bounds of the policy's log standard deviation, as is usual


def perceptron(inputs: int, widths: Sequence[int], outputs: int) -> nn.Sequential:
    """Make linear and ReLU layers of the given ``widths``, then a linear one."""
    sizes = [inputs, *widths]
    layers = [m for a, b in itertools.pairwise(sizes) for m in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], outputs))


class Actor(nn.Module):
    """A Gaussian policy squashed by tanh into [-1, 1]^A."""

    def __init__(self, inputs: int, widths: Sequence[int], actions: int) -> None:
        super().__init__()
        self.body = perceptron(inputs, widths, 2 * actions)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log standard deviation (..., A) before squashing."""
        mean, log_deviation = self.body(inputs).chunk(2, dim=-1)
        return mean, log_deviation.clamp(*LOG_DEVIATIONS)

    def sample(self, inputs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return actions (..., A) for standard normal ``noise`` (..., A), and their log-density (...)."""
        mean, log_deviation = self(inputs)
        raw = mean + log_deviation.exp() * noise
        normal = -0.5 * noise.square() - log_deviation - 0.5 * math.log(2 * math.pi)
        squashed = 2 * (math.log(2) - raw - functional.softplus(-2 * raw))  # log(1 - tanh^2), without overflow
        return raw.tanh(), (normal - squashed).sum(-1)


class ActorCritic(nn.Module):
    """Actor, two critics, their targets and the temperatures (one for all tasks, or one per task).

    Everything takes a leading task axis: observations (T, B, D). scale: multiplies them before anything looks at
    them; differences of a few centimetres, told in metres, are small beside what a fresh network tells apart. popart:
    rate of the statistics by which critics normalise the values of each task; then they have an output for each.
    """

    def __init__(
        self,
        tasks: int,
        observation: int,
        actions: int,
        widths: Sequence[int],
        temperature: float = 1.0,
        per_task: bool = False,
        scale: float = 1.0,
        popart: float | None = None,
    ) -> None:
        super().__init__()
        self.tasks, self.actions, self.scale = tasks, actions, scale
        self.actor = Actor(observation + tasks, widths, actions)
        self.popart = None if popart is None else PopArt(tasks, popart)
        outputs = 1 if popart is None else tasks
        self.critics = nn.ModuleList(perceptron(observation + tasks + actions, widths, outputs) for _ in range(2))
        self.targets = copy.deepcopy(self.critics).requires_grad_(False)
        self.log_temperature = nn.Parameter(torch.full((tasks if per_task else 1,), math.log(temperature)))

    def shared_parameters(self) -> Iterator[nn.Parameter]:
        """Return all parameters that tasks share: actor and critics."""
        yield from self.actor.parameters()
        yield from self.critics.parameters()

    def told(self, observations: Tensor) -> Tensor:
        """Append the one-hot task to scaled observations (T, B, D): (T, B, D + T)."""
        which = torch.eye(self.tasks, dtype=observations.dtype, device=observations.device)
        return torch.cat([self.scale * observations, which[:, None].expand(-1, observations.shape[1], -1)], dim=-1)

    def temperature(self) -> Tensor:
        """Return the temperature of each task (T,), with its graph."""
        return self.log_temperature.exp().expand(self.tasks)

    def values(self, critics: nn.ModuleList, inputs: Tensor, actions: Tensor) -> Tensor:
        """Return the value (2, T, B) that each critic gives to actions (T, B, A) after ``inputs`` (T, B, D + T).

        With fewer than all tasks, those that ``inputs`` are told to be of count.
        """
        joined = torch.cat([inputs, actions], dim=-1)
        found = torch.stack([critic(joined) for critic in critics])
        if self.popart is None:
            return found.squeeze(-1)
        told = inputs[..., -self.tasks :]
        deviation, mean = (told @ statistic.to(told) for statistic in (self.popart.deviation, self.popart.mean))
        return deviation * (found * told).sum(-1) + mean

    def scales(self, inputs: Tensor) -> Tensor | float:
        """Return the unit of the values after ``inputs`` (T, B, D + T): (T, B), 1 without PopArt."""
        return 1.0 if self.popart is None else inputs[..., -self.tasks :] @ self.popart.deviation.to(inputs)

    def normalise(self, targets: Tensor) -> None:
        """Move the statistics of the critics' targets (T, B), with PopArt; values stay what they are."""
        if self.popart is not None:
            everyone: list[Any] = [*self.critics, *self.targets]
            self.popart.follow(targets, [critic[-1] for critic in everyone])

    @torch.no_grad()
    def follow(self, rate: float) -> None:
        """Move the targets towards the critics by ``rate``."""
        torch._foreach_lerp_(list(self.targets.parameters()), list(self.critics.parameters()), rate)
