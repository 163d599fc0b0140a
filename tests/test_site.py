"""The pages that the documentation site generates: methods with their options and cost, docstrings as Markdown."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

from scalarize import methods
from scripts import load

pytest.importorskip("mkdocs")


DOCSTRING = """Scale ``weights``, see :func:`~scalarize.weights.simplex.project`.

Args:
    weights: numbers >= 0,
        shape (T,).

Returns:
    A point.

>>> scale([1, 3])
[0.25, 0.75]
"""
PAGE = """Scale `weights`, see `project`.

**Args**

- `weights`: numbers >= 0,
shape (T,).

**Returns**

A point.

```pycon
>>> scale([1, 3])
[0.25, 0.75]
```"""


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    return load("docs/hooks.py")


def test_a_docstring_becomes_markdown(hooks: ModuleType) -> None:
    assert hooks.markdown(DOCSTRING.rstrip()) == PAGE


def test_every_public_name_of_the_python_page_exists_and_is_described(hooks: ModuleType) -> None:
    for module, names in hooks.PUBLIC.items():
        found = importlib.import_module(module)
        assert all(getattr(found, name).__doc__ for name in names), module


def test_a_page_for_every_method_holds_what_it_declares(hooks: ModuleType) -> None:
    pages = hooks._methods()
    assert set(pages) == {f"methods/{name}.md" for name in (*methods.names(), "index")}
    for name in methods.names():
        page, m = pages[f"methods/{name}.md"], methods.get(name)
        assert "**Cost.** " in page
        assert "**Fails.** " in page
        assert m.paper in page
        assert all(f"| `{key}` | `{value!r}` |" in page for key, value in m.defaults().items())
        assert all(f"| `{key}` | required |" in page for key in m.requires)
        assert "MISSING" not in page
        assert f"[{name}]({name}.md)" in pages["methods/index.md"]
