"""MMoE: experts that all tasks share, and a gate for each task (Ma et al. 2018, equations 5 and 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from scalarize.workloads.models.sharing.base import Part, Sharing
from scalarize.workloads.models.sharing.body import Body, Gate, mix, shapes


class MMoE(Sharing):
    """``z_t = sum_e g_t(x)_e f_e(x)``, ``g_t(x) = softmax(W_t x + b_t)``; each expert ``f_e`` is a whole encoder.

    Shared by all tasks: the experts. A task's own: its gate. Our choice: gates have a bias, as in public
    implementations. Arguments: see :class:`Sharing`; ``experts`` is their number, ``gate`` makes a gate of the
    shapes that it sees and mixes, and of that number.
    """

    options: ClassVar[Mapping[str, int]] = {"experts": 4}

    def __init__(
        self,
        body: Body,
        heads: Mapping[str, nn.Module],
        by_domain: bool = False,
        experts: int = 4,
        gate: Callable[[Any, Any, int], nn.Module] = Gate,
    ) -> None:
        super().__init__(body, heads, by_domain)
        self.experts = nn.ModuleList(body.encoder() for _ in range(experts))
        inside, outside = shapes([self.experts[0]], body.shape)
        self.gates = nn.ModuleList(gate(inside, outside, experts) for _ in self.names)

    def encode(self, inputs: Any) -> list[Tensor]:
        x = self.prepare(inputs)
        return [x, *(expert(x) for expert in self.experts)]

    def path(self, shared: Sequence[Tensor], task: int) -> Tensor:
        x, *experts = shared
        return mix(self.gates[task](x), experts)

    def parts(self) -> Iterator[tuple[Part, Sequence[str]]]:
        yield self.experts, self.names
        yield from ((gate, [task]) for gate, task in zip(self.gates, self.names, strict=True))
