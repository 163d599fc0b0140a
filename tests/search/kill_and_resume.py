"""Run by test_faults.py in a process of its own: kill -9 a search at random moments, resume it, compare bytes.

usage: kill_and_resume.py DIRECTORY ALGORITHM KILLS SEED; prints how many kills found the search still running.
"""

import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import botorch  # noqa: F401  (loaded before the forks, as is torch, so that a child begins at once)

import scalarize.search
from scalarize.search.toy_problems import Noisy


class Slow(Noisy):
    """A training that takes a moment, so that most kills hit one."""

    def train(self, policy, until_epoch):
        time.sleep(0.002)
        super().train(policy, until_epoch)


def start(out, algorithm):
    """The search in a child process; its process id."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            groups = [Slow.tasks[1:3]] if algorithm == "grid" else []  # it searches at most three weights
            scalarize.search(Slow, epochs=12, population=6, algorithm=algorithm, groups=groups, out=out, resume=True)
            status = 0
        finally:
            os._exit(status)
    return child


def main(directory, algorithm, kills, seed):
    rng = random.Random(seed)
    begun = time.monotonic()
    assert os.waitpid(start(directory / "whole", algorithm), 0)[1] == 0
    duration = time.monotonic() - begun
    whole = [(directory / "whole" / name).read_bytes() for name in ("lineage.jsonl", "policy.json")]
    hits = 0
    for kill in range(kills):
        out = directory / f"killed-{kill}"
        for _ in range(rng.choice([1, 1, 2, 3])):
            child = start(out, algorithm)
            time.sleep(rng.uniform(0, duration))
            os.kill(child, signal.SIGKILL)
            hits += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        assert os.waitpid(start(out, algorithm), 0)[1] == 0, f"kill {kill}: the search did not resume"
        found = [(out / name).read_bytes() for name in ("lineage.jsonl", "policy.json")]
        assert found == whole, f"kill {kill}: other bytes after resumption"
    print(hits)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
