"""Methods by name. A method registers itself by being defined in a file of one of the three family folders."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import pkgutil
from typing import Any, TypeVar, Unpack, cast

from scalarize.methods.base import Method
from scalarize.methods.hyper import Hyper
from scalarize.utils.errors import RequestError, unknown_name_error

FAMILIES = ("scalarization", "loss_based", "gradient_based")
_METHODS: dict[str, type[Method]] = {}
M = TypeVar("M", bound=type[Method])


def register(cls: M) -> M:
    """Make a method known under its name; a class decorator.

    Args:
        cls: a dataclass derived from :class:`~scalarize.methods.base.Method`.

    Returns:
        ``cls`` itself.

    Raises:
        RequestError: another method has that name.

    >>> register(get("mgda"))
    Traceback (most recent call last):
    ...
    scalarize.utils.errors.RequestError: two methods are named 'mgda'
    """
    if cls.name in _METHODS:
        raise RequestError(f"two methods are named {cls.name!r}")
    _METHODS[cls.name] = cls
    return cls


@functools.cache
def _discover() -> None:
    for family in FAMILIES:
        package = importlib.import_module(f"scalarize.methods.{family}")
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")


def names() -> list[str]:
    """List the registered methods.

    Returns:
        All names, sorted.

    >>> "pcgrad" in names()
    True
    """
    _discover()
    return sorted(_METHODS)


def get(name: str) -> type[Method]:
    """Look up the class of a method.

    Args:
        name: one of :func:`names`.

    Returns:
        The class registered under that name; its fields are the hyper-parameters.

    Raises:
        RequestError: there is no such method; the nearest name is given.

    >>> get("cagrad").defaults()["c"]
    0.4
    """
    _discover()
    if name not in _METHODS:
        raise unknown_name_error("method", name, _METHODS)
    return _METHODS[name]


def create(name: str, **hyper: Unpack[Hyper]) -> Method:
    """Make a fresh method.

    Args:
        name: one of :func:`names`.
        **hyper: its hyper-parameters, in the units of its docstring. Default: those of its paper.

    Returns:
        The method, which has seen nothing yet.

    Raises:
        RequestError: the name is unknown, the method does not have such a hyper-parameter, refuses its value, or
            requires one that is missing.

    >>> create("cagrad", c=0.5).hyper
    {'c': 0.5, 'rescale': 'none', 'times_tasks': False, 'preference': None}
    """
    cls = get(name)
    known = [f.name for f in dataclasses.fields(cls)]
    for key in hyper:
        if key not in known:
            raise unknown_name_error("hyper-parameter", key, known, where=f" of method {name!r}")
    for key in cls.requires:
        if key not in hyper:
            raise RequestError(f"method {name!r} needs {key}=")
    return cls(**cast(dict[str, Any], hyper))
