"""What reads each kind of input: it returns what is right, or raises an error of a known kind."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from damage import one_line
from odd_inputs import CONFIG, LINEAGE, POLICY, RECORDS, RESULT, TABLE, as_json, as_lines, as_yaml
from scalarize import methods, workloads
from scalarize.analysis import progress, table_facts
from scalarize.analysis import read_runs as sources
from scalarize.cli import options, table_options
from scalarize.learners.recipe import Recipe
from scalarize.report import table_section
from scalarize.runs import policy_from_run
from scalarize.runs.directory import claim, file_name, read_config
from scalarize.runs.request import TrainRequest
from scalarize.search import mixture, runs_table
from scalarize.search import score as scores
from scalarize.search.entry import center_of
from scalarize.search.mixture import stages, store, tables
from scalarize.search.space import parse_also
from scalarize.utils import files
from scalarize.weights.policy import Policy
from scalarize.workloads.table.fitted import FittedTable
from scalarize.workloads.table.workload import from_file

WHOLE = {
    "config.yaml": as_yaml(CONFIG),
    "policy.json": as_json(POLICY),
    "lineage.jsonl": as_lines(LINEAGE),
    "records.jsonl": as_lines(RECORDS),
    "result.json": as_json(RESULT),
}


def config(place: Path) -> None:
    with one_line():
        found = read_config(place)
        request = TrainRequest.read(found["request"], "config.yaml")
        request.recipe(workloads.get("rand-hie"))
    with one_line():
        assert claim(place, "train", CONFIG["request"], True, "scalarize train")
    with one_line():
        tables.read(place)
    for state in progress.read(place):
        assert state.line.strip()


def policy(place: Path) -> None:
    with one_line():
        found = Policy.load(place / "policy.json")
        assert Policy.from_dict(found.to_dict()) == found
        for other in (found.stretch(7), found.last(), found.mean(), found.reorder(found.tasks[::-1])):
            assert abs(sum(other.weights_at(2)) - 1) < 1e-6
        center_of(found, found.tasks)
        Recipe().with_numbers(found.numbers)


def lineage(place: Path) -> None:
    with one_line():
        sources.read_search(place)
    for state in progress.read(place):
        assert state.line.strip()


def records(place: Path) -> None:
    with one_line():
        assert len(sources.read_records(place / "records.jsonl").columns) == 7
    with one_line():
        policy_from_run.policy_of_run(place)
    for state in progress.read(place):
        assert state.line.strip()


def result(place: Path) -> None:
    with one_line():
        sources.read_run(place)
    with one_line():
        sources.read_comparison(place)
    for state in progress.read(place):
        assert state.line.strip()


def runs(place: Path) -> None:
    with one_line():
        found = runs_table.read(place / "runs.csv")
        assert found.weights.shape == (len(found.values), len(found.tasks))
    with one_line():
        tables.read(place / "runs.csv")


def table(place: Path) -> None:
    with one_line():
        workload = from_file(place / "mine.csv", ("a", "b"))
        data = workload.load(workload.recipe.data, place)
        batch = data.domains["table"].splits["train"].batch(torch.arange(5))
        assert batch.inputs.isfinite().all()


def word(place: Path) -> None:
    text = (place / "word").read_bytes().decode(errors="surrogatepass")
    tries: list[Callable[[], Any]] = [
        lambda: options.weights_of(text),
        lambda: Recipe().override(options.parse_settings([text])),
        lambda: parse_also([text]),
        lambda: scores.create(text, ["a", "b=c", "d,e"], {"a": 1.0}),
        lambda: table_options.named([text]),
        lambda: table_options.take({"missing": (text,), "types": (text,)}),
        lambda: methods.create(text),
        lambda: workloads.get(text),
        lambda: Policy.load(text),
        lambda: files.check_directory(Path(text)),
    ]
    for attempt in tries:
        with one_line():
            attempt()
    name = file_name(text)
    assert Path(name).name == name != ".."


def facts(place: Path) -> None:
    with one_line():
        found = table_facts.find(place)
        assert found is not None
        table_section.of_run(found, {"measures": {"test": {"a": {"auroc": 0.5}}}})
        table_section.of_comparison(found, RESULT)
    with one_line():
        fitted = FittedTable.from_dict(files.read_json(place / "table.json"))
        assert FittedTable.from_dict(fitted.to_dict()).to_dict() == fitted.to_dict()


def fit(place: Path) -> None:
    with one_line():
        stages.load(place / "fit.json")


KINDS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "config": ("config.yaml", config),
    "policy": ("policy.json", policy),
    "lineage": ("lineage.jsonl", lineage),
    "records": ("records.jsonl", records),
    "result": ("result.json", result),
    "runs": ("runs.csv", runs),
    "table": ("mine.csv", table),
    "word": ("word", word),
    "facts": ("table.json", facts),
    "fit": ("fit.json", fit),
}


@functools.cache
def more() -> dict[str, Any]:
    """What was fitted to a table, and laws that were fitted to runs, as documents."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "mine.csv").write_text(TABLE)
        workload = from_file(place / "mine.csv", ("a", "b"))
        assert workload.table is not None
        draws = [(k / 11, 1 - k / 11) for k in range(12)]
        rows = [f"{a},{b},{(a - 0.3) ** 2},{b}" for a, b in draws]
        (place / "runs.csv").write_text("\n".join(["weight:a,weight:b,metric-:x,metric:y", *rows]))
        fitted = mixture.fit(place / "runs.csv", forms=["log-linear"], folds=3)
        return {"facts": workload.table.fitted(workload.recipe.data).to_dict(), "fit": store.to_dict(fitted)}


def furnish(place: Path) -> None:
    """A directory that holds every file that a reader wants beside the one that is read."""
    for name, content in WHOLE.items():
        (place / name).write_bytes(content)


@contextlib.contextmanager
def put(place: Path, kind: str, content: bytes) -> Iterator[Path]:
    """The input in its place, and then what was there."""
    path = place / KINDS[kind][0]
    path.write_bytes(content)
    try:
        yield path
    finally:
        path.write_bytes(WHOLE[path.name]) if path.name in WHOLE else path.unlink()


def read(place: Path, kind: str, content: bytes) -> bytes:
    """Give an input to all that reads its kind; return what lies there then."""
    with put(place, kind, content) as path:
        KINDS[kind][1](place)
        return path.read_bytes()
