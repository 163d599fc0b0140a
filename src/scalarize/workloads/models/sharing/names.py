"""Names of the architectures, their settings, and those that suit an encoder; without the networks themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scalarize.learners.recipe import Recipe
from scalarize.utils.errors import RequestError, unknown_name_error

HARD = "hard"
OPTIONS: dict[str, tuple[str, ...]] = {  # architecture -> settings that it reads, below ``model.``
    HARD: (),
    "cross-stitch": (),
    "mmoe": ("experts",),
    "cgc": ("experts", "own_experts"),
    "ple": ("experts", "own_experts"),
    "dselect-k": ("experts", "selected"),
    "mtan": (),
    "ltb": (),
    "adatt": ("own_experts",),
}
NAMES = tuple(OPTIONS)
ALL = NAMES  # suit an encoder of convolutions
VECTORS = tuple(name for name in NAMES if name != "mtan")  # suit one without maps
ONE = (HARD,)  # of an encoder that cannot be taken apart
SETTINGS: dict[str, Any] = {"sharing": HARD, "experts": None, "own_experts": None, "selected": None}
MOST = 1024  # experts


def override(recipe: Recipe, changes: Mapping[str, Any], suited: tuple[str, ...], where: str) -> Recipe:
    """Return a recipe with some values replaced, those of the architecture among them.

    What is left at its default does not appear in the recipe: with hard sharing it is as it was before there was a
    choice.

    Args:
        recipe: of the workload.
        changes: values by dotted key, see :meth:`Recipe.override`; ``model.sharing``, ``model.experts``,
            ``model.own_experts`` and ``model.selected`` too.
        suited: architectures that suit the workload's encoder.
        where: name of the workload.

    Raises:
        RequestError: a key is unknown, a value is wrong, the architecture does not suit the encoder, or it does not
            read a setting.

    >>> override(Recipe(), {"model.sharing": "ple"}, VECTORS, "table").model
    {'sharing': 'ple'}
    """
    given = {**SETTINGS, **recipe.model}
    found = recipe.model_copy(update={"model": given}).override(changes)
    _check(found.model, suited, where)
    kept = {k: v for k, v in found.model.items() if k not in SETTINGS or v != SETTINGS[k]}
    return found.model_copy(update={"model": kept})


def read_by(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without those that only other architectures read.

    >>> read_by("adatt", {"epochs": 3, "model.experts": 8, "model.own_experts": 2})
    {'epochs': 3, 'model.own_experts': 2}
    """
    others = {f"model.{key}" for keys in OPTIONS.values() for key in keys} - {
        f"model.{key}" for key in OPTIONS.get(name, ())
    }
    return {key: value for key, value in settings.items() if key not in others}


def _check(model: Mapping[str, Any], suited: tuple[str, ...], where: str) -> None:
    name = model["sharing"]
    if name not in NAMES:
        raise _unknown(name)
    for key in ("experts", "own_experts", "selected"):
        value = model[key]
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
            raise RequestError(f"`settings` model.{key}={value}: expected a whole number from 1 to {MOST}")
        if key not in OPTIONS[name]:
            read_by = ", ".join(n for n, keys in OPTIONS.items() if key in keys)
            raise RequestError(
                f"`settings` model.{key}: has no effect with model.sharing={name}; it is read by {read_by}"
            )
    if name not in suited:
        raise RequestError(
            f"`settings` model.sharing={name}: does not suit the encoder of {where}, which {', '.join(suited)} "
            f"{'suits' if len(suited) == 1 else 'suit'}"
        )


def _unknown(name: str) -> RequestError:
    hint = unknown_name_error("architecture", name, NAMES)
    return RequestError(f"{hint} (`settings` model.sharing is one of {', '.join(NAMES)})")
