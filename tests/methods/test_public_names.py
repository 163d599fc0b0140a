"""What an editor and a type checker know of the methods is what the registered methods declare."""

from __future__ import annotations

import inspect
import sys
import types
import typing
from pathlib import Path

import pytest

from scalarize import Balancer, methods

sys.path.insert(0, str(Path(__file__).parent))
import hyper_parameters


def parts(kind: object) -> set[object]:
    """The members of a union, or the type itself."""
    return set(typing.get_args(kind)) if isinstance(kind, types.UnionType) else {kind}


@pytest.fixture(scope="module")
def declared() -> dict[str, set[object]]:
    """Hyper-parameter -> the types that the methods' classes give it."""
    found: dict[str, set[object]] = {}
    for cls in map(methods.get, methods.names()):
        known = typing.get_type_hints(cls)
        for key in inspect.signature(cls).parameters:
            found.setdefault(key, set()).update(parts(known[key]))
    return found


def test_the_keywords_are_the_hyper_parameters_with_their_types(declared: dict[str, set[object]]) -> None:
    assert {key: parts(kind) for key, kind in typing.get_type_hints(methods.Hyper).items()} == declared


def test_the_generated_file_is_up_to_date() -> None:
    assert hyper_parameters.FILE.read_text() == hyper_parameters.source(), f"run python {hyper_parameters.__file__}"


def test_no_hyper_parameter_hides_behind_an_argument_of_the_balancer(declared: dict[str, set[object]]) -> None:
    own = inspect.signature(Balancer).parameters
    assert set(declared).isdisjoint(own)
    assert own["hyper"].kind is inspect.Parameter.VAR_KEYWORD


@pytest.mark.parametrize("name", methods.names())
def test_every_registered_method_is_exported_as_its_class(name: str) -> None:
    cls = methods.get(name)
    assert getattr(methods, cls.__name__) is cls
    assert cls.__name__ in methods.__all__


def test_every_public_name_is_there() -> None:
    import scalarize
    from scalarize import search

    for module in (scalarize, methods, search):
        assert len(set(module.__all__)) == len(module.__all__)
        assert set(module.__all__) <= set(dir(module))
        for name in module.__all__:
            assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="Balancr"):
        getattr(scalarize, "Balancr")  # noqa: B009


def test_search_is_a_package_and_is_called() -> None:
    import scalarize
    from scalarize.search.entry import search

    assert inspect.ismodule(scalarize.search)
    assert inspect.signature(scalarize.search) == inspect.signature(search)
