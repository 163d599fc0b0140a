"""Settings that a user asks for, and those that a target has of its own: neither goes unused without a word."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scalarize.runs.planned_run import PlannedRun
from scalarize.studies.context import Context
from scalarize.utils.errors import RequestError

Planner = Callable[[Context], Sequence[PlannedRun]]


def check(target: str, context: Context, plan: Sequence[PlannedRun], again: Planner | None = None) -> None:
    """Raise RequestError if a setting asked for is used by no run, or one of the target's own has no place here.

    Args:
        target: its name, for messages.
        context: of the plan.
        plan: the target's runs; a plan without runs uses what it likes.
        again: plans the target in another context, to see if the values that it sweeps lie around a setting. Default:
            they do not.
    """
    asked, recipe = context.problem.settings, context.workload.recipe
    for key, value in asked.items():
        used = any(_uses(run, key, value) for run in plan)
        if plan and not used and not (again and _around(key, context, plan, again)):
            raise RequestError(f"`settings` {key}={value}: every run of {target} sets its own; leave it out")
    for key in dict.fromkeys(key for run in plan for key in run.request.settings if key not in asked):
        if not recipe.has(key):
            raise RequestError(f"`workload` {context.workload.name}: it has no setting {key}, which {target} sets")


def lines(asked: Mapping[str, Any], plan: Sequence[PlannedRun]) -> list[str]:
    """Return one line of all settings asked for, with the number of runs that use one if it is not all of them."""
    said = []
    for key, value in asked.items():
        users = sum(_uses(run, key, value) for run in plan)
        part = f" (in {users} of {len(plan)} runs; the others have their own)" if users < len(plan) else ""
        part = " (the values swept lie around it)" if plan and not users else part
        said.append(f"{key}={value}{part}")
    return [f"settings: {', '.join(said)}"] if said else []


def _around(key: str, context: Context, plan: Sequence[PlannedRun], again: Planner) -> bool:
    """Return True if the runs would have other values of ``key`` without the setting."""
    rest = {k: v for k, v in context.problem.settings.items() if k != key}
    other = dataclasses.replace(context, problem=context.problem.model_copy(update={"settings": rest}))
    seen = [{repr(run.request.settings.get(key)) for run in runs} for runs in (plan, again(other))]
    return seen[0] != seen[1]


def _uses(run: PlannedRun, key: str, value: Any) -> bool:
    return bool(run.request.settings.get(key) == value)
