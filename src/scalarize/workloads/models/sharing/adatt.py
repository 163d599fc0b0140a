"""AdaTT: experts of each task, which every task mixes with a residual of its own (Li et al. 2023, AdaTT-sp)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from scalarize.workloads.models.sharing.base import Part, Sharing
from scalarize.workloads.models.sharing.body import Body, Gate, mix, shapes


class AdaTT(Sharing):
    """A level for each stage of the encoder; a level's experts, some for each task, are copies of its stage.

    ``x_t <- g_t(x_t) [all experts] + v_t [the task's experts]``: each expert takes what its task had before; ``g_t`` is
    a softmax gate, ``v_t`` learned weights, or 1 if a task has one expert.

    Shared by all tasks: the experts of all levels, and gates and weights ``v`` of all levels but the last. A task's
    own: its gate and its ``v`` of the last level. Arguments: see :class:`Sharing`; ``own_experts`` is the number of a
    task's experts at a level.
    """

    options: ClassVar[Mapping[str, int]] = {"own_experts": 1}

    def __init__(
        self, body: Body, heads: Mapping[str, nn.Module], by_domain: bool = False, own_experts: int = 1
    ) -> None:
        super().__init__(body, heads, by_domain)
        levels, count = range(len(body.stages)), len(self.names)
        self.experts: Any = nn.ModuleList(  # level -> task -> experts
            nn.ModuleList(nn.ModuleList(body.stage(level) for _ in range(own_experts)) for _ in self.names)
            for level in levels
        )
        firsts: list[Any] = list(self.experts)
        found = shapes([level[0][0] for level in firsts], body.shape)
        self.gates: Any = nn.ModuleList(
            nn.ModuleList(Gate(found[level], found[level + 1], count * own_experts) for _ in self.names)
            for level in levels
        )
        bound = own_experts**-0.5
        self.residual: Any = nn.ModuleList(
            nn.ParameterList(
                nn.Parameter(torch.empty(own_experts).uniform_(-bound, bound)) for _ in self.names if own_experts > 1
            )
            for _ in levels
        )

    def encode(self, inputs: Any) -> list[Tensor]:
        """Return what each task's gate of the last level sees, then the outputs of that level's experts."""
        x = self.prepare(inputs)
        own = [x] * len(self.names)
        for level in range(len(self.experts) - 1):
            outputs = self._outputs(level, own)
            own = [self._fused(level, k, own[k], outputs) for k in range(len(self.names))]
        return [*own, *self._outputs(-1, own)]

    def path(self, shared: Sequence[Tensor], task: int) -> Tensor:
        return self._fused(-1, task, shared[task], shared[len(self.names) :])

    def _outputs(self, level: int, own: Sequence[Tensor]) -> list[Tensor]:
        return [expert(x) for x, experts in zip(own, self.experts[level], strict=True) for expert in experts]

    def _fused(self, level: int, task: int, x: Tensor, outputs: Sequence[Tensor]) -> Tensor:
        mixed = mix(self.gates[level][task](x), outputs)
        width = len(self.experts[level][task])
        mine = outputs[task * width : (task + 1) * width]
        if width == 1:
            return mixed + mine[0]
        return mixed + torch.einsum("e,e...->...", self.residual[level][task], torch.stack(list(mine)))

    def parts(self) -> Iterator[tuple[Part, Sequence[str]]]:
        yield self.experts, self.names
        for level in range(len(self.experts)):
            last = level == len(self.experts) - 1
            for k, task in enumerate(self.names):
                yield self.gates[level][k], [task] if last else self.names
                if len(self.residual[level]):
                    yield self.residual[level][k], [task] if last else self.names
