"""Names and settings of the networks for a whole front, without the networks themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scalarize.learners.recipe import Recipe
from scalarize.utils.errors import RequestError, unknown_name_error

FRONT = "front"
OPTIONS: dict[str, dict[str, Any]] = {  # network -> its settings below ``model.``, with their defaults
    "palora": {"front_concentration": 1.0, "front_rank": 1},
    "phn": {"front_concentration": 1.0, "front_width": 100},
}
ALL = tuple(dict.fromkeys(key for options in OPTIONS.values() for key in options))
MOST = {"front_rank": 256, "front_width": 4096}


def override(recipe: Recipe, changes: Mapping[str, Any]) -> tuple[Recipe, dict[str, Any]]:
    """Take the settings of a front out of changes of a recipe.

    Args:
        recipe: of a workload.
        changes: values by dotted key; of ``model.front`` and the settings that it reads, any may be there.

    Returns:
        The recipe with these settings, complete, as part of ``model``: without ``model.front`` it is as it was. And the
        other changes.

    Raises:
        RequestError: the network is unknown, a value is wrong, or a setting is not read.

    >>> override(Recipe(), {"model.front": "palora", "epochs": 3})[0].model
    {'front': 'palora', 'front_concentration': 1.0, 'front_rank': 1}
    """
    own = {key: changes[f"model.{key}"] for key in (FRONT, *ALL) if f"model.{key}" in changes}
    others = {key: value for key, value in changes.items() if key.removeprefix("model.") not in own}
    if not own:
        return recipe, others
    name = own.pop(FRONT, None)
    if name is None:
        raise RequestError(f"`settings` model.{next(iter(own))}: has no effect without model.{FRONT}")
    if name not in OPTIONS:
        hint = unknown_name_error("network for a front", str(name), OPTIONS)
        raise RequestError(f"{hint} (`settings` model.{FRONT} is one of {', '.join(OPTIONS)})")
    for key, value in own.items():
        if key not in OPTIONS[name]:
            raise RequestError(f"`settings` model.{key}: has no effect with model.{FRONT}={name}")
        own[key] = _checked(key, value)
    complete = dict(recipe.model) | {FRONT: name} | OPTIONS[name] | own
    return recipe.model_copy(update={"model": complete}), others


def _checked(key: str, value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if key in MOST:
        if not (number and float(value).is_integer() and 1 <= value <= MOST[key]):
            raise RequestError(f"`settings` model.{key}={value}: expected a whole number from 1 to {MOST[key]}")
        return int(value)
    if not (number and 0 < value < float("inf")):
        raise RequestError(f"`settings` model.{key}={value}: expected a number above 0")
    return float(value)


def plain(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of a model without those of a front.

    >>> plain({"width": 3, "front": "phn", "front_width": 9})
    {'width': 3}
    """
    return {key: value for key, value in model.items() if key != FRONT and key not in ALL}
