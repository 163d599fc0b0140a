"""Makes ``old/``: directories that a build left behind, finished or killed, for later builds to go on with.

python tests/same_product/make_old.py      run with the build of which directories are kept, rarely again

``old/expected.json`` holds the hashes and numbers of the same runs when nobody interrupts them.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import record

from scalarize import cli

OLD = Path(__file__).with_name("old")
TINY = "--tasks any-mental,visits-other --set batch_size=4096 --set model.widths=[4]"
SGD = "--set optimizer.name=sgd"  # fewer tensors to keep
SEARCH = f"search rand-hie --epochs 3 --ready 1 --quantile 0.5 {TINY}"
KILLED, SOONER = "generation 1, member 0", "generation 0, member 1"
IMPLIED = "implied.json"  # the policy that the finished training used
# Directory -> its words, and the progress at which the process is killed (None: it ends).
RUNS: dict[str, tuple[str, str | None]] = {
    "train-finished": (f"train rand-hie --epochs 1 --method pcgrad {TINY}", None),
    "train-killed": (f"train rand-hie --epochs 4 --method famo {TINY}", "epoch 3/4"),
    "train-killed-view": (f"train rand-hie --epochs 4 --method rotograd {SGD} {TINY}", "epoch 3/4"),
    "search-finished": (f"{SEARCH} --algorithm mopbt --population 4", None),
    "search-killed": (f"{SEARCH} --algorithm pbt --population 2", KILLED),
    "search-killed-bandit": (f"{SEARCH} --algorithm pb2 --population 2 --also optimizer.lr=log:0.01:1 {SGD}", KILLED),
    "search-killed-asynchronous": (f"{SEARCH} --algorithm pbt --population 2 --asynchronous {SGD}", SOONER),
}
LAST_CHECKPOINT = "epoch 2/4"  # of a training: what was recorded after it must be forgotten


class Watched(io.StringIO):
    """Stderr that kills this process, as ``kill -9`` would, once ``end`` is written."""

    def __init__(self, end: str) -> None:
        super().__init__()
        self.end, self.saving = end, True

    def write(self, text: str) -> int:
        if self.end in text:
            os._exit(9)
        self.saving = self.saving and LAST_CHECKPOINT not in text
        return super().write(text)


def kill_at(end: str, words: list[str]) -> None:
    """Run in this process, which does not survive it."""
    sys.stderr = watched = Watched(end)
    real, calls = time.perf_counter, iter(range(10**9))
    time.perf_counter = lambda: real() + 10 * next(calls) * watched.saving  # a checkpoint is due each epoch
    cli.main(words)


def leave(words: list[str], end: str | None, out: str) -> dict[str, Any]:
    """The directory ``out`` as it is left behind, and what the same words lead to undisturbed."""
    if end is None:
        return record.seen(words, out)
    again = [sys.executable, __file__, end, *words, "--out", out]
    assert subprocess.run(again).returncode == 9, f"{out}: was not killed"
    return record.seen(words, f"whole-{out}")


def main() -> None:
    """All of ``RUNS``."""
    shutil.rmtree(OLD, ignore_errors=True)
    cases = {}
    with tempfile.TemporaryDirectory() as place, record.inside(Path(place)):
        for name, (words, end) in RUNS.items():
            cases[name] = leave(words.split(), end, name)
            shutil.copytree(name, OLD / name, ignore=shutil.ignore_patterns(".lock"))
        record.call(["policy", "train-finished", "--out", IMPLIED])
        shutil.copy(IMPLIED, OLD / IMPLIED)
    content = {"commit": record.commit(), "fingerprint": record.fingerprint(), "cases": cases}
    (OLD / "expected.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        kill_at(sys.argv[1], sys.argv[2:])
    else:
        main()
