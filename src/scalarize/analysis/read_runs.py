"""Reading of directories: training runs, searches and comparisons, from their files and nothing else."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalarize.analysis import readers
from scalarize.utils import files, vouched
from scalarize.utils.errors import RequestError
from scalarize.weights.policy import Policy

COLUMNS = ("step", "epoch", "split", "domain", "task", "metric", "value")
NUMBERS = ("step", "epoch", "value")


@dataclass(frozen=True)
class Run:
    """One training. ``method`` is its name in tables; ``result`` the JSON of ``train``."""

    path: Path
    method: str
    config: Mapping[str, Any]
    result: Mapping[str, Any]

    @cached_property
    def records(self) -> pd.DataFrame:
        """The tidy rows (see :func:`read_records`), read when first asked for."""
        return read_records(self.path / "records.jsonl")


@dataclass(frozen=True)
class Search:
    """One search. ``lineage`` is a frame with one row per member and generation."""

    path: Path
    config: Mapping[str, Any]
    result: Mapping[str, Any]
    policy: Policy
    lineage: pd.DataFrame


@dataclass(frozen=True)
class Comparison:
    """One ``compare``: its result (rows, verdicts), the runs behind it, and the searches that it made."""

    path: Path
    config: Mapping[str, Any]
    result: Mapping[str, Any]
    runs: tuple[Run, ...]
    searches: tuple[Search, ...]


@dataclass(frozen=True)
class RunsFound:
    """All that was found, each thing once: runs and searches that belong to no comparison stand alone."""

    comparisons: tuple[Comparison, ...]
    searches: tuple[Search, ...]
    runs: tuple[Run, ...]


def read(directories: Sequence[str | Path]) -> RunsFound:
    """Read everything in ``directories`` and below.

    Raises RequestError that names a missing or damaged file, or the directories if they hold no run at all.
    """
    places = [Path(d) for d in directories]
    for place in places:
        readers.check_place(place)
    comparisons: list[Comparison] = []
    searches: list[Search] = []
    runs: list[Run] = []
    seen: set[Path] = set()
    for place in places:
        for path, kind in find(place):
            if path.resolve() in seen:
                continue
            seen.add(path.resolve())
            if kind == "compare":
                comparisons.append(read_comparison(path))
            elif kind == "search":
                searches.append(read_search(path))
            else:
                runs.append(read_run(path))
    if not (comparisons or searches or runs):
        raise RequestError(f"{', '.join(map(str, places))}: no runs here (no config.yaml of train, search or compare)")
    return RunsFound(tuple(comparisons), tuple(searches), tuple(runs))


def find(place: Path) -> Iterator[tuple[Path, str]]:
    """Return (directory, kind) of every outermost comparison, search or run in ``place``, in order of their names."""
    for path, below, names in os.walk(place):
        below.sort()
        kind = kind_of(Path(path), names)
        if kind is not None:
            yield Path(path), kind
            # Members of a search are not listed; retrains with its policy are comparisons like any other.
            below[:] = [d for d in below if kind == "search" and d.startswith("retrain")]
        below[:] = [d for d in below if not d.startswith(".") and d != "checkpoints"]


def kind_of(path: Path, names: Sequence[str]) -> str | None:
    """Return ``train``, ``search``, ``compare`` or None, by ``config.yaml`` if it says so, else by the files there."""
    if "config.yaml" in names:
        stated = readers.read_yaml(path / "config.yaml").get("kind")
        if stated in ("train", "search", "compare"):
            return str(stated)
    if "lineage.jsonl" in names:
        return "search"
    if "records.jsonl" in names:
        return "train"
    if "result.json" in names and "rows" in readers.read_mapping(path / "result.json"):
        return "compare"
    return None


def read_run(path: Path, method: str | None = None) -> Run:
    """Read a training run. Raises RequestError that names what is missing (``result.json`` of an unfinished run)."""
    vouched.check(path, ("config.yaml", "result.json", "records.jsonl"))
    result = readers.read_mapping(path / "result.json", "is the run finished? go on with `resume`")
    for key in ("method", "seed", "test"):
        if key not in result:
            raise RequestError(f"{path / 'result.json'}: no result of a training: {key!r} is missing")
    readers.check_scores(path / "result.json", result["test"])
    readers.check_score(path / "result.json", result.get("score"))
    if not (path / "records.jsonl").is_file():
        raise RequestError(f"{path / 'records.jsonl'}: missing")
    return Run(path, method or str(result["method"]), readers.read_yaml(path / "config.yaml"), result)


def read_search(path: Path) -> Search:
    """Read a search. Raises RequestError that names what is missing or damaged."""
    policy = readers.search_policy(path)
    vouched.check(path, ("config.yaml", "result.json", "lineage.jsonl"))
    lineage = files.read_lines(path / "lineage.jsonl")
    width = len(policy.tasks)
    for number, row in enumerate(lineage, start=1):
        where = f"{path / 'lineage.jsonl'}: line {number}"
        weights = row.get("weights")
        if not isinstance(weights, list) or len(weights) != width or not all(readers.is_number(w) for w in weights):
            raise RequestError(f"{where}: 'weights' must be {width} numbers")
        if not all(readers.is_number(row.get(key)) for key in ("generation", "member", "epoch")):
            raise RequestError(f"{where}: 'generation', 'member' and 'epoch' must be numbers")
        if not isinstance(row.get("score"), int | float | None):
            raise RequestError(f"{where}: 'score' must be a number or null")
    frame = pd.DataFrame(lineage, columns=["generation", "member", "parent", "epoch", "weights", "score"])
    result = readers.read_mapping(path / "result.json") if (path / "result.json").is_file() else {}
    config = readers.read_yaml(path / "config.yaml") if (path / "config.yaml").is_file() else {}
    return Search(path, config, result, policy, frame.astype({"score": "float64"}))


def read_comparison(path: Path) -> Comparison:
    """Read a comparison and its runs (``runs`` of its result: directories, or mappings with ``out`` and ``method``)."""
    where = path / "result.json"
    vouched.check(path, ("config.yaml", "result.json"))
    result = readers.read_mapping(where, "is the comparison finished? go on with `resume`")
    rows = readers.check_rows(where, result.get("rows"))
    readers.check_score(where, result.get("score"))
    readers.check_sentences(where, result.get("verdicts", []))
    methods = [str(row["method"]) for row in rows]
    runs = []
    lost = _without_result(result)
    for entry in _listed(where, result.get("runs", [])):
        relative = str(entry.get("out", ""))
        if relative in lost and not os.path.exists(path / relative / "result.json"):
            continue
        if not relative or not _lies_in(path / relative, path):
            raise RequestError(f"{where}: 'runs' names {relative[:200]!r}, which does not lie in {path}")
        runs.append(read_run(path / relative, str(entry["method"]) if "method" in entry else _named(relative, methods)))
    searches = tuple(read_search(p) for p, kind in find(path / "searches") if kind == "search")
    return Comparison(path, readers.read_yaml(path / "config.yaml"), result, tuple(runs), searches)


def read_records(path: Path) -> pd.DataFrame:
    """Return the tidy rows of a run: step, epoch, split, domain, task, metric, value (NaN if not finite).

    Raises RequestError that names file and line of a row that lacks a column or holds a word instead of a number.
    """
    rows = files.read_lines(path)
    for number, row in enumerate(rows, start=1):
        for column in COLUMNS:
            value = row.get(column)
            if column == "value":
                good = column in row and (value is None or isinstance(value, int | float))
            else:
                good = readers.is_number(value) if column in NUMBERS else column in row
            if not good:
                raise RequestError(f"{path}: line {number}: {column!r} is missing or no number")
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    text = {column: frame[column].map(_text) for column in COLUMNS if column not in NUMBERS}
    values = pd.to_numeric(frame["value"]).astype("float64")
    return frame.assign(**text, value=values.where(np.isfinite(values)))


def _lies_in(place: Path, root: Path) -> bool:
    """Return True if ``place`` is below ``root``, whatever it is called; False for a name that no file can have."""
    try:
        with contextlib.suppress(FileNotFoundError):
            os.lstat(place)
        return place.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError):
        return False


def _text(value: Any) -> str:
    """Return a word that every library can hold: what is no letter becomes an escape."""
    return str(value).encode(errors="backslashreplace").decode()


def _listed(where: Path, entries: Any) -> list[Mapping[str, Any]]:
    if not isinstance(entries, list) or not all(isinstance(e, str | dict) for e in entries):
        raise RequestError(f"{where}: 'runs' must list directories")
    return [{"out": e} if isinstance(e, str) else e for e in entries]


def _without_result(result: Mapping[str, Any]) -> set[str]:
    """Return the directories of trainings that diverged in their first epoch: they hold no result."""
    found = result.get("found")
    records = [r for r in found if isinstance(r, dict)] if isinstance(found, list) else []
    none = [r.get("directories") for r in records if r.get("diverged") and r.get("average") is None]
    return {str(directory) for directories in none if isinstance(directories, list) for directory in directories}


def _named(relative: str, methods: Sequence[str]) -> str | None:
    """Return the longest of ``methods`` that a part of the path begins with: ``policy-last-0`` is of policy-last."""
    parts = Path(relative).parts
    fitting = [m for m in methods if any(part == m or part.startswith(f"{m}-") for part in parts)]
    return max(fitting, key=len, default=None)
