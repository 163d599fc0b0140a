"""States of learners: can they be read back, do recipe numbers and epochs hold?"""

from __future__ import annotations

import collections
import io
from collections.abc import Mapping
from typing import Any

from scalarize.utils.errors import RequestError

_PLAIN = (str, int, float, bool, complex, bytes, type(None))
SEARCHED = ("lr", "weight_decay", "momentum", "dampening", "eps", "alpha", "rho")  # what groups of optimisers hold


def check(state: Any) -> dict[str, Any]:
    """Check that a learner's state can be stored, and read back without running code from it.

    Args:
        state: what its ``state_dict`` returned.

    Returns:
        The state.

    Raises:
        RequestError: it is no dict, or holds something else than plain types and tensors, whose key is named.

    >>> check({"epoch": 3})
    {'epoch': 3}
    >>> check({"epoch": 3, "path": object()})
    Traceback (most recent call last):
        ...
    scalarize.utils.errors.RequestError: the learner's state_dict()['path'] is of type object, which cannot be read \
back safely: keep tensors, numbers, words, lists and dicts there
    """
    if not isinstance(state, dict):
        raise RequestError(f"the learner's state_dict() returned {type(state).__name__}: it must return a dict")
    _walk(state, "state_dict()")
    return state


def _walk(value: Any, where: str) -> None:
    import torch

    if type(value) in _PLAIN or isinstance(value, torch.Tensor):
        return
    if type(value) in (dict, collections.OrderedDict):
        for key, inner in value.items():
            if type(key) not in _PLAIN:
                raise _error(f"{where}, its key {key!r:.60}", key)
            _walk(inner, f"{where}[{key!r}]")
    elif type(value) in (list, tuple):
        for index, inner in enumerate(value):
            _walk(inner, f"{where}[{index}]")
    elif not _is_read_back(value):
        raise _error(where, value)


def _is_read_back(value: Any) -> bool:
    """Try what the list of plain types does not hold: torch reads some more kinds."""
    import torch

    buffer = io.BytesIO()
    try:
        torch.save(value, buffer)
        torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)
    except Exception:  # anything, as both call the value's own code
        return False
    return True


def _error(where: str, value: Any) -> RequestError:
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    return RequestError(
        f"the learner's {where} is of type {name}, which cannot be read back safely: keep tensors, numbers, words, "
        "lists and dicts there"
    )


def check_epoch(after: str, epoch: Any, right: Any) -> None:
    """Check that a learner counts its finished epochs, by which it goes on where another one stopped.

    Raises RequestError that says after what it does not.

    >>> check_epoch("load_state_dict", 0, 2)
    Traceback (most recent call last):
        ...
    scalarize.utils.errors.RequestError: the learner's epoch is 0 after load_state_dict: it must count finished \
epochs, and be restored with the state
    """
    if epoch != right:
        raise RequestError(
            f"the learner's epoch is {epoch!r} after {after}: it must count finished epochs, and be restored with the "
            "state"
        )


def numbers_of(learner: Any, extras: Mapping[str, float]) -> dict[str, tuple[float, ...]]:
    """Return what the learner's optimisers hold of the searched recipe numbers, by key, one a group of parameters."""
    import torch

    found = {}
    optimisers = [value for value in vars(learner).values() if isinstance(value, torch.optim.Optimizer)]
    for key in extras:
        name = key.rpartition(".")[2]
        if name in SEARCHED:
            groups = [group for optimiser in optimisers for group in optimiser.param_groups if name in group]
            found[key] = tuple(float(group[name]) for group in groups)
    return found


def check_numbers(extras: Mapping[str, float], own: Any, restored: Any, trained: Any) -> None:
    """Check that a member trained with its own recipe numbers, not with those of its parent's optimiser.

    Args:
        extras: value by recipe key.
        own: :func:`numbers_of` the fresh learner.
        restored: of the same learner once it had loaded its parent's state.
        trained: of the same learner after its training.

    Raises:
        RequestError: the parent's number was there from the beginning of the training to its end.
    """
    for key, value in extras.items():
        if own.get(key) and restored[key] != own[key] and trained[key] == restored[key]:
            raise RequestError(
                f"the learner trained with {key}={restored[key][0]:g}, its parent's, not with {value:g}: "
                "load_state_dict restores the optimiser whole; set the searched numbers again after that"
            )
