"""Every public function says its arguments, its result and shows an example; ``make test`` runs the examples."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import scalarize
from scalarize import methods, search

WEIGHTS = ("scalarize.weights.simplex", "scalarize.weights.policy", "scalarize.weights.segment")
Item = tuple[str, Any]


def public(module: Any) -> list[Item]:
    """Return the public functions and classes of a module by name."""
    own = [n for n, x in vars(module).items() if getattr(x, "__module__", "") == module.__name__ and n[0] != "_"]
    names = getattr(module, "__all__", own)
    found = [(f"{module.__name__}.{n}", getattr(module, n)) for n in names]
    return [(n, x) for n, x in found if inspect.isfunction(x) or inspect.isclass(x)]


def members(cls: type) -> Iterator[Item]:
    """Yield the public methods of a class, inherited ones of this package too; the first definition speaks for all."""
    for name in (n for n in dir(cls) if not n.startswith("_")):
        if len([base for base in cls.__mro__ if name in vars(base)]) > 1:
            continue
        found = inspect.getattr_static(cls, name)
        function = found.__func__ if isinstance(found, classmethod | staticmethod) else found
        if inspect.isfunction(function) and function.__module__.startswith("scalarize.") and function.__doc__:
            yield f"{cls.__name__}.{name}", function


PAGES = [scalarize, methods, search, *map(importlib.import_module, WEIGHTS)]
NAMED = {name: thing for page in PAGES for name, thing in public(page)}
FUNCTIONS = {name: x for name, x in NAMED.items() if inspect.isfunction(x)}
CLASSES = {name: x for name, x in NAMED.items() if inspect.isclass(x)}
METHODS = {name: x for cls in CLASSES.values() for name, x in members(cls)}


def parameters(function: Callable[..., Any]) -> list[str]:
    return [p for p in inspect.signature(function).parameters if p not in ("self", "cls")]


def gaps(function: Callable[..., Any]) -> list[str]:
    """Return the sections and arguments that a function's docstring lacks."""
    text = inspect.getdoc(function) or ""
    wanted = parameters(function)
    lacking = [
        s for s, needed in (("Args:", bool(wanted)), ("Returns:", returns(function))) if needed and s not in text
    ]
    if not lacking:
        lacking = [p for p in wanted if f"    {p}: " not in text and f"    **{p}: " not in text]
    return lacking


def returns(function: Callable[..., Any]) -> bool:
    """Return True if a function returns something, unless "Return ..." in its first line says all of it."""
    answer = inspect.signature(function).return_annotation
    opener = (inspect.getdoc(function) or "").split(" ")[0]
    return answer not in ("None", None) and not (opener == "Return" and not parameters(function))


def fields(cls: type) -> list[str]:
    """Return the arguments with which users make an instance."""
    if dataclasses.is_dataclass(cls):
        return [f.name for f in dataclasses.fields(cls) if f.init]
    return [] if "__init__" not in vars(cls) or getattr(cls, "_is_protocol", False) else parameters(cls)


@pytest.mark.parametrize("name", sorted(FUNCTIONS | METHODS))
def test_a_public_function_says_arguments_and_result(name: str) -> None:
    assert not gaps((FUNCTIONS | METHODS)[name])


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_public_class_says_its_arguments(name: str) -> None:
    text = inspect.getdoc(CLASSES[name]) or ""
    assert text
    assert not [f for f in fields(CLASSES[name]) if f"    {f}: " not in text and f"    **{f}: " not in text]


BALANCER = {f"Balancer.{n.partition('.')[2]}": f for n, f in members(scalarize.Balancer)}


@pytest.mark.parametrize("name", sorted(FUNCTIONS | BALANCER))
def test_a_public_function_shows_an_example(name: str) -> None:
    assert ">>> " in (inspect.getdoc((FUNCTIONS | BALANCER)[name]) or "")


def test_gaps_are_seen() -> None:
    def silent(x: int) -> int:
        """Return something."""
        return x

    def half(x: int, y: int) -> int:
        """Add.

        Args:
            x: a number.

        Returns:
            The sum.
        """
        return x + y

    assert gaps(silent) == ["Args:", "Returns:"]
    assert gaps(half) == ["y"]
    assert {"Balancer.backward", "Balancer.state_dict", "Method.weigh", "Policy.stretch"} <= set(METHODS)
