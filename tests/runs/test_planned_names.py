"""Names of tasks, methods and workloads do not lead out of a directory, nor beyond what it can hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from scalarize.runs.directory import file_name
from scalarize.runs.planned_run import directory_name
from scalarize.runs.request import TrainRequest
from scalarize.runs.row_values import value_of

STRANGE = [
    "../../x",
    "/etc/x",
    "a/b",
    "..",
    ".",
    "a\x00b",
    "x" * 300,
    "\ud800",
    "日" * 64,
    "\U0001f600" * 64,
    "a\\b",
    "\n",
    "",
]
REQUEST = TrainRequest(workload="rand-hie", method="uniform")


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_name_is_one_folder(name: str, tmp_path: Path) -> None:
    made = [directory_name(name, REQUEST), directory_name(f"single {name} seed 0", REQUEST)]
    made += [t.directory or "" for t in value_of(REQUEST.problem(), "single", 0, rate=0.1, singles=[name]).trainings]
    for directory in made:
        place = (tmp_path / directory).resolve()
        assert place.relative_to(tmp_path).parts[:-1] in ((), ("runs",))
        place.mkdir(parents=True)
    assert file_name(name) == file_name(name)


def test_strange_names_stay_apart() -> None:
    assert len({directory_name(name, REQUEST) for name in STRANGE}) == len(STRANGE)
    assert len({file_name(name) for name in STRANGE}) == len(STRANGE)


@pytest.mark.parametrize("name", ["uniform seed 0", "single any-mental rand-hie seed 1", "row a=1,b=0.5 lr 0.001"])
def test_plain_names_are_the_directories_of_earlier_versions(name: str) -> None:
    assert directory_name(name, REQUEST).rpartition("-")[0] == name.replace(" ", "-")
