"""Axes that a study sweeps on any workload: model sizes, pairs, learning rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from scalarize.runs.request import WorkloadRequest
from scalarize.studies.context import Context
from scalarize.utils.errors import RequestError
from scalarize.workloads import Workload
from scalarize.workloads.sizes import Size

V = TypeVar("V")


def several_sizes(context: Context) -> Sequence[Size]:
    """Return the sizes to sweep. Raises RequestError if there is only one."""
    if len(context.workload.sizes) < 2:
        raise RequestError(f"`workload` {context.workload.name}: its model has no setting for depth or width to sweep")
    if len(context.sizes) < 2:
        raise RequestError("`settings` fixes the size of the model, and this target sweeps it")
    return context.sizes


def thinned(context: Context, sizes: Sequence[Size]) -> list[Size]:
    """Return the sizes whose depth, width and number of shared decoder layers the budget leaves."""
    kept = list(sizes)
    for label in ("depth", "width", "decoder"):
        values = context.budget.thin(list(dict.fromkeys(getattr(s, label) for s in sizes)))
        kept = [s for s in kept if getattr(s, label) in values]
    return kept


def labels_of(size: Size) -> dict[str, Any]:
    """Return the size's labels in a study's tables; ``decoder`` is empty for a model without decoders to share."""
    decoder = "" if size.decoder is None else str(size.decoder)
    return {"size": size.name, "depth": str(size.depth), "width": size.width, "decoder": decoder}


def averaged(context: Context) -> Context:
    """Return the context itself. Raises RequestError if its metrics have no average, which this target is about."""
    if not context.data.has_average:
        raise RequestError(
            f"`workload` {context.workload.name}: higher is better for some of its tasks and worse for others, so they "
            "have no average; restrict it with `tasks`, or see `scalarize reproduce` for studies by metric"
        )
    return context


def pairs(workload: Workload, names: list[str]) -> list[tuple[str, str]]:
    """Return the reference domain (or the first task) with each of the others. Raises RequestError for too few."""
    if len(names) < 2:
        raise RequestError(f"`workload` {workload.name}: a pair needs two tasks or domains, it has {', '.join(names)}")
    first = workload.reference if workload.reference in names else names[0]
    return [(str(first), name) for name in names if name != first]


def with_settings(problem: WorkloadRequest, more: dict[str, Any], **fields: Any) -> WorkloadRequest:
    """Return the problem with further settings of the recipe, and other fields."""
    return problem.model_copy(update={"settings": dict(problem.settings) | more, **fields})


def swept(context: Context, key: str, values: Sequence[V]) -> list[V]:
    """Return the values of the recipe's ``key`` that the budget leaves; a value that ``--set`` fixes is not swept."""
    own = context.problem.settings
    return [own[key]] if key in own else context.budget.thin(values)


def rates(base: float, factors: tuple[float, ...]) -> list[float]:
    """Return learning rates around ``base``, rounded to three digits."""
    return [float(f"{base * f:.3g}") for f in factors]
