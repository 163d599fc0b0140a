"""The values of a comparison: every row, a method on an architecture, at every split, learning rate and seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from scalarize.runs import comparison_rows
from scalarize.runs.comparison_rows import ComparisonContext
from scalarize.runs.plan import PlannedRun
from scalarize.runs.row_values import RowValue
from scalarize.utils.errors import RequestError

if TYPE_CHECKING:
    from scalarize.runs.compare import CompareRequest


def check_sharing(sharing: Sequence[str], settings: dict[str, Any]) -> None:
    """Check the architectures of a comparison's rows.

    Args:
        sharing: their names.
        settings: of all rows.

    Raises:
        RequestError: one is named twice, or the settings name another one for all rows.
    """
    if len(set(sharing)) != len(sharing):
        raise RequestError(f"`sharing` names an architecture twice: {', '.join(sharing)}")
    if sharing and "model.sharing" in settings:
        raise RequestError("`sharing` gives rows their architectures: leave out `settings` model.sharing")


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
    """Return the number of trained parameters of a row's model, by the row's label; empty without architectures."""
    if not request.sharing:
        return {}
    counted: dict[str | None, int] = {}
    for _, here in _rows(request, context):
        if here.sharing not in counted:
            counted[here.sharing] = sum(p.numel() for p in here.prepared.model().parameters() if p.requires_grad)
    return {here.label(row): counted[here.sharing] for row, here in _rows(request, context)}


def _rows(request: CompareRequest, context: ComparisonContext) -> Iterator[tuple[str, ComparisonContext]]:
    """Yield each row with its context."""
    places = [context.sharing_as(name) for name in request.sharing] or [context]
    return ((row, here) for row in request.rows for here in places)
