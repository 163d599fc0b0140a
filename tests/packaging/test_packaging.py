"""What is shipped: a wheel and a source archive that install, extras that exist, imports that are light."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HEAVY = {"torch", "pandas", "scipy", "matplotlib", "botorch", "gpytorch", "ray", "timm", "torchvision", "statsmodels"}
HEAVY |= {"sklearn", "tensorboard", "moocore", "PIL", "wandb", "mlflow"}


def loaded(first: str, then: str) -> set[str]:
    """Packages that ``then`` imports beyond ``first``, in a fresh interpreter."""
    code = f"import json, sys\n{first}\nbefore = set(sys.modules)\n{then}\n"
    code += "print(json.dumps(sorted({m.split('.')[0] for m in set(sys.modules) - before})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def named(need: str) -> str:
    """The package of a requirement such as ``ray[tune]>=2.40``."""
    return re.split(r"[\[>=<]", need)[0].lower()


def test_importing_the_package_imports_nothing_else() -> None:
    assert loaded("import importlib, typing", "import scalarize, scalarize.cli") & HEAVY == set()


def test_what_a_training_loop_needs_costs_little_beyond_torch() -> None:
    used = (
        "import scalarize; scalarize.Balancer('cagrad', shared=[torch.zeros(1, requires_grad=True)]); scalarize.Policy"
    )
    assert loaded("import torch", used) & (HEAVY - {"torch"}) == set()


def test_the_version_stands_in_one_place() -> None:
    import scalarize

    assert "version" not in PROJECT
    assert PROJECT["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", scalarize.__version__)
    printed = subprocess.run(
        [sys.executable, "-c", "from scalarize.cli import main; main(['--version'])"], capture_output=True, text=True
    )
    assert printed.stdout.split()[-1] == scalarize.__version__


def test_what_is_needed_is_pinned() -> None:
    constraints = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    extras = PROJECT["optional-dependencies"]
    # What `make install` and `make test` install. Loggers are optional to the tests, developers' tools may be new.
    needs = [
        *PROJECT["dependencies"],
        *(n for e in ("demo", "vision", "bo", "ray", "nmt", "integrations", "mixture") for n in extras[e]),
    ]
    assert {re.split(r"[\[>=]", need)[0].lower() for need in needs} <= {name.lower() for name in constraints}


def test_the_smallest_installation_is_small() -> None:
    assert {re.split(r"[\[>=]", n)[0] for n in PROJECT["dependencies"]} == {
        "torch",
        "numpy",
        "pydantic",
        "PyYAML",
        "click",
    }


@pytest.mark.parametrize("name", ["python3.11", "python3.12", "python3.13"])
def test_every_python_that_is_promised_compiles_the_sources(name: str, tmp_path: Path) -> None:
    python = shutil.which(name)
    if python is None or subprocess.run([python, "-c", ""], capture_output=True).returncode:
        pytest.skip(f"{name} is not installed")
    place = tmp_path / "src"
    shutil.copytree(ROOT / "src", place, ignore=shutil.ignore_patterns("__pycache__"))
    line = [python, "-W", "error", "-m", "compileall", "-q", str(place)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A wheel and a source archive, made from a copy of what is under version control."""
    place = tmp_path_factory.mktemp("build")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "results/")):
            (place / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, place / "copy" / name)
    # setuptools writes arguments of its own into sys.argv.
    code = "import setuptools.build_meta as b, sys; to = sys.argv[1]; b.build_wheel(to); b.build_sdist(to)"
    line = [sys.executable, "-c", code, str(place)]
    subprocess.run(line, cwd=place / "copy", capture_output=True, check=True, timeout=600)
    return next(place.glob("*.whl")), next(place.glob("*.tar.gz"))


