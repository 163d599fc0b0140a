"""Search algorithms by name. An algorithm registers itself by being defined in a file of ``search/algorithms``."""

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
    """Register a search algorithm under its name; use it as a decorator of the class.

    Args:
        cls: a subclass of :class:`~scalarize.search.algorithms.base.Algorithm` with a ``name``.

    Returns:
        The class.

    Raises:
        RequestError: the name is taken.

    >>> register(get("pbt"))
    Traceback (most recent call last):
        ...
    scalarize.utils.errors.RequestError: two search algorithms are named 'pbt'
    """
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
    """Return the names of all search algorithms, sorted.

    >>> "pbt" in names()
    True
    """
    _discover()
    return sorted(_ALGORITHMS)


def get(name: str) -> type[Algorithm]:
    """Return the class of a search algorithm.

    Args:
        name: its name.

    Returns:
        The class, a subclass of :class:`~scalarize.search.algorithms.base.Algorithm`.

    Raises:
        RequestError: the name is unknown; the message suggests the nearest one.

    >>> get("pbt").__name__
    'PBT'
    """
    _discover()
    if name not in _ALGORITHMS:
        raise unknown_name_error("search algorithm", name, _ALGORITHMS)
    return _ALGORITHMS[name]


def create(name: str, setting: Setting, **hyper: Any) -> Algorithm:
    """Make a search algorithm at its beginning.

    Args:
        name: its name, one of :func:`names`.
        setting: the settings that all algorithms share.
        **hyper: its hyper-parameters. Default: those of its paper.

    Returns:
        The algorithm, which has asked for nothing yet.

    Raises:
        RequestError: the name or a hyper-parameter is unknown, a value is of a wrong kind, the algorithm cannot
            search this setting, or a package that it needs is not installed.

    >>> from scalarize.search.space import Space
    >>> create("pbt", Setting(Space(("a", "b")), epochs=8), resample=0.25).hyper
    {'factors': (0.8, 1.2), 'resample': 0.25}
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
