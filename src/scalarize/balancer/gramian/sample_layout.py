"""The place of each sample in the output of a layer, and the proof that no other sample has a part in it.

Twice the gradient by the output is taken: of losses that are weighted the same for all samples, and of losses that each
have their sample's own number. What belongs to one sample alone is that number times the other, to rounding.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Arrange = Callable[[Tensor], Tensor]
TOLERANCE = 1e-4  # of the gradient's norm; a sample's part in another's below that is not seen


def layout(plain: Tensor, coded: Tensor, codes: Tensor) -> tuple[int | None, bool]:
    """Return which of the :func:`ways` samples lie in an output, None if they do not lie apart in any of them; and True
    if no other way is possible: a gradient that is 0 does not tell.

    Args:
        plain: gradient by the output.
        coded: the same with the loss of sample b times ``codes[b]``.
        codes: numbers (B,), all different.
    """
    n, fits, told = len(codes), [], True
    for number, (_, arrange) in enumerate(ways(n, plain.shape)):
        a, b = arrange(plain).reshape(n, -1), arrange(coded).reshape(n, -1)
        gap = torch.linalg.vector_norm(b - codes.to(a)[:, None] * a)
        if bool(gap <= TOLERANCE * torch.linalg.vector_norm(b)):
            fits.append(number)
            told = told and bool((a != 0).any(dim=1).all())
    return (fits[0] if fits else None), told and len(fits) < 2


def ways(n: int, shape: torch.Size) -> list[tuple[int, Arrange]]:
    """Return the ways in which ``n`` samples may lie in an output of this ``shape``: how many of the leading axes they
    share, and a function that turns a gradient by this output, or what is as long, to (B, r, ...), sample by sample."""
    found: list[tuple[int, Arrange]] = []
    if len(shape) > 0 and shape[0] % n == 0:
        # Sample after sample; or, as attention does it, all samples at a place, then all at the next.
        found.append((1, lambda x: x.reshape(n, -1, *x.shape[1:])))
        if shape[0] > n:
            found.append((1, lambda x: x.reshape(-1, n, *x.shape[1:]).transpose(0, 1)))
    if len(shape) > 1 and shape[1] == n:
        found.append((2, lambda x: x.transpose(0, 1)))
    return found


def codes_of(n: int, device: torch.device) -> Tensor:
    """Return ``n`` numbers from 1 to 2, neighbours far apart."""
    order = (torch.arange(n, device=device) * 0.6180339887498949) % 1.0
    return 1.0 + order.double()
