"""The actor and the twin critics of soft actor-critic, shared by all tasks and told the task as a one-hot vector."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

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
    them; differences of a few centimetres, told in metres, are small beside what a fresh network tells apart.
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
    ) -> None:
        super().__init__()
        self.tasks, self.actions, self.scale = tasks, actions, scale
        self.actor = Actor(observation + tasks, widths, actions)
        self.critics = nn.ModuleList(perceptron(observation + tasks + actions, widths, 1) for _ in range(2))
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

    @staticmethod
    def values(critics: nn.ModuleList, inputs: Tensor, actions: Tensor) -> Tensor:
        """Return the value (2, T, B) that each critic gives to actions (T, B, A) after ``inputs`` (T, B, D + T)."""
        joined = torch.cat([inputs, actions], dim=-1)
        return torch.stack([critic(joined).squeeze(-1) for critic in critics])

    @torch.no_grad()
    def follow(self, rate: float) -> None:
        """Move the targets towards the critics by ``rate``."""
        torch._foreach_lerp_(list(self.targets.parameters()), list(self.critics.parameters()), rate)
