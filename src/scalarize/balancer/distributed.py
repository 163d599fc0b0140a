"""Several processes that share a batch (``torch.distributed``): sums over them, so that all see the whole batch."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from scalarize.balancer import hooks
from scalarize.balancer.autograd import Grads, accumulate, reach, split
from scalarize.balancer.function_trial import FunctionTrial
from scalarize.balancer.hidden_writes import HiddenWrites
from scalarize.balancer.sharded import Sharded
from scalarize.balancer.torch_errors import explained
from scalarize.utils.errors import RequestError, RunError

SINK = "_DDPSinkBackward"  # the one node that all outputs of some DistributedDataParallel modules share

ALONE = (
    "the processes reached different parameters: a task that has parameters of its own must be in the batch of every "
    "process"
)


class Processes:
    """The processes of ``group`` (default: all that ``torch.distributed`` knows; False: this one alone).

    Sums are the identity if this process is alone.
    """

    def __init__(self, group: Any = None) -> None:
        self._group = group
        self.sharded = Sharded(1)
        self.hidden = HiddenWrites()
        self.trial = FunctionTrial()
        self.looked = False

    @property
    def several(self) -> bool:
        """True if other processes share the batch."""
        return self._number > 1

    @property
    def by_hand(self) -> bool:
        """True if ``.grad`` is written by :meth:`backward`, past the hooks of DistributedDataParallel."""
        return dist.is_available() and dist.is_initialized()

    @property
    def _number(self) -> int:
        if self._group is False or not self.by_hand:
            return 1
        return dist.get_world_size(self._group)

    def look(self, losses: Sequence[Tensor], representation: Sequence[Tensor], full: bool) -> None:
        """Look at what the losses of the first step reach, before anything is trained.

        Args:
            losses: one for each task, in the same order in all processes.
            representation: what gradients are compared on at that level.
            full: gradients of single tasks are kept over micro-batches.

        Raises:
            RequestError: a module's way of sharing out parameters or gradients is none that can be right here.
            RunError: a process lacks a loss, in any step, and would leave others waiting for its part of a parameter.
        """
        if self.looked:
            self._check_losses(losses)
            return
        leaves = [p for ps in reach(losses).own for p in ps]
        self.sharded = Sharded(self._number)
        self.sharded.find(leaves)
        if self.sharded and full:
            raise RequestError("accumulate='full' keeps whole gradients, and fully_shard shares them out: use 'micro'")
        if self.by_hand:
            _check_wrapped(leaves, self._number)
            _check_sink(losses, representation)
        self._check_losses(losses)
        self.looked = True

    def try_out(self, functions: Sequence[Any]) -> None:
        """Try functions that several backwards are to pass, see :class:`FunctionTrial`; not among several processes, as
        some speak to each other.

        Raises:
            RequestError: one of them gives no gradients that add up, or writes gradients itself.
        """
        if functions and not self.several:
            with self.hidden.refused(functions):
                self.trial.run(functions)

    def sum(self, values: Tensor) -> Tensor:
        """Sum ``values`` over processes, in place."""
        if self.several:
            dist.all_reduce(values, group=self._group)
        return values

    def shares(self, counts: Tensor) -> Tensor:
        """Return the share (T,) of each task's samples in this process, from their numbers here; NaN if no process has
        any."""
        return counts / self.sum(counts.clone())

    def backward(
        self, roots: list[Tensor], by: list[Tensor], leaves: Sequence[Tensor], keep: bool = False, write: bool = True
    ) -> tuple[list[Tensor], Grads]:
        """Add to ``.grad`` of ``leaves`` their gradients, summed over processes; no hook of a wrapper sees them twice.

        Args:
            roots: tensors with a graph, one at least if ``leaves`` are given.
            by: a gradient for each of them.
            leaves: parameters in these graphs, all others are left alone.
            keep: keep the graph for another backward.
            write: if not, the caller is to write what is returned, when no backward is to come any more: hooks may
                step an optimiser then.

        Returns:
            Leaves and gradients that were not written.

        Raises:
            RunError: the processes reached different parameters.
        """
        parts = self.sharded.parts()
        shared_out = [p for p in leaves if id(p) in parts]
        plain = [p for p in leaves if id(p) not in parts]
        grads: Grads = [None] * len(plain)
        if plain and roots:
            more = keep or bool(shared_out)
            with hooks.silenced(plain), explained():  # hooks fire when the sum over processes is written
                grads = list(torch.autograd.grad(roots, plain, by, retain_graph=more, allow_unused=True))
        grads = self.sum_gradients(plain, grads)
        if self.sharded:
            self._check_same(shared_out)
        if shared_out:
            self.sharded.backward(roots, by, shared_out, keep)
        if not write:
            return plain, grads
        accumulate(plain, grads, by_hand=self.by_hand)
        return [], []

    def sum_gradients(self, params: Sequence[Tensor], grads: Sequence[Tensor | None]) -> Grads:
        """Sum gradients over processes in one message; None if no process has one.

        Raises RunError if the processes do not hold gradients of the same parameters, as when a task with
        parameters of its own is missing in one of them.
        """
        if not self.several:
            return list(grads)
        self._check_same(params)
        if not params:
            return []
        reals = [_real(p.detach()) for p in params]
        dtype = torch.float64 if any(p.dtype == torch.float64 for p in reals) else torch.float32
        touched = torch.tensor([g is not None for g in grads], dtype=dtype, device=params[0].device)
        parts = [torch.zeros_like(p) if g is None else _real(g) for p, g in zip(reals, grads, strict=True)]
        flat = self.sum(torch.cat([touched, *(g.reshape(-1).to(dtype) for g in parts)]))
        hit = (flat[: len(params)] > 0).tolist()
        whole = split(flat[len(params) :], reals)
        back = [torch.view_as_complex(g) if p.is_complex() else g for p, g in zip(params, whole, strict=True)]
        return [g if h else None for g, h in zip(back, hit, strict=True)]

    def norms(self, params: Sequence[Tensor]) -> Tensor | None:
        """Return norms that are finite if ``.grad`` of all ``params`` is, in every process; None if there is no
        ``.grad``."""
        grads = [p.grad for p in params if p.grad is not None]
        if not grads:
            return None
        # Of a DTensor, the part that lies here.
        local: list[Any] = [getattr(g, "to_local", lambda g=g: g)() for g in grads]
        norms = torch.stack(torch._foreach_norm(local))
        return self.sum(norms) if self.sharded else norms

    def forget(self, leaves: Sequence[Tensor]) -> None:
        """Set ``.grad`` of the parameters behind ``leaves`` to None."""
        parts = self.sharded.parts()
        for leaf in leaves:
            leaf.grad = None
            if id(leaf) in parts:
                parts[id(leaf)].grad = None

    def _check_losses(self, losses: Sequence[Tensor]) -> None:
        if not self.sharded or not self.several:
            return
        there = torch.tensor([x.requires_grad for x in losses], dtype=torch.float64, device=losses[0].device)
        if bool((self.sum(there.clone()) != there * self._number).any()):
            raise RunError(ALONE)

    def _check_same(self, params: Sequence[Tensor]) -> None:
        if not self.several:
            return
        size = torch.tensor([sum(p.numel() for p in params)], dtype=torch.float64)
        span = torch.cat([size, -size]).to(params[0].device if params else "cpu")
        dist.all_reduce(span, op=dist.ReduceOp.MAX, group=self._group)
        if span[0] != -span[1]:
            raise RunError(ALONE)


def _check_wrapped(leaves: Sequence[Tensor], number: int) -> None:
    """Raise RequestError for a DistributedDataParallel module of ``leaves`` whose own sums would be missed."""
    from torch.nn.parallel import DistributedDataParallel

    wanted = {id(p) for p in leaves}
    kinds = {DistributedDataParallel, *DistributedDataParallel.__subclasses__()}
    for found in [x for x in gc.get_objects() if type(x) in kinds]:  # torch keeps no list of them
        if not any(id(p) in wanted for p in found.parameters()):
            continue
        if found.static_graph:
            raise RequestError(
                "DistributedDataParallel(static_graph=True) must see the first backward itself, and the Balancer sums "
                "over processes without it: use static_graph=False"
            )
        if dist.get_world_size(found.process_group) != number:
            raise RequestError(
                f"DistributedDataParallel shares a batch among {dist.get_world_size(found.process_group)} processes, "
                f"the Balancer among {number}: both must be the same (group=)"
            )


def _check_sink(losses: Sequence[Tensor], representation: Sequence[Tensor]) -> None:
    """Raise RequestError if all outputs passed one node, so that no loss comes from the representation."""
    sinks = [z for z in representation if z.grad_fn is not None and z.grad_fn.name() == SINK]
    if not sinks:
        return
    reached: set[tuple[Any, int]] = set()
    stack = [(get_gradient_edge(x).node, x.output_nr) for x in losses if x.requires_grad]
    while stack:
        edge = stack.pop()
        if edge[0] is not None and edge not in reached:
            reached.add(edge)
            stack += [(node, number) for node, number in edge[0].next_functions if node is not None]
    if any((z.grad_fn, z.output_nr) not in reached for z in sinks):
        raise RequestError(
            "DistributedDataParallel(find_unused_parameters=True) hands out a representation that its losses do not "
            "pass: use find_unused_parameters=False, which the Balancer never needs, or level='parameters'"
        )


def _real(x: Tensor) -> Tensor:
    """Convert to dense, real tensors, with both parts of complex numbers side by side."""
    dense = x.to_dense() if x.is_sparse else x
    return torch.view_as_real(dense.resolve_conj()) if dense.is_complex() else dense
