"""States of learners: can they be read back, do recipe numbers and epochs hold, are two the same?"""

from __future__ import annotations

import collections
import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from scalarize.utils.errors import RequestError

_PLAIN = (str, int, float, bool, complex, bytes, type(None))
ROUNDING = 1e-4  # relative; sums in another order, on a GPU, are the same training
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


def copied(value: Any) -> Any:
    """Return a state that later training cannot change: optimisers go on in the tensors that they were given."""
    if isinstance(value, Mapping):
        return {key: copied(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [copied(inner) for inner in value]
    return value.detach().clone() if hasattr(value, "detach") else value


def same(a: Any, b: Any, exactly: bool = False, but: tuple[str, ...] = ()) -> bool:
    """Return True if two states hold the same numbers, up to rounding unless ``exactly``."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return set(a) == set(b) and all(key in but or same(a[key], b[key], exactly) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same(x, y, exactly) for x, y in zip(a, b, strict=True))
    if _is_array(a) and _is_array(b):
        x, y = _array(a), _array(b)
        if x.shape != y.shape:
            return False
        size = float(np.abs(x[np.isfinite(x)]).max(initial=0.0)) if x.size else 0.0
        return bool(np.allclose(x, y, rtol=0, atol=0 if exactly else ROUNDING * size, equal_nan=True))
    return bool(a == b)


def _is_array(value: Any) -> bool:
    return not isinstance(value, bool | str | bytes) and (hasattr(value, "shape") or isinstance(value, int | float))


def _array(value: Any) -> np.ndarray[Any, Any]:
    if hasattr(value, "detach"):
        dense = value.detach().cpu()
        value = (dense.to_dense() if dense.is_sparse else dense).to(dtype=_double(dense)).numpy()
    return np.asarray(value, dtype=np.complex128 if np.iscomplexobj(value) else np.float64)


def _double(tensor: Any) -> Any:
    import torch

    return torch.complex128 if tensor.is_complex() else torch.float64
