"""README and docs/architecture.md list the packages of ``src/scalarize`` and their imports as they are."""

from __future__ import annotations

import re

import pytest

from test_layers import IMPORTS, ROOT, packages

PROJECT = ROOT.parents[1]


def listed(text: str) -> dict[str, str]:
    """Package -> the words beside it, in the block of README that begins with ``src/scalarize/``."""
    block = text.partition("```\nsrc/scalarize/\n")[2].partition("```")[0]
    return dict(re.findall(r"^  (\w+)/ +(\S.*)$", block, flags=re.MULTILINE))


def rows(text: str) -> list[list[str]]:
    """Cells of the rows of a table whose first cell is a package."""
    found = re.findall(r"^\| `(\w+)/` \|(.*)\|$", text, flags=re.MULTILINE)
    return [[name, *(cell.strip() for cell in rest.split("|"))] for name, rest in found]


def test_readme_lists_every_package_once() -> None:
    found = listed((PROJECT / "README.md").read_text())
    assert sorted(found) == packages()
    assert all(found.values())


def test_the_page_on_architecture_lists_every_package_and_what_it_imports() -> None:
    found = {name: (words, imports) for name, words, imports in rows((PROJECT / "docs/architecture.md").read_text())}
    assert sorted(found) == packages()
    for name, (words, imports) in found.items():
        assert words
        if name == "cli":
            assert imports == "any"
        else:
            assert set(re.findall(r"\w+", imports.replace("(types only)", ""))) == IMPORTS[name], name


def test_both_say_the_same_of_a_package() -> None:
    readme = listed((PROJECT / "README.md").read_text())
    page = {name: words for name, words, _ in rows((PROJECT / "docs/architecture.md").read_text())}
    assert {k: v.replace("`", "") for k, v in readme.items()} == {k: v.replace("`", "") for k, v in page.items()}


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md", "CONTRIBUTING.md"])
def test_files_that_a_page_names_are_there(page: str) -> None:
    named = set(
        re.findall(
            r"`((?:src/scalarize/|tests/|results/|benchmarks/|examples/|docs/)?[\w/]+\.(?:py|md))`",
            (PROJECT / page).read_text(),
        )
    )
    roots = (PROJECT, ROOT, PROJECT / "examples")
    assert {name for name in named if not any((root / name).exists() for root in roots)} == set()


def test_no_file_is_longer_than_a_reader_holds_in_mind() -> None:
    files = [path for path in ROOT.rglob("*") if path.suffix in (".py", ".js", ".css", ".html")]
    assert {p.relative_to(ROOT).as_posix() for p in files if p.read_text().count("\n") > 250} == set()