@pytest.mark.slow
def test_both_archives_hold_what_the_package_needs(built: tuple[Path, Path]) -> None:
    wheel, sdist = built
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {p.relative_to(ROOT / "src").as_posix() for p in (ROOT / "src" / "scalarize").rglob("*.py")}
    assert sources <= names
    assert {f"scalarize/report/{n}" for n in ("chart.js", "page.js", "page.css")} | {"scalarize/py.typed"} <= names
    assert not any(n.startswith(("tests/", "benchmarks/")) for n in names)
    with tarfile.open(sdist) as archive:
        inside = {n.split("/", 1)[1] for n in archive.getnames() if "/" in n}
    assert {f"src/{n}" for n in sources} | {"pyproject.toml", "README.md"} <= inside


@pytest.mark.slow
@pytest.mark.parametrize("which", [0, 1], ids=["wheel", "sdist"])
def test_it_installs_and_answers_in_an_empty_environment(
    built: tuple[Path, Path], which: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Empty but for the dependencies, which are lent by this environment: they alone are gigabytes."""
    monkeypatch.delenv("PYTHONPATH", raising=False)  # it would show the sources instead of what was installed
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    site = next((tmp_path / "env" / "lib").glob("python*/site-packages"))
    lent = Path(importlib.metadata.distribution("torch").locate_file(""))
    (site / "lent.pth").write_text(f"{lent}\n")
    # Python 3.11 puts a setuptools there that is too old to build with, and it would hide the one that is lent.
    subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "-y", "setuptools"], check=True, timeout=300)
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", built[which]]
    subprocess.run(install, check=True, timeout=900, cwd=tmp_path)
    place = subprocess.run(
        [python, "-c", "import scalarize; print(scalarize.__file__)"], cwd=tmp_path, capture_output=True, text=True
    )
    assert place.stdout.startswith(str(site))
    rows = "".join(f"{k % 2},{k * 7 % 10 / 3},{k * 3 % 11}\n" for k in range(60))
    (tmp_path / "mine.csv").write_text("a,b,x\n" + rows)
    own = ["--csv", "mine.csv", "--targets", "a,b", "--epochs", "1"]
    for words in (["--version"], ["methods"], ["train", *own, "--out", "r"], ["report", "r"]):
        done = subprocess.run([python.with_name("scalarize"), *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "r" / "report.html").stat().st_size > 10_000


def resolved(extra: str) -> set[str]:
    """The packages that an extra brings, through the extras that it names."""
    found: set[str] = set()
    for need in PROJECT["optional-dependencies"][extra]:
        if need.startswith("scalarize["):
            found |= {name for other in need[len("scalarize[") : -1].split(",") for name in resolved(other)}
        else:
            found.add(named(need))
    return found


# The name that is imported, where the package is called otherwise; and those that another package pins.
DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "gpytorch": "botorch", "linear_operator": "botorch"}


def test_every_optional_package_is_brought_by_the_extra_that_a_message_names() -> None:
    from scalarize.utils.optional import EXTRAS

    for package, extra in EXTRAS.items():
        assert DISTRIBUTIONS.get(package, package) in resolved(extra), package
    users = set(PROJECT["optional-dependencies"]) - {"test", "docs", "all"}
    assert set().union(*map(resolved, users)) == {DISTRIBUTIONS.get(package, package) for package in EXTRAS}
    assert resolved("all") == set().union(*map(resolved, set(PROJECT["optional-dependencies"]) - {"all"}))
    assert resolved("trainers") == resolved("integrations")


def test_every_package_that_the_sources_import_is_known() -> None:
    from scalarize.utils.optional import EXTRAS

    base = {"torch", "numpy", "pydantic", "yaml", "click", "scalarize"}
    own_message = {"torchjd"}  # named where it is used, since no extra of ours brings it
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    assert found - set(sys.stdlib_module_names) - base - own_message <= set(EXTRAS)


def test_extras_are_those_that_messages_and_pages_name() -> None:
    extras = PROJECT["optional-dependencies"]
    assert {"ray", "dense", "test", "docs"} <= set(extras)
    mentioned: set[str] = set()
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]:
        mentioned |= {
            name for listed in re.findall(r"scalarize\[([\w,]+)\]", path.read_text()) for name in listed.split(",")
        }
    assert {"demo", "nmt"} <= mentioned <= set(extras)
