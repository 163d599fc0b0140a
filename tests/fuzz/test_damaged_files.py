"""Policies, lineages, journals, tables and run directories that are damaged: one line, nothing changed, no hang."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import strategies as st

import fake_runs
from damage import amounts, as_json, damaged, damaged_bytes, damaged_file, fuzz, one_line, snapshot
from scalarize import report
from scalarize.analysis import progress
from scalarize.analysis import read_runs as sources
from scalarize.runs import policy_from_run
from scalarize.runs.directory import claim
from scalarize.search import runs_table
from scalarize.utils.errors import ScalarizeError
from scalarize.weights.policy import Policy
from scalarize.workloads.table.workload import from_file

POLICY = {
    "format": "scalarize-policy/1",
    "tasks": ["a", "b"],
    "epochs": 12,
    "segments": [{"from_epoch": 0, "weights": [0.2, 0.8], "scale": 1.0}, {"from_epoch": 3, "weights": [0.3, 0.7]}],
    "provenance": {"found": {"trainings": 3.5}},
}


@amounts(120, 3000)
def test_a_damaged_policy_is_refused_or_right(tmp_path: Path, examples: int) -> None:
    file = tmp_path / "policy.json"

    def check(content: bytes) -> None:
        file.write_bytes(content)
        with one_line():
            policy = Policy.load(file)
            for changed in (
                policy,
                policy.stretch(5),
                policy.last(),
                policy.mean(),
                policy.reorder(policy.tasks[::-1]),
            ):
                assert sum(changed.weights_at(2)) == pytest.approx(1.0)
                assert Policy.from_dict(json.loads(json.dumps(changed.to_dict()))) == changed
        assert file.read_bytes() == content

    fuzz(check, examples, damaged(POLICY).map(as_json) | damaged_bytes(as_json(POLICY)))


def run_directories(place: Path) -> dict[Path, bytes]:
    """A run, a search, and a comparison of two runs; as bytes by path."""
    fake_runs.training(place / "run", "mgda", 0, 0.7, tasks=("a", "b"))
    fake_runs.search(place / "search", tasks=("a", "b"), members=2)
    fake_runs.compare(place / "comparison", tasks=("a", "b"), searches=1, seeds=1)
    file = place / "comparison" / "result.json"
    result = json.loads(file.read_text())
    for name in result["runs"][2:]:
        shutil.rmtree(place / "comparison" / name)
    file.write_bytes(as_json(result | {"runs": result["runs"][:2]}))
    return snapshot(place)


def on_damage(place: Path, examples: int, look: Callable[[], Any]) -> None:
    """``look`` at the directories with one file damaged succeeds or fails in a line, and changes nothing."""
    known = run_directories(place)

    def check(change: tuple[Path, bytes | None]) -> None:
        path, content = change
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        before = snapshot(place)
        try:
            look()
            assert snapshot(place) == before
        finally:
            path.write_bytes(known[path])

    fuzz(check, examples, damaged_file(known))


@amounts(40, 2000)
def test_damaged_directories_are_read_or_refused(tmp_path: Path, examples: int) -> None:
    place = tmp_path / "runs"

    def look() -> None:
        with one_line():
            found = sources.read([place])
            for run in found.runs:
                assert len(run.records.columns) == 7
        for directory in ("run", "search", "comparison"):
            with one_line():
                policy, clipped = policy_from_run.policy_of_run(place / directory)
                assert 0 <= clipped <= 0.1
                assert Policy.from_dict(policy.to_dict()) == policy
            for resume in (True, False):
                with pytest.raises(ScalarizeError):
                    claim(place / directory, "train", {"workload": "other"}, resume, "scalarize")

    on_damage(place, examples, look)


@amounts(40, 1000)
def test_watching_what_is_half_written_shows_what_is_there(tmp_path: Path, examples: int) -> None:
    place = tmp_path / "runs"

    def look() -> None:
        assert all(state.line.strip() for state in progress.read(place))

    on_damage(place, examples, look)


@amounts(4, 200)
def test_a_report_of_damaged_directories_is_whole_or_refused(tmp_path: Path, examples: int) -> None:
    place, page = tmp_path / "runs", tmp_path / "report.html"

    def look() -> None:
        page.unlink(missing_ok=True)
        with one_line():
            report.build(place, page, with_images=False)
            assert page.read_text().rstrip().endswith("</html>")

    on_damage(place, examples, look)


@amounts(60, 1000)
def test_tables_of_runs(tmp_path: Path, examples: int) -> None:
    file = tmp_path / "runs.csv"
    whole = b"weight:a,weight:b,metric:x,metric-:y\n0.2,0.8,0.5,1\n0.5,0.5,0.6,2\n0.9,0.1,0.4,3\n"

    def check(content: bytes) -> None:
        file.write_bytes(content)
        with one_line():
            runs = runs_table.read(file)
            assert runs.weights.shape == (len(runs.values), len(runs.tasks))

    fuzz(check, examples, damaged_bytes(whole) | cells(["weight:a", "weight:b", "metric:x"]))


CELLS = [
    "",
    "0",
    "1",
    "-1",
    "2.5",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "1e39",
    "1e-400",
    "yes",
    "no",
    "True",
    '"',
    "'",
    "ü",
    "9" * 40,
]
CELLS += ["2020-01-01", "1j", "NA", "\x00", " 1 ", "1,2", "0x10", "1_000", "٣"]


@st.composite
def cells(draw: st.DrawFn, header: list[str], rows: tuple[int, int] = (0, 6)) -> bytes:
    """A table of such cells; rows may be short or long."""
    names = draw(st.permutations(header)) if draw(st.booleans()) else header
    cell = st.sampled_from(CELLS) | st.floats().map(str) | st.text(max_size=4)
    lines = [
        ",".join(draw(st.lists(cell, min_size=len(names) - 1, max_size=len(names) + 1)))
        for _ in range(draw(st.integers(*rows)))
    ]
    return "\n".join([",".join(names), *lines]).encode(errors="surrogateescape") + b"\n"


@st.composite
def own_table(draw: st.DrawFn) -> bytes:
    """Sixty rows in which every column is one kind of thing, with some cells of another."""
    columns = []
    for _ in range(3):
        plain = draw(st.lists(st.sampled_from(CELLS[:12]) | st.floats().map(str), min_size=1, max_size=3))
        column = [plain[k % len(plain)] for k in range(60)]
        for _ in range(draw(st.integers(0, 2))):
            column[draw(st.integers(0, 59))] = draw(st.sampled_from(CELLS) | st.text(max_size=4))
        columns.append(column)
    return "\n".join(["a,b,c", *(",".join(row) for row in zip(*columns, strict=True))]).encode(errors="replace")


@amounts(30, 1000)
def test_own_tables(tmp_path: Path, examples: int) -> None:
    file = tmp_path / "mine.csv"

    def check(content: bytes) -> None:
        file.write_bytes(content)
        with one_line():
            workload = from_file(file, ("a", "b"))
            data = workload.load(workload.recipe.data, tmp_path)
            batch = data.domains["table"].splits["train"].batch(torch.arange(5))
            assert batch.inputs.isfinite().all()
            assert all(t.isfinite().all() for t in batch.targets.values())

    fuzz(check, examples, own_table() | damaged_bytes(b"a,b,c\n" + b"1,2,3\n4,5,6\n" * 30))
