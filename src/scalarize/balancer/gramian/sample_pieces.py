"""Uses of a parameter of which each sample's gradient can be told from the gradient by the use's output.

Besides products and look-ups (``pieces``), these are sums: a parameter that is added to all vectors, or multiplied with
them, as biases, places and the weights of norms are. Its gradient is ``D``, or ``D * factor``, summed over vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from scalarize.balancer.gramian.pieces import Piece, piece
from scalarize.balancer.gramian.uses import Use


@dataclass(frozen=True)
class SamplePiece:
    """One use of a parameter.

    Args:
        node: the node of the graph; its only output is the use's.
        product: a product or look-up; None for a sum.
        shape: of a sum's parameter, as it is spread over the output.
        factor: gives what the output's gradient is multiplied with, in a shape that spreads over it; None for 1.
    """

    node: Any
    product: Piece | None = None
    shape: tuple[int, ...] = ()
    factor: Callable[[], Tensor] | None = None


def sample_piece(use: Use) -> SamplePiece | None:
    """Return the piece of ``use``; None if it is none of those known here."""
    known = piece(use)
    if known is not None:
        return None if use.node.name() == "EmbeddingBagBackward0" else SamplePiece(use.node, known)
    reader = SUMS.get((type(use.node).__name__, use.place))
    if reader is None or use.turned or not use.of.is_floating_point():
        return None
    if not use.node._input_metadata[0].dtype.is_floating_point:
        return None
    return reader(use)


def _at_hand(node: Any, *names: str) -> bool:
    return all(getattr(node, f"_raw_saved_{name}").unpack_hook is None for name in names)


def _added(use: Use) -> SamplePiece | None:
    factor = getattr(use.node, "_saved_alpha", 1) if use.place == 1 else getattr(use.node, "_saved_beta", 1)
    return SamplePiece(use.node, None, tuple(use.of.shape)) if factor == 1 else None


def _channels(use: Use) -> SamplePiece:
    places = len(use.node._input_metadata[0].shape) - 2
    return SamplePiece(use.node, None, (*use.of.shape, *[1] * places))


def _multiplied(use: Use) -> SamplePiece | None:
    other = "other" if use.place == 0 else "self"
    if not _at_hand(use.node, other):
        return None
    return SamplePiece(use.node, None, tuple(use.of.shape), lambda: getattr(use.node, f"_saved_{other}").detach())


def _layer_norm(use: Use) -> SamplePiece | None:
    node = use.node
    if not _at_hand(node, "input", "result1", "result2"):
        return None
    return SamplePiece(
        node,
        None,
        tuple(use.of.shape),
        lambda: (node._saved_input.detach() - node._saved_result1) * node._saved_result2,
    )


def _group_norm(use: Use) -> SamplePiece | None:
    node = use.node
    if not _at_hand(node, "input", "result1", "result2"):
        return None

    def normalised() -> Tensor:
        x = node._saved_input.detach()
        mean, scale = (r.view(*r.shape, 1) for r in (node._saved_result1, node._saved_result2))
        whole: Tensor = ((x.reshape(*mean.shape[:2], -1) - mean) * scale).view(x.shape)
        return whole

    places = len(node._input_metadata[0].shape) - 2
    return SamplePiece(node, None, (*use.of.shape, *[1] * places), normalised)


SUMS: dict[tuple[str, int], Callable[[Use], SamplePiece | None]] = {
    ("AddmmBackward0", 0): _added,
    ("AddBackward0", 0): lambda use: SamplePiece(use.node, None, tuple(use.of.shape)),
    ("AddBackward0", 1): _added,
    ("ExpandBackward0", 0): lambda use: SamplePiece(use.node, None, tuple(use.of.shape)),
    ("ConvolutionBackward0", 2): _channels,
    ("MulBackward0", 0): _multiplied,
    ("MulBackward0", 1): _multiplied,
    ("NativeLayerNormBackward0", 1): _layer_norm,
    ("NativeLayerNormBackward0", 2): lambda use: SamplePiece(use.node, None, tuple(use.of.shape)),
    ("NativeGroupNormBackward0", 1): _group_norm,
    ("NativeGroupNormBackward0", 2): _channels,
}
