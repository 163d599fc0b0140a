"""The step of a method that compares gradients: they are gathered as rows, combined, and written to ``.grad``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from scalarize.balancer import autograd, backward_pass, fan_out
from scalarize.balancer.compiled import protect
from scalarize.balancer.distributed import Processes
from scalarize.balancer.gramian.choices import Choices
from scalarize.balancer.gramian.compact import Compact
from scalarize.balancer.jacobian import JacobianAccumulator
from scalarize.balancer.losses import Losses
from scalarize.balancer.options import Options
from scalarize.balancer.reachability import refuse_hidden
from scalarize.balancer.sharded import refuse_sharded
from scalarize.balancer.silence import Decision
from scalarize.methods import Evidence
from scalarize.utils.errors import RequestError


@dataclass(frozen=True)
class GradientPlan:
    """The tensors by which the gradients of a step are taken.

    deep: at parameter level. targets: what the combination is for, the shared parameters or the representation's
    tensors. source: what gradients are compared on, and ``parts`` of it, a turn each. own, keep: for each loss its
    task's own parameters, and whether its graph is needed again. whole: the rows are the gradients of all targets,
    so combining them gives what the targets are to receive; else one more backward gives it. functions: the graph's
    nodes that are written in Python. compact: for each of the parts, what takes the place of rows; None if they are
    cheaper. fan: graphs that one backward gives all rows of.
    """

    deep: bool
    targets: list[Tensor]
    source: list[Tensor]
    parts: list[list[Tensor]]
    own: list[list[Tensor]]
    shared_out: list[Tensor]
    keep: list[bool]
    whole: bool
    functions: list[Any]
    compact: list[Compact | None]
    fan: fan_out.FanOut | None = None


def plan(
    losses: Sequence[Tensor],
    representation: Sequence[Tensor],
    options: Options,
    processes: Processes,
    choices: Choices | None = None,
) -> GradientPlan:
    """Raise RequestError if nothing is trained, or a reentrant checkpoint is on the way. choices: if the method
    needs nothing but inner products of the tasks' gradients, the ways to them."""
    deep, shared = options.level == "parameters", processes.sharded.copies(options.shared)
    targets = backward_pass.trained(shared) if deep else backward_pass.trained(representation)
    source = targets if options.evidence_from is None else backward_pass.trained(options.evidence_from)
    if not source:
        raise RequestError("none of the parameters that gradients are compared on requires a gradient")
    fan = fan_out.find(losses, targets[0]) if not deep and len(targets) == 1 and not processes.sharded else None
    if fan is not None:
        return GradientPlan(deep, targets, source, [source], fan.own, [], [], True, [], [None], fan)
    found = autograd.reach(losses, () if deep else targets, shared if deep else targets)
    refuse_hidden(found)
    own, keep = found.own, found.keep
    for node in found.functions:
        protect(node)
    if not deep and len(targets) > 1:
        keep = [True] * len(keep)  # the tensors may depend on each other: the encoder's backward comes by again
    parts = autograd.blocks(source, options.blocks)
    whole = options.evidence_from is None and len(parts) == 1
    processes.try_out(found.common() if deep and whole else found.functions)
    if not whole:
        keep = [True] * len(keep)
        own = own if options.heads != "weighted" else [[] for _ in own]
    sharded = processes.sharded.parts()
    if deep:
        refuse_sharded([sharded.get(id(p), p) for p in targets])
    shared_out = list({id(p): p for ps in own for p in ps if id(p) in sharded}.values())
    if sharded:
        own, keep = [[p for p in ps if id(p) not in sharded] for ps in own], [True] * len(keep)
    in_sight = deep and not sharded and not found.opaque
    compact = [choices(losses, part) if choices and in_sight else None for part in parts]
    return GradientPlan(deep, targets, source, parts, own, shared_out, keep, whole, found.functions, compact)


@dataclass(frozen=True)
class Gathered:
    """rows (T', P) of the last part, None if they were not made; gramian (T', T') of all of them, step: all
    micro-batches of the step as one, touched: which of the source's tensors any loss reaches."""

    rows: Tensor | None
    gramian: Tensor
    step: Losses
    touched: list[bool]


