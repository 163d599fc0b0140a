"""The slow reference for ``.grad``: one forward and one ``autograd.grad`` per task, then the method's answer.

Nothing here is shared with the code that gathers gradients for a step: this is what that code is held against.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from scalarize.balancer.call import Call, nodes
from scalarize.methods import Needs

if TYPE_CHECKING:
    from scalarize.balancer.balancer import Balancer


# Hands a call whose graph may be used once (or, where it is kept, again) to the function that it is given.
Fresh = Callable[[Callable[[Call], None]], None]


class Reference:
    """The gradients of one step.

    Args:
        balancer: in the state in which the step finds it; it is left unchanged.
        leaves: the parameters whose gradients are wanted.
        fresh: see :data:`Fresh`.
        keep: the graph is needed again.
    """

    def __init__(self, balancer: Balancer, leaves: Sequence[Tensor], fresh: Fresh, keep: bool) -> None:
        self._balancer, self._leaves, self._fresh, self._keep = balancer, list(leaves), fresh, keep
        self._state = copy.deepcopy(balancer._method_state)
        self._options = balancer._step.options
        self._several = balancer._processes.several

    def gradients(self) -> list[Tensor | None]:
        """Return the gradient of each leaf, in float64; None if no loss reaches it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._read()
            by_rows = self._balancer._by_gradients or self._balancer._step.full
            weights = self._state.cached_weights(self._index)
            if weights is not None or not by_rows:
                return self._finish(self._sum_of_losses(weights))
            if self._options.level == "representation":
                return self._finish(self._by_representation())
            return self._finish(self._by_parameters())

    # --- one ordinary backward -----------------------------------------------------------------------------------
    def _sum_of_losses(self, weights: Tensor | None) -> list[Tensor | None]:
        if weights is None:
            weights = self._state.decide(self._index, self._values).weights
            assert weights is not None
        own = self._options.heads == "own" and bool(self._options.shared)
        rows = [self._task_gradients(t, cut=False)[0] for t in self._present]
        return self._combined(rows, weights, torch.ones_like(weights) if own else weights)

    # --- the method sees gradients -------------------------------------------------------------------------------
    def _by_parameters(self) -> list[Tensor | None]:
        rows = [self._task_gradients(t, cut=False)[0] for t in self._present]
        shared = _trained(self._options.shared)
        jacobian = self._total(_flat(rows, shared, self._leaves))
        seen = jacobian
        if self._options.evidence_from is not None:
            seen = self._total(_flat(rows, _trained(self._options.evidence_from), self._leaves))
        decision = self._decide(seen, seen @ seen.T, None)
        combined = decision.gradient
        factors = self._factors(decision)
        if combined is None:
            return self._combined(rows, decision.weights, factors)
        out = self._combined(rows, factors, factors)
        # It is that of all processes, and what is returned is summed over them.
        combined = combined.double() / (dist.get_world_size(self._balancer._processes._group) if self._several else 1)
        pieces = {id(p): piece for p, piece in zip(shared, _pieces(combined, shared), strict=True)}
        return [pieces.get(id(p), g) for p, g in zip(self._leaves, out, strict=True)]

    def _by_representation(self) -> list[Tensor | None]:
        pairs = [self._task_gradients(t, cut=True) for t in self._present]
        arrived = [
            [torch.zeros_like(z) if g is None else g for z, g in zip(self._given, gs, strict=True)] for _, gs in pairs
        ]
        rows = torch.stack([torch.cat([_real(g) for g in gs]) for gs in arrived])
        width = (self._given[0].shape or (1,))[-1] if len(self._given) == 1 else None
        decision = self._decide(rows, self._total(rows @ rows.T), width)
        combined = decision.gradient if decision.gradient is not None else decision.weights.double() @ rows
        parts = _pieces(combined.double(), self._given)
        through: list[Tensor | None] = []

        def pass_on(call: Call) -> None:
            by = [g.to(z.dtype) for z, g in zip(call.given, parts, strict=True)]
            through.extend(self._grad(call.given, by))

        self._fresh(pass_on)
        factors = self._factors(decision)
        own = self._combined([gs for gs, _ in pairs], factors, factors)
        return [b if a is None else _wide(a) + (0 if b is None else b) for a, b in zip(through, own, strict=True)]

    # --- parts ---------------------------------------------------------------------------------------------------
    def _read(self) -> None:
        """Return the tasks, their losses and their shares of the batch; tensors alone, no graph is kept."""

        def look(call: Call) -> None:
            names = self._state.tasks or tuple(call.losses)
            here = [call.losses.get(t) for t in names]
            numbers = [0.0 if x is None else (call.counts or {}).get(t, 1.0) for t, x in zip(names, here, strict=True)]
            counts = torch.tensor(numbers, dtype=torch.float64)
            shares = counts / self._total(counts.clone())
            self._state.tasks = names
            self._present = [t for t, s in zip(names, shares.tolist(), strict=True) if s == s]
            self._share = dict(zip(names, shares.tolist(), strict=True))
            told = [0.0 if x is None else float(x) * self._share[t] for t, x in zip(names, here, strict=True)]
            tensors = [x for x in here if isinstance(x, Tensor)]
            device = tensors[0].device
            double = all(x.dtype == torch.float64 for x in tensors)
            places = [k for k, t in enumerate(names) if t in self._present]
            total = self._total(torch.tensor(told, dtype=torch.float64))[places]
            self._values = total.to(device, torch.float64 if double else torch.float32)
            self._index = None if len(places) == len(names) else torch.tensor(places, device=device)
            self._scale = 1.0 if call.scaler is None else float(call.scaler.get_scale())
            self._given = [z.detach() for z in call.given]
            self._state.init_state(device)

        self._fresh(look)

    def _task_gradients(self, task: str, cut: bool) -> tuple[list[Tensor | None], list[Tensor | None]]:
        """Return gradients of one loss by the leaves, and by the representation if paths are cut there."""
        out: list[Tensor | None] = []
        arrived: dict[int, Tensor] = {}

        def take(call: Call) -> None:
            loss = call.losses.get(task)
            if not isinstance(loss, Tensor) or not loss.requires_grad:
                out.extend([None] * len(self._leaves))
                return

            def end(place: int) -> Callable[[Tensor], Tensor]:
                def stop(g: Tensor) -> Tensor:
                    arrived[place] = g.detach().clone()
                    return torch.zeros_like(g)

                return stop

            handles = [z.register_hook(end(k)) for k, z in enumerate(call.given) if cut]  # type: ignore[no-untyped-call]
            by = torch.full_like(loss, self._share[task])
            out.extend(self._grad([loss], [by]))
            for handle in handles:
                handle.remove()

        self._fresh(take)
        return out, [arrived.get(k) for k in range(len(self._given))]

    def _grad(self, roots: list[Tensor], by: list[Tensor]) -> list[Tensor | None]:
        with _alone(roots[0].device.type):
            if any(type(node).__name__ == "CheckpointFunctionBackward" for node in nodes(roots)):
                return self._by_backward(roots, by)
            grads = torch.autograd.grad(roots, self._leaves, by, retain_graph=self._keep, allow_unused=True)
        return [g.to_dense() if g is not None and g.is_sparse else g for g in grads]

    def _by_backward(self, roots: list[Tensor], by: list[Tensor]) -> list[Tensor | None]:
        """Return the same by an ordinary backward, the only one that reentrant checkpoints let through."""
        held = [p.grad for p in self._leaves]
        for p in self._leaves:
            p.grad = None
        torch.autograd.backward(roots, by, retain_graph=self._keep)
        grads = [p.grad for p in self._leaves]
        for p, g in zip(self._leaves, held, strict=True):
            p.grad = g
        return grads

    def _decide(self, jacobian: Tensor, gramian: Tensor, width: int | None) -> Any:
        # As precise as in the step: some methods count the Gramian's rank by its dtype.
        compared = self._given if self._options.level == "representation" else self._options.shared
        double = any(x.dtype in (torch.float64, torch.complex128) for x in compared)
        told = gramian if double else gramian.float()
        rows = None if self._balancer.method.needs < Needs.JACOBIAN else jacobian if double else jacobian.float()
        return self._state.decide(self._index, self._values, told, rows, width=width, gramian64=lambda: gramian)

    def _factors(self, decision: Any) -> Tensor:
        ones = torch.ones_like(self._values, dtype=torch.float64)
        factors: Tensor = {"own": ones, "weighted": decision.weights, "objective": decision.slopes}[self._options.heads]
        return factors

    def _combined(self, rows: list[list[Tensor | None]], shared: Tensor, other: Tensor) -> list[Tensor | None]:
        """Sum the tasks' gradients by the leaves: weighted by ``shared`` for these, by ``other`` for the rest."""
        known = {id(p) for p in self._options.shared}
        out: list[Tensor | None] = []
        for k, leaf in enumerate(self._leaves):
            weights = (shared if id(leaf) in known else other).double().tolist()
            terms = [w * _wide(g) for w, g in zip(weights, (row[k] for row in rows), strict=True) if g is not None]
            out.append(torch.stack(terms).sum(0) if terms else None)
        return out

    def _total(self, x: Tensor) -> Tensor:
        if self._several:
            dist.all_reduce(x, group=self._balancer._processes._group)
        return x

    def _finish(self, grads: list[Tensor | None]) -> list[Tensor | None]:
        return [None if g is None else self._total(g.clone()) * self._scale for g in grads]


