"""The values of a comparison: every row, a method on an architecture, at every split, learning rate and seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from scalarize import methods
from scalarize.learners import levels
from scalarize.runs import comparison_rows
from scalarize.runs.comparison_rows import ComparisonContext
from scalarize.runs.plan import PlannedRun
from scalarize.runs.request import WorkloadRequest
from scalarize.runs.row_values import RowValue
from scalarize.utils.errors import RequestError
from scalarize.workloads.models.sharing.names import OPTIONS, read_by

if TYPE_CHECKING:
    from scalarize.runs.compare import CompareRequest


def check_sharing(sharing: Sequence[str], settings: dict[str, Any]) -> None:
    """Check the architectures of a comparison's rows.

    Args:
        sharing: their names.
        settings: of all rows.

    Raises:
        RequestError: one is named twice, the settings name another one for all rows, or one of an architecture's
            settings is read by none of them.
    """
    if len(set(sharing)) != len(sharing):
        raise RequestError(f"`sharing` names an architecture twice: {', '.join(sharing)}")
    if sharing and "model.sharing" in settings:
        raise RequestError("`sharing` gives rows their architectures: leave out `settings` model.sharing")
    for key in settings:
        if sharing and not any(key in read_by(name, {key: None}) for name in sharing):
            able = ", ".join(name for name, keys in OPTIONS.items() if key.removeprefix("model.") in keys)
            raise RequestError(f"`settings` {key}: has no effect with {', '.join(sharing)}; it is read by {able}")


def problems(problem: WorkloadRequest, sharing: Sequence[str]) -> list[WorkloadRequest]:
    """Return the problem that each architecture makes, with those of its settings that the architecture reads.

    Args:
        problem: of all rows.
        sharing: names of architectures; none leaves the problem as it is.
    """
    settings = [read_by(name, problem.settings) | {"model.sharing": name} for name in sharing]
    return [problem.model_copy(update={"settings": own}) for own in settings] or [problem]


def values(request: CompareRequest, context: ComparisonContext) -> list[RowValue]:
    """Return the values of every row at every learning rate and seed."""
    found = []
    for row, here in _rows(request, context):
        make = comparison_rows.maker(row)
        seeds = range(request.seed, request.seed + request.row_seeds.get(row, request.seeds))
        for place in [here.divided(k) for k in range(request.splits)] if request.splits > 1 else [here]:
            for rate in request.learning_rates or (None,):
                tuned = place.at(rate)
                found += [value for seed in seeds for value in make(tuned, row, seed)]
    return found


def runs(of: Sequence[RowValue]) -> list[PlannedRun]:
    """Return the runs behind values, each once: a search stands behind several."""
    return list({run.name: run for value in of for run in value.runs}.values())


def parameters(request: CompareRequest, context: ComparisonContext) -> dict[str, int]:
    """Return the number of trained parameters of a row's model, by the row's label; empty without architectures.

    Raises:
        RequestError: an architecture does not suit the encoder or a row's method, which no training need find out.
    """
    counted = {}
    for here in _places(request, context):
        if "sharing" not in here.prepared.recipe.model and not request.sharing:
            continue
        model = here.prepared.model()
        for row in request.rows:
            if comparison_rows.maker(row) is comparison_rows.method:
                levels.of(model, methods.create(row), here.prepared.recipe)
            counted[here.label(row)] = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return counted if request.sharing else {}


def _rows(request: CompareRequest, context: ComparisonContext) -> Iterator[tuple[str, ComparisonContext]]:
    """Yield each row with its context."""
    places = _places(request, context)
    return ((row, here) for row in request.rows for here in places)


def _places(request: CompareRequest, context: ComparisonContext) -> list[ComparisonContext]:
    """Return the contexts that rows have, one for each architecture."""
    made = zip(request.sharing, problems(request.problem(), request.sharing), strict=False)
    return [context.sharing_as(name, problem) for name, problem in made] or [context]