def gather(
    of: GradientPlan,
    step: Losses,
    accumulator: JacobianAccumulator,
    processes: Processes,
    scale: Tensor | None,
    final: bool,
) -> Gathered | None:
    """Run the backwards of the tasks; None if further micro-batches of the step are to come (not ``final``)."""
    total: Tensor | None = None
    rows: Tensor | None = None
    touched: list[bool] = []
    for k, (part, compact) in enumerate(zip(of.parts, of.compact, strict=True)):
        if k:
            accumulator.step = None
        with processes.hidden.refused(of.functions):
            if of.fan is None:
                accumulator.add(step, part, of.own if k == 0 else [[] for _ in of.own], of.keep, compact)
            else:
                accumulator.add_by_one(step, part[0], of.fan)
        if not final:
            return None
        if compact is None:
            rows = accumulator.matrix(processes, of.deep, scale)
            touched += accumulator.rows.touched
            products = rows @ rows.T
        else:
            compact.unscale(scale)
            rows, touched, products = None, touched + compact.touched, compact.gramian()
        total = products if total is None else total + products
    assert total is not None
    assert accumulator.step is not None
    return Gathered(rows, total if of.deep else processes.sum(total), accumulator.step, touched)


def gramian64(of: GradientPlan, found: Gathered, processes: Processes) -> Callable[[], Tensor] | None:
    """Return a function that makes the Gramian (T', T') in float64, block by block; None if it gains nothing."""
    rows, compact = found.rows, of.compact[0]
    if compact is not None:
        return None if len(of.parts) > 1 or compact.precise else compact.gramian64
    if rows is None or len(of.parts) > 1 or rows.dtype == torch.float64 or rows.device.type == "mps":
        return None

    def make() -> Tensor:
        total = torch.zeros_like(found.gramian, dtype=torch.float64)
        for part in torch.split(rows, 2**16, dim=1):
            total += part.double() @ part.double().T
        return total if of.deep else processes.sum(total)

    return make


def evidence(step: Losses, of: GradientPlan, options: Options, processes: Processes, scale: Tensor | None) -> Evidence:
    """Return losses, Gramian and rows of a further batch."""
    accumulator = JacobianAccumulator(1 if options.chunk == "auto" else options.chunk)
    found = autograd.reach(step.losses, without=options.shared)
    for node in found.functions:
        protect(node)
    accumulator.add(step, of.source, [[] for _ in found.own], found.keep)
    rows = accumulator.matrix(processes, True, scale)
    return Evidence(losses=step.values, gramian=rows @ rows.T, jacobian=rows)


def write(
    of: GradientPlan,
    found: Gathered,
    accumulator: JacobianAccumulator,
    decision: Decision,
    options: Options,
    processes: Processes,
    scale: Tensor | None,
) -> None:
    """Add to ``.grad`` the combination of the shared parameters' rows, and its share of the tasks' own gradients."""
    weights = decision.weights
    by = {"own": None, "weighted": weights, "objective": decision.slopes}[options.heads]
    if processes.sharded and (of.whole or options.heads != "weighted"):
        # FSDP2 shares out the gradient of one backward, so there are no rows of these.
        ones = torch.ones_like(found.step.values, dtype=torch.float64)
        factors = (ones if by is None else by.to(ones)) * (
            1 if found.step.scales is None else found.step.scales.to(ones)
        )
        processes.backward(*autograd.weighted(found.step.losses, factors), of.shared_out, keep=True)
    combined: tuple[list[Tensor], autograd.Grads] = ([], [])
    if of.whole:
        combined = _combine(of, found.rows, accumulator, decision, processes, scale)
    elif weights is not None:
        heads = "weighted" if options.heads == "weighted" else "none"
        backward_pass.weighted_sum(found.step, weights, options.shared, heads, processes)
    own: tuple[list[Tensor], autograd.Grads] = ([], [])
    if of.whole or options.heads != "weighted":
        params, grads = accumulator.own_gradients(by)
        own = params, processes.sum_gradients(params, autograd.copied(grads) if by is None else grads)
    # Last, since hooks on parameters may step an optimiser: no backward is to come.
    params, grads = [*combined[0], *own[0]], [*combined[1], *own[1]]
    autograd.accumulate(params, grads, fresh=True, by_hand=processes.by_hand)


def _combine(
    of: GradientPlan,
    rows: Tensor | None,
    accumulator: JacobianAccumulator,
    decision: Decision,
    processes: Processes,
    scale: Tensor | None,
) -> tuple[list[Tensor], autograd.Grads]:
    """Hand ``weights @ rows``, or the method's own gradient, through the encoder; at parameter level return the
    parameters and what they are to receive."""
    compact = of.compact[0]
    if compact is not None:
        assert decision.weights is not None
        weights = decision.weights if scale is None else decision.weights * scale.to(decision.weights)
        return of.targets, compact.gradients(weights)
    assert rows is not None
    if decision.gradient is not None:
        combined = decision.gradient.to(rows)
    else:
        assert decision.weights is not None
        combined = decision.weights.to(rows) @ rows
    combined = combined if scale is None else combined * scale.to(combined)
    grads = accumulator.rows.gradients(combined)
    if of.deep:
        return of.targets, grads
    backward_pass.through(of.targets, grads, processes)
    return [], []
