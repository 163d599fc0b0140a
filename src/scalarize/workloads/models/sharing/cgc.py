"""CGC: experts that all tasks share beside experts of each task (Tang et al. 2020, equations 1 to 4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from scalarize.workloads.models.sharing.base import Part, Sharing
from scalarize.workloads.models.sharing.body import Body, Gate, mix, shapes


class CGC(Sharing):
    """``z_t = g_t(x) [f_t1(x), ..., f_s1(x), ...]``: a task's gate chooses among its own experts and the shared ones.

    Shared by all tasks: the shared experts. A task's own: its experts and its gate. Each expert is a whole encoder; a
    task's own experts come first under its gate. Arguments: see :class:`Sharing`; ``experts`` is the number of shared
    experts, ``own_experts`` that of each task.
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
        self.experts = nn.ModuleList(body.encoder() for _ in range(experts))
        self.own = nn.ModuleList(nn.ModuleList(body.encoder() for _ in range(own_experts)) for _ in self.names)
        inside, outside = shapes([self.experts[0]], body.shape)
        self.gates = nn.ModuleList(Gate(inside, outside, own_experts + experts) for _ in self.names)

    def encode(self, inputs: Any) -> list[Tensor]:
        x = self.prepare(inputs)
        return [x, *(expert(x) for expert in self.experts)]

    def path(self, shared: Sequence[Tensor], task: int) -> Tensor:
        x, *experts = shared
        own: Any = self.own[task]
        return mix(self.gates[task](x), [*(expert(x) for expert in own), *experts])

    def parts(self) -> Iterator[tuple[Part, Sequence[str]]]:
        yield self.experts, self.names
        for own, gate, task in zip(self.own, self.gates, self.names, strict=True):
            yield own, [task]
            yield gate, [task]
