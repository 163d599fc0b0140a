"""Light: the core with torch and numpy alone, and one line that names the extra for everything else."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from scalarize.utils import file_lock, files, optional
from scalarize.utils.errors import RequestError

HIDDEN = Path(__file__).with_name("hidden.py")
ABSENT = set(optional.EXTRAS) - {"fsspec"}  # which torch itself needs
CORE = """
import torch
import scalarize
from scalarize import search
from scalarize.search.toy_problems import Stationary

assert "pandas" not in __import__("sys").modules
for name in scalarize.methods.names():
    scalarize.methods.get(name)
shared = torch.nn.Linear(3, 2)
balancer = scalarize.Balancer("cagrad", shared=shared.parameters(), c=0.4)
out = shared(torch.ones(1, 3))
balancer.backward({"a": out[0, 0] ** 2, "b": (out[0, 1] - 1) ** 2})
assert shared.weight.grad.abs().sum() > 0
scalarize.Policy, scalarize.Task, scalarize.Domain, scalarize.simplex
print(scalarize.search(Stationary, epochs=6, population=4).generations)
"""
SEVERAL = """
import contextlib, io, json
from scalarize.cli import main

def answer(line):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            main(line.split())
        except SystemExit as stop:
            return int(stop.code or 0), out.getvalue(), err.getvalue()

"""


def run(hidden: set[str], code: str, place: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(HIDDEN), ",".join(sorted(hidden)), code]
    return subprocess.run(line, capture_output=True, text=True, timeout=600, cwd=place)


def commands(hidden: set[str], lines: list[str], place: Path) -> list[tuple[int, str, str]]:
    """Exit status, stdout and stderr of each command line, all in one interpreter."""
    done = run(hidden, f"{SEVERAL}print(json.dumps([answer(line) for line in {lines!r}]))", place)
    assert done.returncode == 0, done.stderr
    return [(status, out, err) for status, out, err in json.loads(done.stdout)]


def test_the_core_needs_torch_and_numpy_alone(tmp_path: Path) -> None:
    done = run(ABSENT | {"pydantic", "yaml", "click", "sklearn", "torchjd"}, CORE, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2\n"


def test_the_core_works_where_files_cannot_be_locked(tmp_path: Path) -> None:
    done = run({"fcntl"}, CORE, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "cannot lock files" in done.stderr


def test_the_command_line_starts_without_extras(tmp_path: Path) -> None:
    lists = ["--help", "methods", "workloads", "train --help", "search --help", "demo --help", "reproduce --help"]
    for line, (status, out, err) in zip(lists, commands(ABSENT, lists, tmp_path), strict=True):
        assert (status, err) == (0, ""), line
        assert out


def test_workloads_whose_extra_is_absent_are_listed_with_it(tmp_path: Path) -> None:
    [(_, out, _)] = commands(ABSENT, ["workloads --json"], tmp_path)
    missing = {row["name"]: row["missing"] for row in json.loads(out)["workloads"]}
    for name, extra in {"rand-hie": "demo", "celeba": "vision", "mt10": "rl", "gettext": "nmt"}.items():
        assert f"scalarize[{extra}]" in missing[name]


# Command -> the packages that its one line names.
WITHOUT_EXTRAS = {
    "train rand-hie --out r": ["pandas", "statsmodels"],
    "search rand-hie --out r": ["pandas", "statsmodels"],
    "compare rand-hie --methods uniform --out r": ["pandas"],
    "reproduce royer2023 --list": ["pandas"],
    "demo --out r": ["pandas"],
    "report run": ["pandas"],
    "train glyphs --out r": ["matplotlib"],
    "train emoji --out r": ["PIL", "timm", "torchvision"],
    "train mt10 --out r": ["metaworld"],
    "train gettext --out r": ["sacrebleu", "sentencepiece"],
}
WITH_THE_DEMO = {
    "search rand-hie --algorithm bo --out r": ["botorch"],
    "search rand-hie --algorithm pb2 --out r": ["botorch"],
    "search rand-hie --ray-address local --out r": ["ray"],
    "train rand-hie --log tensorboard --out r": ["tensorboard"],
    "train rand-hie --log wandb --out r": ["wandb"],
    "train rand-hie --log mlflow --out r": ["mlflow"],
}
HALF_THE_DEMO = {
    "report run": ["matplotlib"],
    "compare rand-hie --methods uniform,unitary --seeds 3 --epochs 1 --out comparison --resume": ["scipy"],
    "search rand-hie --algorithm mopbt --out r": ["moocore"],
}
SITUATIONS = [
    (ABSENT, WITHOUT_EXTRAS),
    (ABSENT - {p for p, extra in optional.EXTRAS.items() if extra == "demo"} - {"PIL"}, WITH_THE_DEMO),
    ({"matplotlib", "scipy", "moocore"}, HALF_THE_DEMO),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with one finished run and one finished comparison."""
    from scalarize import cli

    where = tmp_path_factory.mktemp("light")
    run_of = "train rand-hie --epochs 1 --out {}/run"
    comparison = "compare rand-hie --methods uniform,unitary --seeds 3 --epochs 1 --out {}/comparison"
    for line in (run_of, comparison):
        with pytest.raises(SystemExit) as stop:
            cli.main(line.format(where).split())
        assert not stop.value.code
    return where


@pytest.mark.parametrize(("hidden", "needs"), SITUATIONS, ids=["no-extra", "demo", "half"])
def test_a_command_that_needs_more_says_which_extra(hidden: set[str], needs: dict[str, list[str]], place: Path) -> None:
    for line, (status, _, err) in zip(needs, commands(hidden, list(needs), place), strict=True):
        said = err.splitlines()[-1]
        assert status == 2, (line, err)
        assert all(package in said for package in needs[line]), (line, said)
        assert f"scalarize[{optional.EXTRAS[needs[line][0]]}]" in said
    assert not (place / "r" / "records.jsonl").exists()


def test_a_package_that_no_extra_brings_is_a_fault_of_the_program() -> None:
    assert optional.in_words(ModuleNotFoundError("No module named 'scalarize.gone'", name="scalarize.gone")) is None


@pytest.mark.parametrize("system", ["posix", "windows"])
def test_a_directory_that_another_process_holds_is_refused(
    system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def locking(descriptor: int, mode: int, length: int) -> None:
        asked.append((mode, length))
        if len(asked) == 2:
            raise PermissionError(13, "Permission denied")

    if system == "windows":
        monkeypatch.setitem(sys.modules, "fcntl", None)
        monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    with files.lock(tmp_path), pytest.raises(RequestError, match="another process"), files.lock(tmp_path):
        pass
    if system == "windows":
        assert asked == [(2, 1), (2, 1)]


def test_a_system_without_locks_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fcntl", "msvcrt"):
        monkeypatch.setitem(sys.modules, name, None)
    with open(tmp_path / "x", "w") as handle, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        file_lock.acquire(handle)
    assert [str(w.message) for w in said] != []
