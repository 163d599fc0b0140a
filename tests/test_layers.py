"""The house rules that a reader relies on: imports go one way, and names stay where they belong."""

from __future__ import annotations

import ast
import importlib.machinery
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalarize import methods

ROOT = Path(__file__).parents[1] / "src" / "scalarize"

# What each part may import besides itself. `errors`, `files` and `seeds` are everybody's.
EVERYBODY = {"errors", "files", "seeds"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "files": set(),
    "seeds": set(),
    "simplex": set(),
    "policy": {"simplex"},
    "methods": {"policy", "simplex"},
    "partial": {"methods"},
    "gradients": {"methods"},
    "probes": {"gradients"},
    "weigher": {"methods", "partial"},
    "processes": {"gradients"},
    "losses": {"partial", "processes", "gradients"},
    "evidence": {"losses", "gradients", "processes"},
    "options": {"methods", "processes"},
    "passes": {"losses", "gradients", "processes"},
    "comparing": {"losses", "evidence", "gradients", "methods", "options", "passes", "processes", "weigher"},
    "backward": {
        "methods",
        "options",
        "weigher",
        "gradients",
        "processes",
        "losses",
        "evidence",
        "passes",
        "comparing",
    },
    "metrics": set(),
    "samples": set(),
    "tasks": {"metrics", "samples"},
    "recipe": set(),
    "sampling": set(),
    "reading": {"samples", "sampling", "tasks"},
    "optim": {"recipe"},
    "rows": {"tasks"},
    "evaluation": {"samples", "tasks", "metrics"},
    "selection": {"tasks", "evaluation"},
    "models": {"methods"},
    "data": {"samples", "tasks", "metrics"},
    "records": set(),
    "loggers": set(),
    "implied": {"records", "policy", "simplex"},
    # A workload may bring its own learner.
    "workloads": {"samples", "tasks", "data", "models", "recipe", "metrics", "rl"},
    "protocols": {"evaluation", "methods", "policy", "probes", "recipe", "tasks"},
    "rl": {"backward", "methods", "optim", "policy", "probes", "recipe", "rows", "samples", "tasks"},
    "learner": {
        "protocols",
        "rows",
        "probes",
        "backward",
        "methods",
        "policy",
        "recipe",
        "tasks",
        "evaluation",
        "optim",
        "sampling",
        "reading",
    },
    "requests": {"learner", "methods", "policy", "recipe", "rows", "tasks", "workloads"},
    "training": {
        "requests",
        "selection",
        "evaluation",
        "rows",
        "probes",
        "protocols",
        "learner",
        "methods",
        "recipe",
        "records",
        "tasks",
    },
    "search": {"learner", "policy", "simplex", "records"},
    "analysis": {"records", "policy", "simplex"},
    "report": {"analysis", "records", "policy", "simplex"},
    "studies": {
        *("search", "requests", "training", "learner", "workloads", "tasks", "recipe", "records", "policy", "simplex"),
        *("methods", "analysis", "implied", "backward", "models", "evaluation", "samples"),
    },
}
HEAVY = {"analysis": {"torch"}, "simplex": {"torch"}, "policy": {"torch"}, "report": {"torch"}}
ONLY = {"ray": ("search/cluster",), "matplotlib": ("report/",), "plotly": ("report/",)}
STEPPERS = ("learner.py", "rl/")


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


def own_parts(tree: ast.AST) -> set[str]:
    return {name.split(".")[1] for name in imported(tree) if name.startswith("scalarize.") and name.count(".") >= 1}


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    name = part(path)
    if name in ("cli", "__init__", "__main__"):
        return
    assert name in ALLOWED, f"{name} has no place in the layers: add it, or find the part that it belongs to"
    wrong = {p for p in own_parts(ast.parse(path.read_text())) if (ROOT / p).exists() or (ROOT / f"{p}.py").exists()}
    assert wrong - ALLOWED[name] - EVERYBODY - {name} == set()


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_heavy_packages_stay_where_they_belong(path: Path) -> None:
    relative = path.relative_to(ROOT).as_posix()
    roots = {name.split(".")[0] for name in imported(ast.parse(path.read_text()))}
    assert not roots & HEAVY.get(part(path), set())
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


def strings(tree: ast.AST) -> Iterator[str]:
    documentation = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                documentation.add(id(first.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


def test_no_method_is_named_outside_methods_and_studies() -> None:
    # "policy" and "uniform" are also words of the field: the noun of the system, and the command line's default.
    names = set(methods.names()) - {"policy"}
    for path in sources():
        relative = path.relative_to(ROOT).as_posix()
        if part(path) in ("methods", "studies"):
            continue
        named = names & set(strings(ast.parse(path.read_text())))
        if relative == "cli/train.py":
            named -= {"uniform"}
        if relative == "methods/__init__.py":
            named = set()
        assert not named, f"{relative} names {sorted(named)}"


def test_no_benchmark_is_named_in_a_model() -> None:
    from scalarize import workloads

    for path in (ROOT / "models").glob("*.py"):
        words = {w for text in strings(ast.parse(path.read_text())) for w in text.split()}
        assert not words & set(workloads.names()), path


@pytest.mark.parametrize("script", sorted((ROOT.parents[1] / "benchmarks").glob("*.py")), ids=lambda p: p.stem)
def test_no_benchmark_hides_a_package(script: Path) -> None:
    # `python benchmarks/x.py` puts its folder first: `import x` would find the benchmark itself
    elsewhere = [place for place in sys.path if Path(place).resolve() != script.parent]
    assert importlib.machinery.PathFinder.find_spec(script.stem, elsewhere) is None
