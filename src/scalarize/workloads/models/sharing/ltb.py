"""LTB: a tree of stages whose branches are drawn while it is trained (Guo et al. 2020)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from scalarize.workloads.models.sharing.base import Part, Sharing
from scalarize.workloads.models.sharing.body import Body

HOT = 5.0  # the temperature at the start
COLD = 0.1  # and the lowest
HALVED = 300  # steps in which it falls to its half


class LTB(Sharing):
    """As many nodes at each level as tasks, each a copy of a stage; a node draws its parent among the level below.

    In training the choice is a Gumbel-softmax sample of the node's logits, straight through: one parent in the forward
    pass, the softmax's gradient in the backward. Outside of training it is the likeliest parent. The nodes of the last
    level are the tasks' own. Shared by all tasks: the nodes below, and the logits of all levels but the last. A task's
    own: its last node and that one's logits. Our choices: the temperature falls from 5, times 1 / (1 + steps / 300), to
    0.1; the tree that was found goes on with the weights it has, it is not trained anew. Arguments: see
    :class:`Sharing`.
    """

    stages: ClassVar[int] = 2
    steps: Tensor

    def __init__(self, body: Body, heads: Mapping[str, nn.Module], by_domain: bool = False) -> None:
        super().__init__(body, heads, by_domain)
        levels, count = range(len(body.stages)), len(self.names)
        self.nodes: Any = nn.ModuleList(nn.ModuleList(body.stage(level) for _ in self.names) for level in levels)
        self.logits: Any = nn.ModuleList(  # of levels from the second: node -> logits (T,) of its parents
            nn.ParameterList(nn.Parameter(torch.zeros(count)) for _ in self.names) for _ in levels[1:]
        )
        self.register_buffer("steps", torch.zeros(()))

    def encode(self, inputs: Any) -> list[Tensor]:
        x = self.prepare(inputs)
        if self.training:
            self.steps += 1
        outputs = [node(x) for node in self.nodes[0]]
        for level in range(1, len(self.nodes) - 1):
            own = [self._parent(level, k, outputs) for k in range(len(self.names))]
            outputs = [node(z) for node, z in zip(self.nodes[level], own, strict=True)]
        return outputs

    def path(self, shared: Sequence[Tensor], task: int) -> Tensor:
        last = len(self.nodes) - 1
        found: Tensor = self.nodes[last][task](self._parent(last, task, shared))
        return found

    def _parent(self, level: int, node: int, outputs: Sequence[Tensor]) -> Tensor:
        logits = self.logits[level - 1][node]
        if self.training:
            warmth = (HOT / (1 + self.steps / HALVED)).clamp_min(COLD)
            noise = -torch.empty_like(logits).exponential_().log()
            soft = ((logits + noise) / warmth).softmax(-1)
            hard = functional.one_hot(soft.argmax(-1), len(logits)).to(soft)
            chosen = hard + (soft - soft.detach())  # exactly one parent
        else:
            chosen = functional.one_hot(logits.argmax(-1), len(logits)).to(logits)
        return torch.einsum("t,t...->...", chosen, torch.stack(list(outputs)))

    def parts(self) -> Iterator[tuple[Part, Sequence[str]]]:
        for level in range(len(self.nodes)):
            last = level == len(self.nodes) - 1
            for k, task in enumerate(self.names):
                yield self.nodes[level][k], [task] if last else self.names
                if level:
                    yield self.logits[level - 1][k], [task] if last else self.names
