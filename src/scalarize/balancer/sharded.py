"""Parameters of which each process holds a part: what FSDP2 (``fully_shard``) made is understood, the rest refused.

While a module of FSDP2 runs, whole copies of its parameters stand in the graph; autograd writes to these copies, and
FSDP2's own hooks average and share out what a ``backward`` left there. So an ordinary backward is right, with its
roots times the divisor of that average, and a gradient that somebody takes with ``autograd.grad`` reaches nobody.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from scalarize.utils.errors import RequestError

NAMES = ("DTensor", "FlatParameter")


def refuse_sharded(params: Sequence[Tensor], whole: bool = True) -> None:
    """Raise RequestError for parameters that only FSDP1 or tensor parallelism can train, and for all that are sharded
    if ``whole`` ones are needed.

    Args:
        params: leaves of a graph, or the Balancer's ``shared=``.
        whole: refuse what FSDP2 shards, too.
    """
    for p in params:
        if hasattr(p, "_fsdp_flattened") or type(p).__name__ == "FlatParameter":
            raise RequestError(
                "FSDP1 (FullyShardedDataParallel) holds parameters of several layers in one vector, of which no "
                "task's gradient can be told: use fully_shard (FSDP2), DistributedDataParallel or the plain module"
            )
        if whole and type(p).__name__ == "DTensor":
            raise RequestError(
                "gradients of single tasks need whole parameters, and these are sharded (FSDP2 or tensor parallel): "
                "with fully_shard use level='representation' or a method that only looks at losses"
            )


class Sharded:
    """The parameters in the graphs of one Balancer that FSDP2 shards.

    Args:
        n_processes: number of processes that share a batch.
    """

    def __init__(self, n_processes: int) -> None:
        self._n_processes = n_processes
        self._groups: list[Any] = []

    def __bool__(self) -> bool:
        return bool(self._groups)

    def find(self, leaves: Sequence[Tensor]) -> None:
        """Look for the groups of parameters of FSDP2 to which any of ``leaves`` belongs.

        Raises:
            RequestError: a leaf is sharded in another way, or by other processes than those that share a batch.
        """
        wanted = {id(p) for p in leaves}
        self._groups = [g for g in _groups() if any(id(x) in wanted for x in _copies(g))]
        known = self.parts()
        refuse_sharded([p for p in leaves if id(p) not in known or type(p).__name__ in NAMES])
        if any(_n_shares(g) != self._n_processes for g in self._groups):
            raise RequestError(
                f"fully_shard averages gradients over {_n_shares(self._groups[0])} processes, the Balancer over "
                f"{self._n_processes}: both must be the same (group=)"
            )
        if len({_divisor(g) for g in self._groups}) > 1:
            raise RequestError("fully_shard divides gradients by several numbers (set_gradient_divide_factor): use one")

    def parts(self) -> dict[int, Tensor]:
        """Return the sharded parameter of each whole copy in a graph, by the copy's id."""
        pairs = ((p._unsharded_param, p.sharded_param) for g in self._groups for p in g.fsdp_params if _was_used(p))
        return {id(copy): part for copy, part in pairs}

    def copies(self, params: Sequence[Tensor]) -> list[Tensor]:
        """Return the tensor that represents each of ``params`` in the graph: a copy for a sharded one, else itself."""
        if not self._groups:
            return list(params)
        used = [p for g in self._groups for p in g.fsdp_params if _was_used(p)]
        copy_of = {id(p.sharded_param): p._unsharded_param for p in used}
        return [copy_of.get(id(p), p) for p in params]

    def backward(self, roots: list[Tensor], by: list[Tensor], copies: list[Tensor], keep: bool) -> None:
        """Add to ``.grad`` of the parameters behind ``copies``: FSDP2 shares out the sum over processes.

        Args:
            roots: tensors with a graph.
            by: a gradient for each of them.
            copies: leaves of that graph.
            keep: keep the graph for another backward.
        """
        divisor = _divisor(self._groups[0])
        torch.autograd.backward(roots, [g * divisor for g in by], inputs=copies, retain_graph=keep)


def _groups() -> Iterator[Any]:
    """The groups of parameters of all modules that FSDP2 manages in this process."""
    # torch keeps these states for all composable parallelisms; without FSDP2 the module was never imported.
    if "torch.distributed.fsdp._fully_shard._fsdp_state" not in sys.modules:
        return
    from torch.distributed._composable_state import _module_state_mapping

    for state in {id(s): s for s in (ref() for ref in list(_module_state_mapping.values()))}.values():
        one = getattr(state, "_fsdp_param_group", None)
        yield from getattr(state, "_fsdp_param_groups", None) or ([one] if one is not None else [])


def _was_used(param: Any) -> bool:
    return hasattr(param, "_unsharded_param")  # made at the first forward


def _copies(group: Any) -> list[Tensor]:
    return [p._unsharded_param for p in group.fsdp_params if _was_used(p)]


def _n_shares(group: Any) -> int:
    return int(group.mesh_info.mesh.size())


def _divisor(group: Any) -> float:
    given = getattr(group, "gradient_divide_factor", None)
    return float(_n_shares(group) if given is None else given)
