"""Checks that the losses depend on the shared parameters or the representation, before anything is trained."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from scalarize.balancer import autograd
from scalarize.balancer.distributed import Processes
from scalarize.balancer.snapshot import live_modules
from scalarize.balancer.torch_errors import CACHED, REENTRANT
from scalarize.utils.errors import RequestError

COPIES = "give the very tensors that the heads were given, not copies made by clone(), float() or the like"


def refuse_hidden(found: autograd.Reach) -> None:
    """Raise RequestError for reentrant checkpoints, through which torch has no gradients of chosen tensors, and for
    losses that make their own backward, to which no tensor is chosen."""
    if found.reentrant:
        raise RequestError(REENTRANT)
    if found.cached:
        raise RequestError(CACHED)


class Reachability:
    """The checks of the graph. Those that cost a walk are made until one step has passed them.

    Args:
        shared: all shared tensors.
        processes: those that share a batch; what one of them reaches is reached.
    """

    def __init__(self, shared: Sequence[Tensor], processes: Processes) -> None:
        self._shared = shared
        self._processes = processes
        self._passed = False
        self._tasks: set[str] = set()  # those of the step that passed
        self._heads: set[int] = set()  # leaves known to be no part of the encoder

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes of a copy, which checks its own tensors anew."""
        return self.__dict__ | {"_passed": False, "_heads": set()}

    @property
    def _ids(self) -> set[int]:
        """The shared tensors as they stand in the graph."""
        return {id(p) for p in self._processes.sharded.copies(self._shared)}

    def check_graph(self, losses: Sequence[Tensor]) -> None:
        """Raise RequestError if there is nothing to train: no loss has a graph, or all of ``shared`` is frozen."""
        if not any(x.requires_grad for x in losses) and not self._processes.several:
            raise RequestError(
                "no loss has a graph: they were made under torch.no_grad(), detached, or are plain numbers"
            )
        if not self._passed and self._shared and not any(p.requires_grad for p in self._shared):
            raise RequestError("no tensor of shared= requires a gradient: it is frozen, or comes from a state_dict()")

    def check_sum(self, losses: Sequence[Tensor], plain: bool, apart: bool) -> None:
        """Check, for one backward (``plain`` if it is torch's own), that some loss reaches some shared tensor.

        apart: parameters that are not shared receive another gradient than this backward's.
        """
        if self._passed:
            return
        found = autograd.reach(losses)
        if not plain:
            refuse_hidden(found)
        leaves = found.leaves()
        self._require(found.opaque or not self._shared or not self._ids.isdisjoint(leaves), "shared")
        if apart and not found.opaque:
            there = self._processes.sharded.copies(self._shared)
            missing = [p for p, q in zip(self._shared, there, strict=True) if p.requires_grad and id(q) not in leaves]
            self._check_missing(missing, [[p for p in ps if id(p) not in self._ids] for ps in found.own])
        self._passed = True

    def check_gradients(
        self, present: Sequence[str], source: Sequence[Tensor], touched: Sequence[bool], own: Sequence[Sequence[Tensor]]
    ) -> None:
        """Check that one of the shared parameters ``source`` is ``touched``; a batch of few tasks may have none, once
        one with more has passed. own: the parameters that the loss of each task ``present`` reaches besides them."""
        if self._passed and (any(touched) or not self._tasks.issubset(present)):
            return
        self._require(any(touched), "shared")
        self._check_missing([p for p, t in zip(source, touched, strict=True) if not t], own)
        self._passed, self._tasks = True, set(present)

    def _check_missing(self, missing: Sequence[Tensor], own: Sequence[Sequence[Tensor]]) -> None:
        """Raise RequestError if shared tensors that no loss reaches (``missing``) were taken out of their module,
        as weight_norm does, while all losses reach others in common; a warning if they are still in a module."""
        reached = [{id(p) for p in ps} for ps in own if ps]
        common = set.intersection(*reached) if len(reached) > 1 else set()
        if not missing or not common:
            return
        alive = {id(p) for module in live_modules() for p in module.parameters(recurse=False)}
        stale = [p for p in missing if id(p) not in alive]
        message = (
            f"tensors of shared= are reached by no loss, while {len(common)} that every loss reaches are not in it: "
            "was the model changed (weight_norm, a new layer, a copy) after the Balancer was made?"
        )
        if stale and any(id(p) in alive for p in self._shared):
            raise RequestError(f"{len(stale)} {message} Make it after that")
        warnings.warn(f"{len(missing)} {message}", stacklevel=2)

    def check_past(self, representation: Sequence[Tensor], own: Sequence[Sequence[Tensor]]) -> None:
        """Check that the losses reach only heads (``own``) past ``representation``."""
        reached = {id(p) for ps in own for p in ps}
        past = reached & self._ids
        new = reached - self._heads
        if not past and (new or not self._passed):
            encoder = autograd.reach(representation)
            past = new & encoder.leaves().keys()
            if not past and not self._passed and self._shared and not encoder.opaque:
                self._require(not self._ids.isdisjoint(encoder.leaves()), "shared")
        if past:
            raise RequestError(
                f"the losses reach the encoder past representation= (tensors of it: {len(past)}): it must hold all "
                f"paths from the encoder to the losses; {COPIES}"
            )
        self._heads |= new

    def check_representation(self, touched: bool) -> None:
        """Check that some loss depends on the representation."""
        if not self._passed:
            self._require(touched, "representation")
            self._passed = True

    def _require(self, reached: bool, name: str) -> None:
        if self._processes.several:
            device = self._shared[0].device if self._shared else None
            reached = bool(self._processes.sum(torch.tensor(float(reached), device=device)) > 0)
        if not reached:
            hint = (
                COPIES
                if name == "representation"
                else (
                    "give the parameters of the model that made them, not those of a copy, or of before it was wrapped"
                )
            )
            raise RequestError(f"no loss depends on {name}=: {hint}")
