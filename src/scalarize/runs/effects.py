"""Settings that were asked for and would have no effect: each is refused before anything is trained."""

from __future__ import annotations

from collections.abc import Collection

from scalarize import methods
from scalarize.learners.recipe import Recipe
from scalarize.methods.evidence import Needs
from scalarize.runs.build import Loader
from scalarize.runs.request import TrainRequest, WorkloadRequest
from scalarize.utils.errors import RequestError


def check_request(request: WorkloadRequest, loader: Loader) -> None:
    """Check that every setting of a request is read.

    Args:
        request: of a training, or a problem whose method is not known or several.
        loader: of the command.

    Raises:
        RequestError: a setting would have no effect; what it needs is named.
    """
    workload = loader.workload(request)
    check(request.settings, request.recipe(workload), workload.kind)
    if isinstance(request, TrainRequest) and "level" in request.settings:
        name = request.method or ("a policy" if request.policy else "fixed weights")
        if request.method is None or methods.get(request.method).needs <= Needs.LOSSES:
            raise RequestError(f"`settings` level: has no effect with {name}, which compares no gradients")


def check(keys: Collection[str], recipe: Recipe, kind: str) -> None:
    """Check that settings have an effect.

    Args:
        keys: of the recipe, dotted.
        recipe: with these settings.
        kind: of the workload, ``multi-task`` or ``multi-domain``.

    Raises:
        RequestError: one has none; what it needs is named.
    """
    optimizer, schedule = recipe.optimizer.name, recipe.schedule.name
    unread = {
        "optimizer.momentum": optimizer != "sgd" and f"with optimizer.name={optimizer}",
        "optimizer.betas": optimizer == "sgd" and "with optimizer.name=sgd",
        "schedule.decay": schedule != "exponential" and f"with schedule.name={schedule}",
        "schedule.every": schedule != "exponential" and f"with schedule.name={schedule}",
        "mixing": kind != "multi-domain" and "on tasks that share their samples: it is about domains",
        "accumulation": recipe.accumulate == 1 and "with accumulate=1",
    }
    for key in keys:
        if why := unread.get(key):
            raise RequestError(f"`settings` {key}: has no effect {why}")
