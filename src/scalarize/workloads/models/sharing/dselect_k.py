"""DSelect-k: gates that choose k of the experts, by binary codes that can be differentiated (Hazimeh et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from scalarize.utils.errors import RequestError
from scalarize.workloads.models.sharing.body import Body, Gate
from scalarize.workloads.models.sharing.mmoe import MMoE

GAMMA = 1.0  # width of the smooth step


def smooth_step(t: Tensor, gamma: float = GAMMA) -> Tensor:
    """Return 0 below -gamma/2, 1 above gamma/2, and a cubic between (Hazimeh et al. 2021, equation 3).

    >>> smooth_step(torch.tensor([-1.0, 0.0, 0.25, 1.0]))
    tensor([0.0000, 0.5000, 0.8438, 1.0000])
    """
    t = t.clamp(-gamma / 2, gamma / 2)
    return -2 / gamma**3 * t**3 + 3 / (2 * gamma) * t + 0.5


class Selector(nn.Module):
    """A task's gate: weights (B, E) of E experts, at most ``selected`` of them above 0 once its codes are binary.

    Each of the k single-expert selectors has log2 E bits, linear in what the gate sees; the weight of expert e is the
    product over bits of s or 1 - s, as the binary code of e says. A softmax, linear as well, weighs the k selectors.
    """

    codes: Tensor

    def __init__(self, inputs: Sequence[int], outputs: Sequence[int], experts: int, selected: int) -> None:
        super().__init__()
        bits = (experts - 1).bit_length()
        self.selected = selected
        self.bits, self.weights = Gate(inputs, outputs, selected * bits), Gate(inputs, outputs, selected)
        for gate, bound in ((self.bits, GAMMA / 100), (self.weights, 0.05)):  # as the authors' code starts
            for p in gate.parameters():
                nn.init.uniform_(p, -bound, bound)
        places = torch.arange(bits - 1, -1, -1)
        self.register_buffer("codes", (torch.arange(experts)[:, None] >> places & 1).bool())

    def forward(self, x: Tensor) -> Tensor:
        logits = self.bits.logits(x)
        step = smooth_step(logits.view(*logits.shape[:-1], self.selected, 1, -1))
        each = torch.where(self.codes, step, 1 - step).prod(-1)
        return torch.einsum("...k,...ke->...e", self.weights(x), each)


class DSelectK(MMoE):
    """MMoE with :class:`Selector` for gates, so that a task uses few experts.

    Shared by all tasks: the experts. A task's own: its selector.

    Our choices: the number of experts is a power of two, where every code names an expert and the paper's penalty for
    codes that name none falls away; and there is no entropy term in the loss, which belongs to no task. Arguments: see
    :class:`Sharing`; ``experts`` is their number, ``selected`` is k.

    Raises:
        RequestError: ``experts`` is no power of two above 1, or ``selected`` is above ``experts``.
    """

    options: ClassVar[Mapping[str, int]] = {"experts": 4, "selected": 2}

    def __init__(
        self,
        body: Body,
        heads: Mapping[str, nn.Module],
        by_domain: bool = False,
        experts: int = 4,
        selected: int = 2,
    ) -> None:
        if experts < 2 or experts & (experts - 1):
            raise RequestError(f"`settings` model.experts={experts}: dselect-k takes a power of two, such as 2, 4 or 8")
        if selected > experts:
            raise RequestError(f"`settings` model.selected={selected}: dselect-k selects among {experts} experts")
        super().__init__(body, heads, by_domain, experts, gate=partial(Selector, selected=selected))
