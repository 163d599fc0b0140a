"""Search algorithms by name. One registers itself by being defined in a file of ``search/algorithms``."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from typing import Any, TypeVar

from scalarize.search.algorithms.base import Algorithm, Setting
from scalarize.utils import optional
from scalarize.utils.errors import RequestError, unknown_name_error

_ALGORITHMS: dict[str, type[Algorithm]] = {}
A = TypeVar("A", bound=type[Algorithm])


def register(cls: A) -> A:
    """Class decorator: make ``cls`` known under ``cls.name``."""
    if cls.name in _ALGORITHMS:
        raise RequestError(f"two search algorithms are named {cls.name!r}")
    _ALGORITHMS[cls.name] = cls
    return cls


@functools.cache
def _discover() -> None:
    package = importlib.import_module("scalarize.search.algorithms")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


def names() -> list[str]:
    """All registered names, sorted."""
    _discover()
    return sorted(_ALGORITHMS)


def get(name: str) -> type[Algorithm]:
    """The class registered as ``name``. Raises RequestError naming the nearest one."""
    _discover()
    if name not in _ALGORITHMS:
        raise unknown_name_error("search algorithm", name, _ALGORITHMS)
    return _ALGORITHMS[name]


def create(name: str, setting: Setting, **hyper: Any) -> Algorithm:
    """An algorithm at its beginning, with the given hyper-parameters.

    Raises RequestError for an unknown name, an unknown hyper-parameter, a value of a wrong kind, a setting that it
    cannot search, or a package that it needs and that is not installed.
    """
    cls = get(name)
    for key in hyper:
        if key not in cls.hyper_names():
            raise unknown_name_error("hyper-parameter", key, cls.hyper_names(), where=f" of search algorithm {name!r}")
    if lacking := optional.absent(cls.packages):
        raise RequestError(f"search algorithm {name!r} {lacking}")
    try:
        return cls(setting=setting, **hyper)
    except (TypeError, OverflowError) as error:
        given = ", ".join(f"{key}={value!r}" for key, value in hyper.items())
        raise RequestError(f"hyper-parameters of search algorithm {name!r}: {given}: {error}") from None
