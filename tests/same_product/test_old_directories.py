"""Directories that an earlier build left behind, finished or killed, are read and gone on with.

``old/`` was made by ``make_old.py`` with the build that ``old/expected.json`` names. It stays as it is: a later build
that no longer ends with these bytes cannot go on with its users' runs. Where numbers change on purpose, a run begun
before ends between the two: such a change makes ``old/`` anew, as the rule of ``test_same_product.py`` says.
"""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from same_product import record

OLD = Path(__file__).with_name("old")
HELD = json.loads((OLD / "expected.json").read_text())
TRAININGS = [name for name in HELD["cases"] if name.startswith("train")]
SEARCHES = [name for name in HELD["cases"] if name.startswith("search")]


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``copy(name)``: that directory's path and its words, in a place where it may be changed."""
    monkeypatch.chdir(tmp_path)

    def make(name: str) -> tuple[Path, list[str]]:
        shutil.copytree(OLD / name, name)
        command = yaml.safe_load((OLD / name / "config.yaml").read_text())["command"]
        return Path(name), shlex.split(command)[1:]

    return make


def content(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.mark.parametrize("name", [*TRAININGS, *SEARCHES])
def test_resumed_it_ends_as_if_never_interrupted(copy: Any, name: str) -> None:
    out, words = copy(name)
    before = content(out)
    assert (out / "result.json").exists() == name.endswith("-finished")
    status, printed, _ = record.call([*words, "--resume", "--json"])
    assert status == 0, printed
    found = record.trained(out) if name in TRAININGS else record.searched(out)
    assert record.differences(HELD["cases"][name], found, record.fingerprint() == HELD["fingerprint"]) == []
    assert json.loads(printed) == json.loads((out / "result.json").read_text())
    assert (content(out) == before) == name.endswith("-finished")  # what is finished is read, not made again
    assert not list(out.glob("checkpoints/generation-*"))
    assert not (out / "checkpoints" / "last.pt").exists()


def test_a_killed_training_goes_on_and_does_not_begin_again(copy: Any) -> None:
    _, words = copy("train-killed")
    err = record.call([*words, "--resume"])[2]
    assert "epoch 3/4" in err
    assert "epoch 2/4" not in err


def test_a_killed_search_goes_on_and_does_not_begin_again(copy: Any) -> None:
    _, words = copy("search-killed")
    err = record.call([*words, "--resume"])[2]
    assert "generation 1, member 1" in err
    assert "generation 0" not in err


@pytest.mark.parametrize("name", ["train-finished", "search-finished"])
def test_it_is_reported(copy: Any, name: str) -> None:
    out, _ = copy(name)
    status, _, err = record.call(["report", str(out)])
    assert status == 0, err
    page = (out / "report.html").read_text()
    assert all(task in page for task in ("any-mental", "visits-other"))


def test_its_weights_become_a_policy_that_is_replayed(copy: Any) -> None:
    out, _ = copy("train-finished")
    status, _, err = record.call(["policy", str(out)])
    assert status == 0, err
    made, held = (json.loads(path.read_text()) for path in (out / "policy.json", OLD / "implied.json"))
    assert made.pop("written").startswith("scalarize sha256:")  # so that it may be replaced until somebody changes it
    assert [s.pop("weights") for s in made["segments"]] == [pytest.approx(s.pop("weights")) for s in held["segments"]]
    assert made == held
    words = ["train", "rand-hie", "--tasks", "any-mental,visits-other", "--epochs", "1", "--out", "again"]
    status, _, err = record.call([*words, "--policy", str(out / "policy.json")])
    assert status == 0, err


def test_what_a_search_found_is_trained_again(copy: Any) -> None:
    out, _ = copy("search-finished")
    status, printed, err = record.call(["retrain", str(out), "--json"])
    assert status == 0, err
    assert "any-mental" in printed
