"""GradDrop: in every coordinate the tasks agree on a sign, and its own random twin."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.checks import in_range
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.registry import register


def _uniform(shape: tuple[int, ...], evidence: Evidence, like: Tensor) -> Tensor:
    if evidence.draws is not None:
        return evidence.draws.to(like)
    return torch.rand(shape, generator=evidence.generator, dtype=torch.float64).to(like)


def _as_long_as(plain: Tensor, masked: Tensor) -> Tensor:
    """Return ``masked`` at the norm of ``plain``, with the scripts' absolute 1e-7 beside the divisor."""
    scale: Tensor = torch.linalg.vector_norm(plain) / (torch.linalg.vector_norm(masked) + 1e-7)
    return masked * scale


@register
@dataclass(eq=False)
class GradDrop(Method):
    """In each coordinate only the gradients of one sign, positive with probability ``P = (1 + sum_t g_t / sum_t |g_t|)
    / 2`` (Chen et al. 2020, equation 1 and algorithm 1).

    ``draws`` (P,) are the uniform numbers, one per coordinate. There are no task weights.

    Args:
        leak: share of every gradient that passes unmasked, in [0, 1]. Default 0.
        renormalize: if True, the result is scaled to the norm of the plain sum, as in some implementations (with their
            absolute 1e-7 beside the divisor). Default False.

    Raises:
        RequestError: leak is outside [0, 1].

    Cost: T backwards, T x P numbers and P random ones.

    Fails: the mask adds variance that stays when the gradients agree in sign no more often than chance; Kurin et al.
    2022 see a regulariser in it that a blind mask (``sign-agnostic-graddrop``) replaces.

    Our choice: a parameter has no input whose sign could be multiplied with, as the paper does for activations: that
    product is left out at both levels.
    """

    name = "graddrop"
    family = "gradient-based"
    needs = Needs.JACOBIAN
    heads = "own"
    paper = "Chen et al. 2020"
    has_combine = True
    random = True
    leak: float = 0.0
    renormalize: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "leak", 0.0, 1.0)

    def combine(self, evidence: Evidence, state: State) -> tuple[Tensor, Tensor | None, State]:
        assert evidence.jacobian is not None
        j = evidence.jacobian
        total, size = j.sum(dim=0), j.abs().sum(dim=0)
        positive = 0.5 * (1 + torch.where(size > 0, total / size, torch.zeros_like(total)))
        u = _uniform((j.shape[1],), evidence, j)
        mask = torch.where(positive > u, j > 0, j < 0).to(j)
        gradient = ((self.leak + (1 - self.leak) * mask) * j).sum(dim=0)
        return _as_long_as(total, gradient) if self.renormalize else gradient, None, state


@register
@dataclass(eq=False)
class SignAgnosticGradDrop(Method):
    """The sum of the gradients with every entry masked at random, whatever its sign (Kurin et al. 2022, section 5.2).

    ``draws`` (T, P) are uniform numbers: an entry is masked if its number is below p. There are no task weights.

    Args:
        p: probability that an entry is masked, in [0, 1]. Default 0.75, as in their figure 12.
        renormalize: if True, the result is scaled to the norm of the plain sum, as in their scripts. Default False.

    Raises:
        RequestError: p is outside [0, 1].

    Cost: T backwards, T x P numbers and as many random ones.

    Fails: it is a control for ``graddrop``, not a method of its own: near p = 1 hardly anything is learnt.

    p is the share masked, as in their scripts.
    """

    name = "sign-agnostic-graddrop"
    family = "gradient-based"
    needs = Needs.JACOBIAN
    heads = "own"
    paper = "Kurin et al. 2022, section 5.2"
    has_combine = True
    random = True
    permutation_equivariant = False
    p: float = 0.75
    renormalize: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "p", 0.0, 1.0)

    def combine(self, evidence: Evidence, state: State) -> tuple[Tensor, Tensor | None, State]:
        assert evidence.jacobian is not None
        j = evidence.jacobian
        u = _uniform((j.shape[0], j.shape[1]), evidence, j)
        gradient = (j * (u >= self.p).to(j)).sum(dim=0)
        return _as_long_as(j.sum(dim=0), gradient) if self.renormalize else gradient, None, state
