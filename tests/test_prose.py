"""Docstrings open with a verb or a noun phrase, as PEP 257 asks, not with a question word."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import scalarize

ROOT = Path(scalarize.__file__).parent
PACKAGES = sorted(p.name for p in ROOT.iterdir() if (p / "__init__.py").exists())
LATER = ("search/mixture/", "cli/mixture.py")  # at work in another branch
WHERE = re.compile(r"\bRaises? \w+ where\b|\bNone where\b")
QUESTIONS = {"How", "What", "Whatever", "When", "Where", "Whether", "Which", "Who", "Whose", "Why"}


def docstrings(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the place and the docstring of a module, and of each of its classes and functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield f"{path.relative_to(ROOT)}: {getattr(node, 'name', 'module')}", text


def opens_with_a_question(text: str) -> bool:
    return text.split()[0].strip(".,:;").removesuffix("'s") in QUESTIONS


@pytest.mark.parametrize("package", PACKAGES)
def test_no_docstring_opens_with_a_question_word_or_says_where_for_if(package: str) -> None:
    paths = [p for p in sorted((ROOT / package).rglob("*.py")) if not p.relative_to(ROOT).as_posix().startswith(LATER)]
    assert paths
    found = [place for path in paths for place, text in docstrings(path) if opens_with_a_question(text)]
    assert not found
    found = [place for path in paths for place, text in docstrings(path) if WHERE.search(text)]
    assert not found, "a condition begins with 'if'"


def test_an_opener_is_seen() -> None:
    assert opens_with_a_question("What a run found.")
    assert opens_with_a_question("Whether it is there.")
    assert not opens_with_a_question("Whereabouts of a file.")
    assert not opens_with_a_question("Return what a run found.")
    assert WHERE.search("Raises RunError where it is full.")
