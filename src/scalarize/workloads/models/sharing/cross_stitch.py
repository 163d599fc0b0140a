"""Cross-stitch networks: a network for each task, mixed after every stage (Misra et al. 2016, equation 1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from scalarize.workloads.models.sharing.base import Part, Sharing
from scalarize.workloads.models.sharing.body import Body

SAME = 0.9  # a task's weight of its own network at the start; the others share the rest (section 5: 0.9 and 0.1)


class CrossStitch(Sharing):
    """``x_t <- sum_j a_tj h_j`` after every stage, ``h_j`` the output of that stage of network j.

    Shared by all tasks: every network, and the weights after all stages but the last. A task's own: its weights
    ``a_t`` after the last stage. Our choices: one weight for a whole activation, not for each channel; a stitch follows
    the last stage too, before the heads. Arguments: see :class:`Sharing`.
    """

    def __init__(self, body: Body, heads: Mapping[str, nn.Module], by_domain: bool = False) -> None:
        super().__init__(body, heads, by_domain)
        count = len(self.names)
        self.networks: Any = nn.ModuleList(  # stage -> task
            nn.ModuleList(body.stage(number) for _ in self.names) for number in range(len(body.stages))
        )
        start = torch.full((count, count), (1 - SAME) / max(1, count - 1)).fill_diagonal_(SAME if count > 1 else 1.0)
        self.stitches: Any = nn.ModuleList(  # stage -> task -> weights (T,)
            nn.ParameterList(nn.Parameter(row.clone()) for row in start) for _ in body.stages
        )

    def encode(self, inputs: Any) -> list[Tensor]:
        x = self.prepare(inputs)
        outputs = [network(x) for network in self.networks[0]]
        for number in range(1, len(self.networks)):
            own = [self._stitched(number - 1, k, outputs) for k in range(len(self.names))]
            outputs = [network(z) for network, z in zip(self.networks[number], own, strict=True)]
        return outputs

    def path(self, shared: Sequence[Tensor], task: int) -> Tensor:
        return self._stitched(-1, task, shared)

    def _stitched(self, stage: int, task: int, outputs: Sequence[Tensor]) -> Tensor:
        return torch.einsum("t,t...->...", self.stitches[stage][task], torch.stack(list(outputs)))

    def parts(self) -> Iterator[tuple[Part, Sequence[str]]]:
        yield self.networks, self.names
        for stitch in self.stitches[:-1]:
            yield stitch, self.names
        yield from ((row, [task]) for row, task in zip(self.stitches[-1], self.names, strict=True))
