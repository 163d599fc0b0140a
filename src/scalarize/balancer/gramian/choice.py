"""The cheaper way to the inner products of each weight's gradients, by shapes alone, so that equal runs stay equal.

Costs are in floating-point operations of one thread; memory is counted as what it costs beside them.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from scalarize.balancer.gramian.pieces import Piece, piece
from scalarize.balancer.gramian.uses import find

SMALLEST = 2**14  # a weight of fewer numbers is never worth a look
NUMBER = 100.0  # a number that is written, copied and read again
FACTOR = 6.0  # a reflection of QR beside a product of matrices, an entry
LAYER = 1e7  # the calls for one layer more
GAIN = 0.75  # nothing changes for less


def choose(losses: Sequence[Tensor], params: Sequence[Tensor]) -> dict[int, list[Piece]]:
    """Return, by place among ``params``, the uses of those weights whose gradients are dearer than what replaces them.

    All others, small or used in a way that is not known here, are left to their gradients.
    """
    if not _allowed(params):
        return {}
    large = [p for p in params if p.numel() >= SMALLEST]
    if not large:
        return {}
    used = find(losses, large)
    chosen = {}
    for k, p in enumerate(params):
        pieces = [piece(use) for use in used.get(id(p), ())]
        known = [x for x in pieces if x is not None]
        one_form = len({(x.form, x.inside, x.out) for x in known}) == 1 and len(known) == len(pieces)
        if one_form and through_layer(known, p.numel(), len(losses)) < GAIN * by_gradients(
            known, p.numel(), len(losses)
        ):
            chosen[k] = known
    return chosen


def by_gradients(pieces: Sequence[Piece], size: int, n_tasks: int) -> float:
    """Return the cost of T gradients of a weight of ``size`` numbers and their inner products."""
    products = 0.0 if pieces[0].form == "table" else sum(2.0 * x.n * x.inside * x.out for x in pieces)
    return n_tasks * (products + NUMBER * size) + 2.0 * n_tasks**2 * size


def through_layer(pieces: Sequence[Piece], size: int, n_tasks: int) -> float:
    """Return the cost of the same inner products from what enters and leaves the layer, and of one gradient."""
    n, out, inside = sum(x.n for x in pieces), pieces[0].out, pieces[0].inside
    cost = LAYER + NUMBER * (n_tasks * n * out + size) + 2.0 * n_tasks**2 * n * out
    if pieces[0].form == "table":
        return cost
    low = min(n, inside)
    return (
        cost + FACTOR * low * n * inside + 1.5 * n_tasks * low * n * out + 2.0 * n * inside * out + NUMBER * n * inside
    )


def _allowed(params: Sequence[Tensor]) -> bool:
    """Return True if ``params`` lie in the CPU's memory: costs were measured there. A GPU would wait for QR."""
    return all(p.device.type == "cpu" for p in params)
