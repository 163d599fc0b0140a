"""The level at which a training compares gradients: of the shared parameters, or of what tasks share last."""

from __future__ import annotations

from typing import Any

from scalarize.learners.recipe import Recipe
from scalarize.methods import Method, Needs
from scalarize.utils.errors import RequestError


def of(model: Any, method: Method, recipe: Recipe) -> str:
    """Return ``parameters`` or ``representation``.

    Args:
        model: ``common`` is False if some of what tasks share lies past what ``encode`` returns, ``by_domain`` is True
            if each domain is passed through alone; either way there is no common representation.
        method: its own choice of the levels that it can use comes first.
        recipe: its ``level``, if it asks for one.

    Raises:
        RequestError: the model has no common representation, and the method or the recipe needs one.
    """
    if method.has_view and "sharing" in recipe.model:
        raise RequestError(
            f"{method.name} turns one representation for each task: it needs `settings` model.sharing=hard"
        )
    if method.needs <= Needs.LOSSES:
        return "parameters"
    asked = recipe.level or method.levels[0]
    if asked == "parameters" or (getattr(model, "common", True) and not getattr(model, "by_domain", False)):
        return asked
    if recipe.level is None and "parameters" in method.levels:
        return "parameters"
    raise RequestError(
        f"`settings` level=representation: tasks have no representation in common with model.sharing="
        f"{recipe.model.get('sharing')}: use level=parameters"
    )