def _trained(params: Sequence[Tensor]) -> list[Tensor]:
    return [p for p in params if p.requires_grad]


def _wide(g: Tensor) -> Tensor:
    return g.to(torch.complex128 if g.is_complex() else torch.float64)


def _real(g: Tensor) -> Tensor:
    """Return all numbers of ``g`` in a row, a complex one as two."""
    return (torch.view_as_real(g) if g.is_complex() else g).reshape(-1).double()


def _flat(rows: list[list[Tensor | None]], params: list[Tensor], leaves: list[Tensor]) -> Tensor:
    """Return the tasks' gradients by ``params`` as rows (T', P)."""
    place = {id(p): k for k, p in enumerate(leaves)}

    def part(row: list[Tensor | None], p: Tensor) -> Tensor:
        g = row[place[id(p)]] if id(p) in place else None
        return _real(torch.zeros_like(p) if g is None else g)

    return torch.stack([torch.cat([part(row, p) for p in params]) for row in rows])


def _pieces(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Split a row (P,) into the shapes of ``like``."""
    parts = torch.split(flat, [p.numel() * (2 if p.is_complex() else 1) for p in like])
    return [
        torch.view_as_complex(x.view(*p.shape, 2)) if p.is_complex() else x.view(p.shape)
        for x, p in zip(parts, like, strict=True)
    ]


@contextmanager
def _alone(device: str) -> Iterator[None]:
    """Return a context outside autocast, whatever surrounds the call."""
    with torch.autocast(device, enabled=False), torch.autocast("cpu", enabled=False):
        yield
