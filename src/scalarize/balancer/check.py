"""The probe: a step's ``.grad``, and the optimiser's step with it, compared with a slow reference."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from scalarize.balancer.autograd import accumulate
from scalarize.balancer.call import Call, nodes
from scalarize.balancer.compiled import protect
from scalarize.balancer.reference import Reference
from scalarize.balancer.result import BackwardResult, CheckReport
from scalarize.balancer.snapshot import held_by, live_modules, needs_closure, restored, silent, unwrapped
from scalarize.utils.errors import RequestError

if TYPE_CHECKING:
    from scalarize.balancer.balancer import Balancer

COMPILED = "_orig_mod."  # which torch.compile puts before the names of a module's parameters


def check(balancer: Balancer, step_function: Callable[[], Any], optimizer: Any, strict: bool) -> CheckReport:
    """Compare one step with the reference; see :meth:`Balancer.check`."""
    if needs_closure(optimizer):
        raise RequestError(f"check: {type(unwrapped(optimizer)).__name__} needs a closure: leave optimizer= out")
    with restored(balancer, optimizer) as again:
        modules, calls = live_modules(), 0
        leaves: list[Tensor] = []
        written: list[Tensor | None] = []
        result: list[BackwardResult] = []
        tolerance = [0.0]

        def real(call: Call) -> BackwardResult:
            nonlocal calls
            calls += 1
            if calls > 1 or call.extra or not call.final:
                raise RequestError("check: step_function must call backward once, for a whole step and without extra=")
            leaves.extend(_leaves(call, balancer._step.options.shared))
            tolerance[0] = _tolerance(call, leaves)
            with silent(leaves):
                result.append(balancer._backward(call))
            written.extend(None if p.grad is None else p.grad.detach() for p in leaves)
            return result[0]

        def fresh(use: Callable[[Call], None]) -> None:
            def look(call: Call) -> BackwardResult:
                with silent(leaves):
                    use(call)
                return result[0]

            again()
            _run(balancer, look, step_function)

        before = [p.detach().clone() for p in held_by(optimizer)]
        _run(balancer, real, step_function)
        if not result:
            raise RequestError("check: step_function did not call this Balancer's backward")
        if any(not torch.equal(p, q) for p, q in zip(held_by(optimizer), before, strict=True)):
            raise RequestError("check: step_function must leave out the optimizer's step")
        if balancer._processes.sharded:
            raise RequestError("check: parameters are sharded (fully_shard): check the unsharded model in one process")
        kept = [None if g is None else g.clone() for g in written]  # clone keeps strides
        again()
        wanted = Reference(balancer, leaves, fresh, keep=False).gradients()
        names = _names(leaves, modules)
        report = _compare(names, leaves, kept, wanted, tolerance[0])
        shared = {id(p) for p in balancer.shared}
        if shared and all(g is None for p, g in zip(leaves, wanted, strict=True) if id(p) in shared):
            report = _with_lines(report, ["no loss depends on any tensor of shared="])
        if optimizer is not None:
            again()
            report = _with_lines(report, _compare_steps(names, leaves, kept, optimizer, tolerance[0]))
    if strict:
        report.require()
    return report


def check_first(balancer: Balancer, call: Call) -> BackwardResult:
    """Make one step of ``balancer``, compared with gradients of the same graph. Raises RunError if they differ."""
    if call.extra or balancer._processes.sharded or balancer._step.full:
        return balancer._backward(call)
    leaves = _leaves(call, balancer._step.options.shared)
    held = [p.grad for p in leaves]
    for p in leaves:
        p.grad = None
    for node in _nodes(call):
        protect(node)  # the graph is passed several times
    with silent(leaves):
        wanted = Reference(balancer, leaves, lambda use: use(call), keep=True).gradients()
        result = balancer._backward(call)
    written = [p.grad for p in leaves]
    for p, g in zip(leaves, held, strict=True):
        p.grad = g
    if not result.skipped:
        names = _names(leaves, live_modules())
        _compare(names, leaves, written, wanted, _tolerance(call, leaves)).require()
    accumulate(leaves, written, fresh=True)  # now hooks see it, which may change a gradient, or step an optimiser
    return result


# --- comparing ---------------------------------------------------------------------------------------------------
def _compare(
    names: Sequence[str],
    leaves: Sequence[Tensor],
    written: Sequence[Tensor | None],
    wanted: Sequence[Tensor | None],
    tolerance: float,
) -> CheckReport:
    top = max([float(g.abs().max()) for g in wanted if g is not None and g.numel()] or [0.0])
    lines, largest = [], 0.0
    for name, p, g, w in zip(names, leaves, written, wanted, strict=True):
        size = 0.0 if w is None or not w.numel() else float(w.abs().max())
        if g is None:
            if size > tolerance * top:
                lines.append(f"{name}: .grad is None, and should be up to {size:.2e}")
                largest = max(largest, 1.0)
            continue
        dense = g.to_dense() if g.is_sparse else g
        wide = dense.to(torch.complex128 if dense.is_complex() else torch.float64)
        gap = float((wide if w is None else wide - w.to(wide.device)).abs().max()) if g.numel() else 0.0
        error = gap / max(size, 1e-3 * top, 1e-30)
        if not error <= tolerance:
            lines.append(f"{name}: .grad is off by {gap:.2e} where {size:.2e} is right (relative error {error:.1e})")
        elif not g.is_sparse and _layout(g) != _layout(p):
            lines.append(f"{name}: .grad has strides {g.stride()}, the parameter {p.stride()}")
        largest = max(largest, error if error == error else float("inf"))
    return CheckReport(tuple(lines), len(leaves), largest)


def _layout(x: Tensor) -> list[tuple[int, int]]:
    return [(n, s) for n, s in zip(x.shape, x.stride(), strict=True) if n > 1]


def _tolerance(call: Call, leaves: Sequence[Tensor]) -> float:
    """Return the relative error that rounding may make: 0.05 if anything is in half precision, 2e-3 in float32."""
    tensors = [*leaves, *call.given, *(x for x in call.losses.values() if isinstance(x, Tensor))]
    half = any(x.element_size() < 4 for x in tensors if not x.is_complex())
    if half or any(type(node).__name__.startswith("ToCopyBackward") for node in _nodes(call)):
        return 0.05
    return 1e-6 if all(x.dtype in (torch.float64, torch.complex128) for x in tensors) else 2e-3


def _with_lines(report: CheckReport, lines: list[str]) -> CheckReport:
    return CheckReport((*report.lines, *lines), report.checked, report.largest)


# --- the optimiser's step ----------------------------------------------------------------------------------------
def _compare_steps(
    names: Sequence[str], leaves: Sequence[Tensor], grads: Sequence[Tensor | None], optimizer: Any, tolerance: float
) -> list[str]:
    """Find differences between a step of ``optimizer`` and that of a copy which is not fused and whose tensors are
    contiguous. Parameters and state are put back by the caller."""
    optimizer = unwrapped(optimizer)
    params = held_by(optimizer)
    by_id = {id(p): g for p, g in zip(leaves, grads, strict=True)}
    plain = copy.deepcopy({"groups": optimizer.param_groups, "state": dict(optimizer.state)})
    twin = copy.copy(optimizer)
    twin.param_groups = plain["groups"]
    twin.state = defaultdict(dict, plain["state"])
    copies = held_by(twin)
    for group in twin.param_groups:
        for key in ("fused", "foreach"):
            if key in group:
                group[key] = False
    for p, q in zip(params, copies, strict=True):
        q.data = p.detach().clone(memory_format=torch.contiguous_format)
        for key, value in twin.state.get(q, {}).items():
            if isinstance(value, Tensor) and value.shape == q.shape:
                twin.state[q][key] = value.contiguous()
        g = by_id.get(id(p))
        p.grad = g
        q.grad = None if g is None else g.clone() if g.is_sparse else g.clone(memory_format=torch.contiguous_format)
    before = [p.detach().clone() for p in params]
    twin.defaults = dict(twin.defaults)
    type(optimizer).step(twin)
    type(optimizer).step(optimizer)
    lines = []
    name_of = {id(p): name for p, name in zip(leaves, names, strict=True)}
    for k, (p, q, old) in enumerate(zip(params, copies, before, strict=True)):
        moved = float((q - old).abs().max()) if p.numel() else 0.0
        gap = float((p.detach() - q).abs().max()) if p.numel() else 0.0
        rounding = 4 * torch.finfo(p.dtype).eps * float(old.abs().max()) if p.numel() else 0.0
        if not gap <= max(tolerance * moved, rounding):
            name = name_of.get(id(p), f"parameter {k} {tuple(p.shape)}")
            lines.append(
                f"{name}: the optimizer moves it otherwise than a plain copy does, by {gap:.2e} of {moved:.2e}"
            )
    return lines


# --- what the losses reach, and its names ------------------------------------------------------------------------
def _nodes(call: Call) -> Iterator[Any]:
    return nodes([*(x for x in call.losses.values() if isinstance(x, Tensor)), *call.given])


def _leaves(call: Call, shared: Sequence[Tensor]) -> list[Tensor]:
    """Return the parameters in the graph, the shared ones first and in their order."""
    met = {id(node.variable): node.variable for node in _nodes(call) if hasattr(node, "variable")}
    known = {id(p) for p in shared}
    first = [p for p in shared if p.requires_grad]
    return first + [p for p in met.values() if id(p) not in known and isinstance(p, nn.Parameter)]


def _names(leaves: Sequence[Tensor], modules: Sequence[nn.Module]) -> list[str]:
    wanted = {id(p) for p in leaves}
    names: dict[int, str] = {}
    count = {id(m): sum(id(p) in wanted for p in m.parameters()) for m in modules}
    for module in sorted(modules, key=lambda m: -count[id(m)]):
        if count[id(module)]:
            for name, p in module.named_parameters():
                names.setdefault(id(p), name.replace(COMPILED, ""))
    return [names.get(id(p), f"parameter {k} {tuple(p.shape)}") for k, p in enumerate(leaves)]


def _run(balancer: Balancer, intercept: Callable[[Call], BackwardResult], step_function: Callable[[], Any]) -> None:
    balancer._intercept = intercept
    try:
        step_function()
    finally:
        balancer._intercept = None
