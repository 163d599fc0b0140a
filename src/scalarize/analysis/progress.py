"""Progress of runs, searches and comparisons, read from directories that others may be writing at this moment."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scalarize.analysis import readers
from scalarize.utils import documents, files, life
from scalarize.utils.errors import RequestError

BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class RunState:
    """The state of one directory.

    ``kind`` is train, search or compare; ``diverged`` says where a training diverged, or how many of a comparison did;
    ``stopped``: nobody works on it, though it is not finished (see :func:`with_life`); ``epoch`` is the last one that
    all have finished, of ``epochs`` (None if the directory does not say); ``course`` holds the values to show, oldest
    first (``measure``: the mean validation loss of a run by epoch, the best score of a search by generation).
    """

    path: Path
    kind: str
    finished: bool
    epoch: int
    epochs: int | None
    course: tuple[float, ...] = ()
    measure: str = ""
    diverged: str = ""
    stopped: bool = False

    @property
    def over(self) -> bool:
        """Return True if nothing more will happen here by itself."""
        return self.finished or self.stopped or bool(self.diverged)

    @property
    def line(self) -> str:
        """Return a line of text: name, progress, and the curve as bars with its last value."""
        of = "" if self.epochs is None else f"/{self.epochs}"
        far = "finished" if self.finished else f"epoch {self.epoch}{of}" if self.course else "under way"
        if self.diverged:
            far = f"finished, {self.diverged}" if self.finished else f"diverged: {self.diverged}"
        elif self.stopped:
            far = f"stopped{f' at {far}' if self.course else ''}: no process works on it"
        shown = f"  {bars(self.course)} {self.measure} {self.course[-1]:.4f}" if self.course else ""
        return f"{self.path}  {self.kind}  {far}{shown}"


@dataclass(frozen=True)
class SetState:
    """The state of a set of jobs that is under way in a directory.

    ``running`` holds the names of the jobs that run; ``seconds_left`` is None while no cost is known.
    """

    path: Path
    done: int
    running: tuple[str, ...]
    waiting: int
    seconds_left: float | None

    @property
    def line(self) -> str:
        """Return a line of text: the directory, the counts, and the time that is left."""
        named = f" ({', '.join(self.running)})" if self.running else ""
        left = "" if self.seconds_left is None else f", about {self.seconds_left:.0f} s left"
        return f"{self.path}  {self.done} done, {len(self.running)} running{named}, {self.waiting} waiting{left}"


def sets(place: Path) -> list[SetState]:
    """Return a state for every set of jobs that is under way in ``place`` and below, in order of their names.

    Raises RequestError if ``place`` is not a directory.
    """
    readers.check_place(place)
    found = []
    for path in sorted(place.rglob("progress.json")):
        held = _mapping(path)
        left, running = held.get("seconds_left"), held.get("running")
        if held.get("format") == "scalarize-progress/1" and isinstance(running, list):
            seconds = float(left) if isinstance(left, int | float) else None
            names = tuple(map(str, running))
            found.append(SetState(path.parent, _count(held, "done"), names, _count(held, "waiting"), seconds))
    return found


def with_life(states: Sequence[RunState]) -> list[RunState]:
    """Return the states with ``stopped`` for those that are not over and that no process works on."""
    return [s if s.over or life.works(s.path) else replace(s, stopped=True) for s in states]


def read(place: Path) -> list[RunState]:
    """Return a state for every run, search and comparison in ``place`` and below, in order of their names.

    Half-written lines and missing files are ignored. Raises RequestError if ``place`` is not a directory.
    """
    readers.check_place(place)
    return list(_states(place))


def bars(values: tuple[float, ...], width: int = 24) -> str:
    """Draw the last ``width`` values as bars between their least and greatest."""
    shown = [v for v in values[-width:] if math.isfinite(v)]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    return "".join(BARS[int((v - low) / (high - low) * 7) if high > low else 0] for v in shown)


def _states(place: Path) -> Iterator[RunState]:
    for name, below, names in os.walk(place):
        below[:] = sorted(d for d in below if not d.startswith(".") and d != "checkpoints")
        path = Path(name)
        config = _mapping(path / "config.yaml") if "config.yaml" in names else {}
        kind = str(config.get("kind", "search" if "search.json" in names else ""))
        read_one = {"train": _run, "search": _search, "compare": _comparison}.get(kind)
        if read_one is not None:
            yield read_one(path, config, "result.json" in names)


def _run(path: Path, config: Mapping[str, Any], finished: bool) -> RunState:
    rows = _lines(path / "records.jsonl")
    seen: dict[int, list[float]] = {}
    for row in rows:
        if row.get("split") == "validation" and row.get("metric") == "loss" and isinstance(row.get("value"), float):
            seen.setdefault(_count(row, "epoch"), []).append(row["value"])
    epochs = _epochs(config)
    course = tuple(sum(v) / len(v) for _, v in sorted(seen.items()))
    epoch = max((_count(row, "epoch") for row in rows), default=0)
    lost = str(_mapping(path / "result.json").get("diverged", "")) if finished else ""
    return RunState(path, "train", finished and not lost, epoch, epochs, course, "validation loss", lost)


def _search(path: Path, config: Mapping[str, Any], finished: bool) -> RunState:
    best: dict[int, float] = {}
    epoch = 0
    for row in _lines(path / "lineage.jsonl"):
        epoch = max(epoch, _count(row, "epoch"))
        score = row.get("score")
        if isinstance(score, float) and math.isfinite(score):
            at = _count(row, "generation")
            best[at] = max(best.get(at, score), score)
    asked = _mapping(path / "search.json") if (path / "search.json").is_file() else config
    course = tuple(v for _, v in sorted(best.items()))
    return RunState(path, "search", finished or _decided(path), epoch, _epochs(asked), course, "best score")


def _decided(path: Path) -> bool:
    """Return True if a search without ``result.json``, as one from Python is, has nothing left to decide."""
    if not (path / "policy.json").is_file():
        return False
    if (path / "decisions.jsonl").is_file():
        return len(_lines(path / "decisions.jsonl")) == 1
    return not (path / "checkpoints").exists()


def _comparison(path: Path, config: Mapping[str, Any], finished: bool) -> RunState:
    found = _mapping(path / "result.json").get("found") if finished else None
    records = [r for r in found if isinstance(r, Mapping)] if isinstance(found, list) else []
    lost = sum(bool(r.get("diverged")) for r in records)
    said = f"{lost} of {len(records)} diverged" if lost else ""
    return RunState(path, "compare", finished, 0, None, diverged=said)


def _count(row: Mapping[str, Any], key: str) -> int:
    """Return a whole number of the row; 0 if it has none."""
    value = row.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _epochs(config: Mapping[str, Any]) -> int | None:
    """Return the epochs that a configuration asks for, if it says so."""
    for part in (config.get("request"), config.get("recipe")):
        if isinstance(part, Mapping) and isinstance(part.get("epochs"), int):
            return int(part["epochs"])
    return None


def _mapping(path: Path) -> dict[str, Any]:
    """Return a mapping in YAML, or JSON; empty if it cannot be read yet."""
    try:
        content = files.read_json(path) if path.suffix == ".json" else files.read_yaml(path)
    except RequestError:
        return {}
    return content if isinstance(content, dict) else {}


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the complete rows."""
    try:
        content = files.read_bytes(path, files.RECORDS)
    except RequestError:
        return []
    rows = []
    for line in content.splitlines():
        try:
            row = documents.from_json(line, "a line")
        except RequestError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows
