"""The house rules that a reader relies on: imports go one way, and names stay where they belong."""

from __future__ import annotations

import ast
import importlib.machinery
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from scalarize import methods

ROOT = Path(__file__).parents[1] / "src" / "scalarize"

# What each package imports besides itself and `utils`, which is everybody's. The test demands equality: a line that
# nobody uses is a permission that nobody checked. `cli` may import anything.
IMPORTS: dict[str, set[str]] = {
    "utils": set(),
    "weights": set(),
    "tasks": set(),
    "methods": {"weights"},
    "analysis": {"weights"},
    "balancer": {"methods"},
    "integrations": {"balancer"},
    "report": {"analysis"},
    "learners": {"balancer", "methods", "tasks", "weights"},
    "workloads": {"learners", "tasks"},
    "search": {"learners", "weights"},
    "runs": {"analysis", "learners", "methods", "search", "tasks", "weights", "workloads"},
    "studies": {"analysis", "balancer", "learners", "methods", "report", "runs", "tasks", "weights", "workloads"},
}
NO_TORCH = ("analysis/", "report/", "weights/")
ONLY = {"ray": ("search/executors/ray_",), "matplotlib": ("report/",), "plotly": ("report/",)}
STEPPERS = ("balancer/check.py", "integrations/", "learners/")


def sources() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def part(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return relative.parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages() -> list[str]:
    return sorted(path.name for path in ROOT.iterdir() if (path / "__init__.py").exists())


def own_parts(tree: ast.AST) -> set[str]:
    """The packages of scalarize that a file imports."""
    return {name.split(".")[1] for name in imported(tree) if name.startswith("scalarize.")} & set(packages())


def test_every_package_has_its_line() -> None:
    assert {*IMPORTS, "cli"} == set(packages())


@pytest.mark.parametrize("package", IMPORTS)
def test_a_package_imports_what_its_line_says(package: str) -> None:
    found = {part for path in (ROOT / package).rglob("*.py") for part in own_parts(ast.parse(path.read_text()))}
    assert found - {"utils", package} == IMPORTS[package]


def test_search_imports_learners_for_types_only() -> None:
    for path in (ROOT / "search").rglob("*.py"):
        tree = ast.parse(path.read_text())
        typed = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)]
        inside = {id(n) for block in typed for n in ast.walk(block)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("scalarize.learners"):
                assert id(node) in inside, path


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_heavy_packages_stay_where_they_belong(path: Path) -> None:
    relative = path.relative_to(ROOT).as_posix()
    roots = {name.split(".")[0] for name in imported(ast.parse(path.read_text()))}
    assert not (relative.startswith(NO_TORCH) and "torch" in roots)
    for package, homes in ONLY.items():
        assert package not in roots or relative.startswith(homes), f"{relative} imports {package}"


def test_only_learners_step_an_optimiser() -> None:
    found = set()
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "step":
                owner = ast.unparse(node.func.value)
                if "optim" in owner or "scaler" in owner:
                    found.add(path.relative_to(ROOT).as_posix())
    assert found
    assert all(f.startswith(STEPPERS) for f in found), found


def documentation(tree: ast.AST) -> set[int]:
    """The docstrings of a file, by identity."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                found.add(id(first.value))
    return found


def strings(tree: ast.AST) -> Iterator[str]:
    own = documentation(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in own:
            yield node.value


# Files outside `methods` and `studies` that name a method: defaults of the command line and of the estimator, and a
# comparison's rows.
NAMED = {
    "cli/train.py": {"uniform"},
    "runs/comparison_rows.py": {"fixed", "uniform"},
    "runs/estimator.py": {"uniform"},
}


def test_no_method_is_named_outside_methods_and_studies() -> None:
    # "policy" is also a word of the field, the noun of the system.
    names = set(methods.names()) - {"policy"}
    for path in sources():
        relative = path.relative_to(ROOT).as_posix()
        if part(path) in ("methods", "studies"):
            continue
        named = names & set(strings(ast.parse(path.read_text())))
        named -= NAMED.get(relative, set())
        if relative == "methods/__init__.py":
            named = set()
        assert not named, f"{relative} names {sorted(named)}"


def test_no_benchmark_is_named_in_a_model() -> None:
    from scalarize import workloads

    for path in (ROOT / "workloads" / "models").glob("*.py"):
        words = {w for text in strings(ast.parse(path.read_text())) for w in text.split()}
        assert not words & set(workloads.names()), path


SCRIPTS = sorted(p for d in ("benchmarks", "results") for p in (ROOT.parents[1] / d).glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_no_script_hides_a_package(script: Path) -> None:
    # `python results/x.py` puts its folder first: `import x` would find the script itself
    project = ROOT.parents[1]
    own = {script.parent, project, project / "tests", project / "src"}
    elsewhere = [place for place in sys.path if Path(place).resolve() not in own]
    assert importlib.machinery.PathFinder.find_spec(script.stem, elsewhere) is None


# Strings with an option's name outside the command line: pages that name the command that writes them, what builds
# such a command, and npm's own option.
OPTION = r"(?<![\w-])--[a-z]"
COMMANDS = ("studies/results_page.py", "/results_page.py", "runs/model_card.py", "workloads/datasets/emoji.py")


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_command_line_names_its_options(path: Path) -> None:
    relative = path.relative_to(ROOT).as_posix()
    tree = ast.parse(path.read_text())
    if part(path) == "cli":
        return
    raised = [n for raising in ast.walk(tree) if isinstance(raising, ast.Raise) for n in ast.walk(raising)]
    inside = {id(n) for n in raised}
    own = documentation(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search(OPTION, node.value):
            free = relative.endswith(COMMANDS) and id(node) not in inside
            assert free or id(node) in own, f"{relative}:{node.lineno}: {node.value}"


def test_every_parameter_that_a_message_names_has_its_option() -> None:
    from scalarize.cli import COMMANDS as known
    from scalarize.cli import app, parameters

    context = click.Context(app)
    commands = [app.get_command(context, name) for name in known]
    commands += [c for group in commands if isinstance(group, click.Group) for c in group.commands.values()]
    options = {opt for command in commands if command for p in command.params for opt in p.opts}
    assert set(parameters.OPTIONS.values()) <= options
    named = set()
    for path in sources():
        if part(path) == "cli":
            continue
        tree = ast.parse(path.read_text())
        named |= {m for text in strings(tree) for m in re.findall(r"`(\w+)`", text)}
    assert named <= set(parameters.OPTIONS), named - set(parameters.OPTIONS)
