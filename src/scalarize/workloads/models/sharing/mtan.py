"""MTAN: one network of convolutions, and masks of its maps for each task (Liu et al. 2019, equations 1 and 2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from scalarize.utils.errors import RequestError
from scalarize.workloads.models.sharing.base import Part, Sharing
from scalarize.workloads.models.sharing.body import Body, shapes

NARROWER = 4  # channels inside a mask's layers: this factor fewer


class MTAN(Sharing):
    """``a_l = h(g([u_l, f_l(a_{l-1})])) * p_l`` at each stage l of convolutions, for each task.

    ``p_l`` is what the stage returns, ``u_l`` what its last layer is given if that has the same shape, else ``p_l``;
    ``g`` and ``h`` are 1 x 1 convolutions with batch norm, a ReLU after ``g``, a sigmoid after ``h``; ``f`` is a 3 x 3
    convolution with batch norm, ReLU and pooling to the stage's size. What follows the last map is shared.

    Shared by all tasks: the network, and ``f``, as in the paper. A task's own: ``g`` and ``h``. Some of what is shared
    lies past the masks, so there is no common representation: gradients are compared at parameter level. Arguments:
    see :class:`Sharing`.
    """

    common: ClassVar[bool] = False

    def __init__(self, body: Body, heads: Mapping[str, nn.Module], by_domain: bool = False) -> None:
        super().__init__(body, heads, by_domain)
        stages = [make() for make in body.stages]
        found = shapes(stages, body.shape)[1:]
        count = sum(len(shape) == 3 for shape in found)
        self.network: Any = nn.ModuleList(_halved(stage) for stage in stages[:count])
        self.rest = nn.Sequential(*stages[count:], body.tail)
        if not count:
            raise RequestError("`settings` model.sharing=mtan: needs an encoder of convolutions, which this one is not")
        channels = [shape[0] for shape in found[:count]]
        self.carry: Any = nn.ModuleList(_layer(a, b, 3, nn.ReLU()) for a, b in pairwise(channels))
        self.masks: Any = nn.ModuleList(  # task -> stage
            nn.ModuleList(_mask(c if k == 0 else 2 * c, c) for k, c in enumerate(channels)) for _ in self.names
        )

    def encode(self, inputs: Any) -> list[Tensor]:
        """Return ``u`` and ``p`` of every stage."""
        x, kept = self.prepare(inputs), []
        for first, last in self.network:
            u = first(x)
            x = last(u)
            kept += [u if u.shape == x.shape else x, x]
        return kept

    def path(self, shared: Sequence[Tensor], task: int) -> Tensor:
        a: Any = None
        for stage, mask in enumerate(self.masks[task]):
            u, p = shared[2 * stage : 2 * stage + 2]
            if stage:
                carried = functional.adaptive_max_pool2d(self.carry[stage - 1](a), p.shape[2:])
                u = torch.cat([u, carried], dim=1)
            a = mask(u) * p
        found: Tensor = self.rest(a)
        return found

    def parts(self) -> Iterator[tuple[Part, Sequence[str]]]:
        for shared in (self.network, self.carry, self.rest):
            yield shared, self.names
        yield from ((mask, [task]) for mask, task in zip(self.masks, self.names, strict=True))


def _halved(stage: nn.Module) -> nn.ModuleList:
    """Split a stage before its last layer."""
    layers = list(stage) if isinstance(stage, nn.Sequential) else [stage]
    return nn.ModuleList([nn.Sequential(*layers[:-1]), layers[-1]])


def _layer(inputs: int, outputs: int, kernel: int, end: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.BatchNorm2d(outputs), end)


def _mask(inputs: int, channels: int) -> nn.Sequential:
    inside = max(1, channels // NARROWER)
    return nn.Sequential(_layer(inputs, inside, 1, nn.ReLU()), _layer(inside, channels, 1, nn.Sigmoid()))
