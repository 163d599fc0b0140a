"""Readers of files that anyone may have written: plain content, or a RequestError that names the file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scalarize.utils import files, vouched
from scalarize.utils.errors import RequestError
from scalarize.weights.policy import Policy


def check_place(place: Path) -> None:
    """Raise RequestError unless ``place`` is a directory."""
    if not place.is_dir():
        raise RequestError(
            f"{place}: {'is a file; name a directory of runs' if place.exists() else 'no such directory'}"
        )


def search_policy(directory: Path) -> Policy:
    """Return the policy that the search in ``directory`` found. Raises RequestError if it is missing or damaged."""
    path = directory / "policy.json"
    if not path.is_file():
        raise RequestError(f"{path}: missing (is the search finished? go on with `resume`)")
    vouched.check(directory, [path.name])
    return Policy.load(path)


def read_yaml(path: Path) -> Mapping[str, Any]:
    """Read a YAML mapping (plain types only). Raises RequestError that names a missing or damaged file."""
    content = files.read_yaml(path)
    if not isinstance(content, dict):
        raise RequestError(f"{path}: must hold names and values")
    return content


def read_mapping(path: Path, hint: str = "") -> Mapping[str, Any]:
    """Read a JSON object. Raises RequestError that names a missing or damaged file."""
    if not os.path.isfile(path):
        raise RequestError(f"{path}: missing" + (f" ({hint})" if hint else ""))
    content = files.read_json(path)
    if not isinstance(content, dict):
        raise RequestError(f"{path}: must hold one JSON object")
    return content


def is_number(value: Any) -> bool:
    """Return True for a finite number that is neither a truth value nor too large to draw."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def check_scores(where: Path, scores: Any) -> None:
    """Raise RequestError unless ``scores`` maps tasks to numbers or null."""
    if not isinstance(scores, dict) or not all(v is None or isinstance(v, int | float) for v in scores.values()):
        raise RequestError(f"{where}: 'test' must map tasks to numbers")


def check_score(where: Path, score: Any) -> None:
    """Raise RequestError unless ``score`` is None or a score's name with numbers or null under ``test``."""
    if score is None:
        return
    if not isinstance(score, dict) or not isinstance(score.get("name"), str):
        raise RequestError(f"{where}: 'score' must hold the name of a score")
    if not all(v is None or isinstance(v, int | float) for v in (score.get("test"), score.get("validation"))):
        raise RequestError(f"{where}: 'score' must hold numbers")


def check_rows(where: Path, rows: Any) -> list[Mapping[str, Any]]:
    """Return the rows of a comparison, or raise RequestError.

    Each row must have a method, trainings and intervals over the same tasks.
    """
    if not isinstance(rows, list) or not rows:
        raise RequestError(f"{where}: no result of a comparison: 'rows' must be a list of rows")
    for row in rows:
        if not isinstance(row, dict) or not {"method", "average", "tasks", "trainings"} <= set(row):
            raise RequestError(f"{where}: a row needs method, average, tasks and trainings")
        if not isinstance(row["tasks"], dict) or set(row["tasks"]) != set(rows[0]["tasks"]):
            raise RequestError(f"{where}: rows are over different tasks")
        if not is_number(row["trainings"]):
            raise RequestError(f"{where}: 'trainings' must be a number")
        if ("score" in row) != ("score" in rows[0]):
            raise RequestError(f"{where}: some rows have a score and some have none")
        for interval in (row["average"], row.get("score", row["average"]), *row["tasks"].values()):
            numbers = [interval.get(k, "") for k in ("mean", "low", "high")] if isinstance(interval, dict) else [""]
            if not all(v is None or is_number(v) for v in numbers):
                raise RequestError(f"{where}: an interval needs mean, low and high, each a number or null")
    return rows


def check_sentences(where: Path, verdicts: Any) -> None:
    """Raise RequestError unless ``verdicts`` is a list of sentences."""
    if not isinstance(verdicts, list) or not all(isinstance(v, str) for v in verdicts):
        raise RequestError(f"{where}: 'verdicts' must be a list of sentences")
