"""Preferences: one number per task that says how much it matters, as several methods take them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.evidence import Needs, State
from scalarize.methods.gram import Array
from scalarize.utils.errors import RequestError, unknown_name_error

KEY = "preference"  # the hyper-parameter, and the entry of the state
MAIN = "primary"  # the hyper-parameter that is the position of one task


def by_name(value: Any, names: Sequence[str]) -> list[float] | None:
    """Put a preference into the order of the tasks.

    Args:
        value: ``"a=0.2,b=0.8"``, a mapping of names to numbers, or numbers in the order of ``names``; None for none.
        names: the tasks.

    Returns:
        One number per task, None if there is no preference.

    Raises:
        RequestError: a task is unknown (the nearest is named), unnamed or named twice, there are not T numbers, one is
            negative or not finite, or all are 0.

    >>> by_name("b=0.8,a=0.2", ["a", "b"])
    [0.2, 0.8]
    """
    if value is None:
        return None
    named = _parsed(value) if isinstance(value, str) else value
    if isinstance(named, Mapping):
        for name in named:
            if name not in names:
                raise unknown_name_error("task", str(name), names, where=f" in {KEY}")
        for name in names:
            if name not in named:
                raise RequestError(f"{KEY}: {name!r} is not named; name all of {', '.join(names)}")
        named = [named[name] for name in names]
    return checked(named, len(names))


def position(value: Any, names: Sequence[str]) -> Any:
    """Put the position in the place of a task's name.

    Args:
        value: a name, or a position, which is returned as it is.
        names: the tasks.

    Returns:
        The position, from 0.

    Raises:
        RequestError: there is no such task; the nearest is named.

    >>> position("b", ["a", "b"])
    1
    """
    if not isinstance(value, str):
        return value
    if value not in names:
        raise unknown_name_error("task", value, names, where=f" in {MAIN}")
    return list(names).index(value)


def _parsed(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, number = part.strip().rpartition("=")
        try:
            value = float(number)
        except ValueError:
            equals = ""
        if not equals or not name.strip():
            raise RequestError(f"{KEY}: {part.strip()!r} is not NAME=NUMBER, as in {KEY}=a=0.2,b=0.8")
        if name.strip() in found:
            raise RequestError(f"{KEY} names {name.strip()!r} twice")
        found[name.strip()] = value
    return found


def checked(values: Any, n_tasks: int | None = None) -> list[float]:
    """Check the numbers of a preference.

    Args:
        values: the numbers, in the order of the tasks.
        n_tasks: how many there must be. Default: any number.

    Returns:
        The numbers.

    Raises:
        RequestError: they are no numbers >= 0 of which one is above 0, or not as many as there are tasks.

    >>> checked([1, 3])
    [1.0, 3.0]
    """
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise RequestError(f"{KEY} must be a list of numbers, one per task, got {values!r}")
    if not all(isinstance(x, int | float) and not isinstance(x, bool) for x in values):
        raise RequestError(f"{KEY} must be numbers, one per task, got {list(values)}")
    found = [float(x) for x in values]
    if not all(math.isfinite(x) and x >= 0 for x in found) or not any(found) or not math.isfinite(sum(found)):
        raise RequestError(f"{KEY} must be finite, >= 0 and not all 0, got {found}")
    if n_tasks is not None and len(found) != n_tasks:
        raise RequestError(f"{KEY} has {len(found)} entries for {n_tasks} tasks")
    return found


def check(method: Method) -> None:
    """Raise RequestError if the hyper-parameter ``preference`` is given and no such numbers."""
    if getattr(method, KEY) is not None:
        checked(getattr(method, KEY))


def entry(method: Method, n_tasks: int) -> State:
    """Return the state's entry ``preference`` (T,), of sum 1; nothing if the method was given none.

    Raises:
        RequestError: the method's preference has another number of entries.
    """
    if getattr(method, KEY) is None:
        return {}
    values = torch.tensor(checked(getattr(method, KEY), n_tasks), dtype=torch.float64)
    return {KEY: values / values.sum()}


def shares(state: State, n_tasks: int, total: float = 1.0) -> Array:
    """Return the preference among the tasks of this step (T,), of sum ``total``: ``total / T`` each if none was given.

    Zeros if the preference of all tasks of the step is 0.
    """
    if KEY not in state:
        return np.full(n_tasks, total / n_tasks)
    given = state[KEY].detach().double().cpu().numpy()
    return np.asarray(given * (total / (given.sum() or 1.0)))


def tensor_shares(state: State, like: Tensor) -> Tensor:
    """Return :func:`shares` in the dtype and on the device of ``like`` (T,)."""
    return torch.from_numpy(shares(state, like.numel())).to(like)


def drawn_into(method: Method) -> str | None:
    """Return the entry of the method's state that holds a preference drawn in each step; None if there is none.

    Of a method without hyper-parameters whose weights are constant, these are it.
    """
    if KEY in type(method).defaults():
        return KEY
    constant = method.needs == Needs.NOTHING and not method.hyper and set(method.init(2)) == {"weights"}
    return "weights" if constant else None
