"""Run by test_workers.py in a process of its own: kill -9 a command or one of its processes, resume, compare tables.

usage: kill_a_plan.py DIRECTORY KILLS SEED WORD...; prints how many kills found what they looked for.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# Every set goes to workers, however small.
COMMAND = "from scalarize.utils.workers import crew; crew.WORTH_IT = 0.0; from scalarize.cli import main; main()"


def start(place: Path, words: list[str]) -> subprocess.Popen[bytes]:
    """Begin the command in a place of its own, or go on with it there."""
    place.mkdir(exist_ok=True)
    command = [sys.executable, "-c", COMMAND, *words, "--workers", "2", "--out", "o", "--resume"]
    return subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def descendants(process: int) -> list[int]:
    """The processes that a process has begun, and those that they have."""
    found: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        found.setdefault(parent, []).append(int(path.parent.name))
    below, todo = [], [process]
    while todo:
        own = found.get(todo.pop(), [])
        below += own
        todo += own
    return below


def table(out: Path) -> list[Any]:
    """What the command found, without times."""

    def plain(content: Any) -> Any:
        if isinstance(content, dict):
            return {k: plain(v) for k, v in content.items() if "seconds" not in k}
        return [plain(v) for v in content] if isinstance(content, list) else content

    own = sorted(out.rglob("result.json"))
    records = sorted(p for p in out.rglob("*.jsonl") if p.name in ("records.jsonl", "lineage.jsonl"))
    results = [plain(json.loads(p.read_text())) for p in own]
    return [results, [(str(p.relative_to(out)), p.read_text()) for p in records]]


def main(directory: Path, kills: int, seed: int, words: list[str]) -> None:
    """Compare tables."""
    rng = random.Random(seed)
    begun = time.monotonic()
    assert start(directory / "whole", words).wait() == 0
    duration, whole = time.monotonic() - begun, table(directory / "whole")
    assert whole[0]
    hits = 0
    for kill in range(kills):
        out = directory / f"killed-{kill}"
        driver = start(out, words)
        time.sleep(rng.uniform(0.3, 0.9) * duration)
        others = descendants(driver.pid)
        victim = rng.choice(others) if others and kill % 2 else driver.pid
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile, and is no hit
            os.kill(victim, signal.SIGKILL)
            hits += driver.poll() is None or victim == driver.pid
        if driver.wait() != 0:
            assert victim == driver.pid, f"kill {kill}: a death of one of its processes ended the command"
            assert start(out, words).wait() == 0, f"kill {kill}: the command did not resume"
        assert table(out) == whole, f"kill {kill}: another table after resumption"
        assert not list(out.rglob(".workers")), f"kill {kill}: shared arrays are left behind"
    print(hits)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
