"""Recipe numbers that are searched beside the weights: every value of a range can be trained, and has an effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from scalarize.learners.recipe import Recipe
from scalarize.runs import effects
from scalarize.runs.build import PreparedRun
from scalarize.search.space import Range, parse_also
from scalarize.utils.errors import RequestError
from scalarize.utils.seeds import fork_rng

ENDS = ("low", "middle", "high")
OF_ALL = {
    "epochs": "the members of a search train equally long",
    "patience": "the members of a search train equally long",
    "threads": "the threads of a member decide its speed alone",
    "data": "data are read once, before the search",
}


def ranges(also: tuple[str, ...], prepared: PreparedRun, inherits: bool) -> dict[str, Range]:
    """Read what is searched beside the weights.

    Args:
        also: ``KEY=log:LOW:HIGH`` or ``KEY=lin:LOW:HIGH`` each.
        prepared: the search's problem.
        inherits: True if a member goes on from another one's state, whose model must then be of the same parts.

    Returns:
        Ranges by key; each begins at the recipe's own value if that lies inside.

    Raises:
        RequestError: a key is unknown or has no effect in a search, a value cannot be used, or the parts of the model
            depend on it and members inherit.
    """
    recipe, found = prepared.recipe, parse_also(also)
    for key in found:
        why = OF_ALL.get(key.partition(".")[0])
        if why is not None:
            raise RequestError(f"`also` {key}: cannot be searched: {why}")
    try:
        at = {end: recipe.with_numbers({key: getattr(wanted, end) for key, wanted in found.items()}) for end in ENDS}
        effects.check(found, recipe, prepared.workload.kind)
    except RequestError as error:
        raise RequestError(f"`also`: {str(error).removeprefix('`settings` ')}") from None
    if inherits and any(key.startswith("model.") for key in found):
        _check_models(prepared, at, [key for key in found if key.startswith("model.")])
    own = {key: recipe.value(key) for key in found}
    inside = {key for key, w in found.items() if isinstance(own[key], int | float) and w.low <= own[key] <= w.high}
    return {key: replace(w, start=float(own[key])) if key in inside else w for key, w in found.items()}


def _check_models(prepared: PreparedRun, at: Mapping[str, Recipe], keys: Sequence[str]) -> None:
    """Raise RequestError if the models at the ends of the ranges do not have the same parts."""
    with fork_rng(0):
        parts = [{k: v.shape for k, v in prepared.model(at[end]).state_dict().items()} for end in ENDS]
    if any(other != parts[0] for other in parts):
        raise RequestError(
            f"`also` {', '.join(keys)}: the model has other parts at one end of the range than at the other, and "
            "members go on from each other's state: choose a range in which its parts stay the same (dropout above "
            "0), or an algorithm whose members each train alone, such as random"
        )
