"""PLE: levels of experts, shared and of each task, between stages of the encoder (Tang et al. 2020, section 4.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from scalarize.workloads.models.sharing.base import Part, Sharing
from scalarize.workloads.models.sharing.body import Body, Gate, mix, shapes


class PLE(Sharing):
    """A level for each stage of the encoder; a level's experts are copies of its stage.

    At level l a task's experts take ``x_t``, the shared ones ``x_s``. The task's gate, which sees ``x_t``, mixes its
    own and the shared experts into the next ``x_t``; the shared gate, which sees ``x_s``, mixes all experts of the
    level into the next ``x_s``. The last level has no shared gate. With one stage this is CGC.

    So below the last level the experts of a task are reached by all tasks, through the shared gate. A task's own: its
    experts of the last level, and its gates of the last two; its gates further down feed experts that all reach.
    Arguments: see :class:`Sharing`; ``experts`` is the number of a level's shared experts, ``own_experts`` that of each
    task.
    """

    options: ClassVar[Mapping[str, int]] = {"experts": 2, "own_experts": 1}

    def __init__(
        self,
        body: Body,
        heads: Mapping[str, nn.Module],
        by_domain: bool = False,
        experts: int = 2,
        own_experts: int = 1,
    ) -> None:
        super().__init__(body, heads, by_domain)
        self.shared: Any = nn.ModuleList()  # level -> experts
        self.own: Any = nn.ModuleList()  # level -> task -> experts
        levels = range(len(body.stages))
        for level in levels:
            self.shared.append(nn.ModuleList(body.stage(level) for _ in range(experts)))
            self.own.append(
                nn.ModuleList(nn.ModuleList(body.stage(level) for _ in range(own_experts)) for _ in self.names)
            )
        firsts: list[Any] = list(self.shared)
        found = shapes([level[0] for level in firsts], body.shape)
        at = [(found[level], found[level + 1]) for level in levels]
        count = len(self.names) * own_experts + experts
        self.gates: Any = nn.ModuleList(
            nn.ModuleList(Gate(*at[level], own_experts + experts) for _ in self.names) for level in levels
        )
        self.shared_gates = nn.ModuleList(Gate(*at[level], count) for level in levels[:-1])

    def encode(self, inputs: Any) -> list[Tensor]:
        """Return the shared experts of the last level; of the level below it, if there is one, the shared experts,
        then for each task what its gate sees and its experts; else what the tasks' gates and experts are given.
        """
        x = self.prepare(inputs)
        own, shared = [x] * len(self.names), x
        for level, gate in enumerate(self.shared_gates):
            common = [expert(shared) for expert in self.shared[level]]
            apart = [[expert(z) for expert in experts] for z, experts in zip(own, self.own[level], strict=True)]
            shared = mix(gate(shared), [*(z for zs in apart for z in zs), *common])
            if level == len(self.shared_gates) - 1:
                last = [expert(shared) for expert in self.shared[-1]]
                return [*last, *common, *(z for z, zs in zip(own, apart, strict=True) for z in (z, *zs))]
            own = [self._mixed(level, k, own[k], apart[k], common) for k in range(len(self.names))]
        return [*(expert(x) for expert in self.shared[-1]), x]

    def path(self, shared: Sequence[Tensor], task: int) -> Tensor:
        experts = len(self.shared[-1])
        last, rest = shared[:experts], shared[experts:]
        if len(self.shared) == 1:
            x = rest[0]
        else:
            common, own = rest[:experts], rest[experts:]
            width = 1 + len(self.own[-1][task])
            before, *apart = own[task * width : (task + 1) * width]
            x = self._mixed(len(self.shared) - 2, task, before, apart, common)
        return self._mixed(-1, task, x, [expert(x) for expert in self.own[-1][task]], last)

    def _mixed(self, level: int, task: int, x: Tensor, own: Sequence[Tensor], shared: Sequence[Tensor]) -> Tensor:
        return mix(self.gates[level][task](x), [*own, *shared])

    def parts(self) -> Iterator[tuple[Part, Sequence[str]]]:
        yield self.shared, self.names
        yield self.shared_gates, self.names
        levels = len(self.shared)
        for level in range(levels):
            for k, task in enumerate(self.names):
                yield self.own[level][k], [task] if level == levels - 1 else self.names
                yield self.gates[level][k], [task] if level >= levels - 2 else self.names
