"""Methods by name. A method registers itself by being defined in a file of one of the three family folders."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import pkgutil
from typing import Any, TypeVar

from scalarize.methods.base import Method
from scalarize.utils.errors import RequestError, unknown_name_error

FAMILIES = ("scalarization", "loss_based", "gradient_based")
_METHODS: dict[str, type[Method]] = {}
M = TypeVar("M", bound=type[Method])


def register(cls: M) -> M:
    """Class decorator: make ``cls`` known under ``cls.name``."""
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
    """All registered names, sorted."""
    _discover()
    return sorted(_METHODS)


def get(name: str) -> type[Method]:
    """The class registered as ``name``. Raises RequestError naming the nearest one."""
    _discover()
    if name not in _METHODS:
        raise unknown_name_error("method", name, _METHODS)
    return _METHODS[name]


def create(name: str, **hyper: Any) -> Method:
    """A fresh method with the given hyper-parameters (defaults: its paper's).

    >>> create("uniform").name
    'uniform'
    """
    cls = get(name)
    known = [f.name for f in dataclasses.fields(cls)]
    for key in hyper:
        if key not in known:
            raise unknown_name_error("hyper-parameter", key, known, where=f" of method {name!r}")
    for key in cls.requires:
        if key not in hyper:
            raise RequestError(f"method {name!r} needs {key}=")
    return cls(**hyper)
