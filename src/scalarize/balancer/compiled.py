"""Several backwards through what ``torch.compile`` made, and through functions that are written in Python.

A compiled backward may use the memory of what the forward saved ("donated buffers"), so that a second one reads
garbage. torch refuses it while ``torch._functorch.config.donated_buffer`` is set; without it, kernels that the cache
on disk kept from before still write there, and the second gradient is silently wrong. Here each backward is handed
copies instead, whatever the setting and the cache. So is that of any other ``torch.autograd.Function``: some scale in
place what their forward saved, in a kernel that no version counter sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor


def protect(node: Any) -> None:
    """Let several backwards pass ``node``, a function in a graph of autograd that is compiled or written in Python.

    What was saved through hooks, as in a checkpoint or ``save_on_cpu``, is made anew by each backward. The copies live
    as long as one backward of the node does. What enters a compiled function from outside, such as parameters, is never
    written to and not copied.
    """
    metadata = getattr(getattr(type(node), "_forward_cls", None), "metadata", None)
    if metadata is None or getattr(node, "_scalarize_protected", False):
        return
    if getattr(metadata, "bw_donated_idxs", None):
        metadata.bw_donated_idxs = []  # torch asks this list if a second backward is allowed
    saved = list(getattr(node, "_raw_saved_tensors", ()))
    unchecked = list(getattr(node, "_tensors_no_vc_check", None) or ())
    outside = list(getattr(metadata, "saved_tensor_is_graph_input", ()))
    if len(outside) != len(saved) + len(unchecked):
        outside = [False] * (len(saved) + len(unchecked))  # an older torch, which does not tell
    for tensor, given in zip(saved, outside[: len(saved)], strict=True):
        if not given and getattr(tensor, "unpack_hook", None) is None:
            _hand_out_copies(tensor)
    if unchecked:
        node._tensors_no_vc_check = _Copies(unchecked, outside[len(saved) :])
    node._scalarize_protected = True


def _hand_out_copies(saved: Any) -> None:
    try:
        saved.register_hooks(_same, _copy)
    except RuntimeError as error:
        if "value None" not in str(error):  # a function may save None in place of a tensor that it was not given
            raise


class _Copies:
    """Tensors of which each iteration yields copies, but for those ``given`` from outside."""

    def __init__(self, tensors: list[Tensor], given: list[bool]) -> None:
        self._pairs = list(zip(tensors, given, strict=True))

    def __iter__(self) -> Iterator[Tensor]:
        return (x if given else x.clone() for x, given in self._pairs)


def _same(saved: Tensor) -> Tensor:
    return saved


def _copy(saved: Tensor) -> Tensor:
    return saved.clone()
