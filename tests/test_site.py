"""The pages that the documentation site generates: every method's own words, options and cost are on its page."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from scalarize import methods

pytest.importorskip("mkdocs")


def test_a_page_for_every_method_holds_what_it_declares() -> None:
    spec = importlib.util.spec_from_file_location("hooks", Path(__file__).parents[1] / "docs" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
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
