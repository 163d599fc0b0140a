"""What is killed and damaged: searches on a toy problem, and commands on a small table."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import scalarize
from scalarize import cli
from scalarize.runs import train
from scalarize.search.toy_problems import Noisy

TABLE = "a,b,x\n" + "".join(f"{k % 2},{k * 7 % 10 / 3},{k * 3 % 11}\n" for k in range(60))
OWN = ["--csv", "mine.csv", "--targets", "a,b", "--epochs", "2", "--set", "model.width=8", "--set", "model.members=1"]
SMALL = {"epochs": 4, "ready": 2, "population": 4}
TIMES = (".lock", "timings.jsonl", "manifest.json")  # the manifest holds digests of files with times


def toy(place: Path, **asked: Any) -> Callable[[], Any]:
    """A search on a toy problem, from Python."""
    groups = [Noisy.tasks[1:3]] if asked.get("algorithm") == "grid" else []  # it searches at most three weights
    return lambda: scalarize.search(Noisy, **SMALL, groups=groups, **asked, out=place / "o", resume=True)


def command(place: Path, *words: str) -> Callable[[], Any]:
    """A command in a place where a table lies."""
    (place / "mine.csv").write_text(TABLE)

    def run() -> None:
        os.chdir(place)
        os.environ["SCALARIZE_WORKERS"] = "1"
        train.CHECKPOINT_SECONDS = 0.0
        cli.main([*words])

    return run


def with_words(place: Path, words: list[str]) -> Callable[[], Any]:
    """A command, its words in one list."""
    return command(place, *words)


COMMANDS: dict[str, list[str]] = {
    "train": ["train", *OWN, "--method", "uncertainty", "--out", "o", "--resume"],
    "train, a view": ["train", *OWN, "--method", "rotograd", "--out", "o", "--resume"],
    "search": ["search", *OWN, "--ready", "1", "--population", "2", "--out", "o", "--resume"],
    "compare": ["compare", *OWN, "--methods", "uniform,mgda", "--seeds", "1", "--out", "o", "--resume"],
}


def after_search(place: Path, found: Path, *words: str) -> Callable[[], Any]:
    """A command in a copy of what a search left."""
    shutil.copytree(found / "o", place / "o")
    return command(place, *words)


def plain(content: Any) -> Any:
    """JSON without times, and without what depends on them."""
    if isinstance(content, dict):
        return {k: plain(v) for k, v in content.items() if "second" not in k}
    return [plain(v) for v in content] if isinstance(content, list) else content


def without_times(path: Path, content: bytes) -> Any:
    """What is compared of a file."""
    if path.name == "result.json":
        return plain(json.loads(content))
    if path.name == "events.jsonl":
        return [
            {k: v for k, v in json.loads(row).items() if k not in ("seconds", "sha256")} for row in content.splitlines()
        ]
    return len(content) > 10_000 if path.suffix == ".html" else content


def products(place: Path) -> dict[str, Any]:
    """Every file that is left, as bytes; JSON of results without times."""
    found: dict[str, Any] = {}
    for path in sorted(p for p in place.rglob("*") if p.is_file() and p.name not in TIMES):
        content = path.read_bytes().replace(os.fsencode(place.resolve()), b"")
        found[path.relative_to(place).as_posix()] = without_times(path, content)
    return found
