"""A table of a million rows and a hundred columns: memory and time of reading and preparing it, beside pandas alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROWS, COLUMNS, WORDS = 1_000_000, 100, 5
TARGETS = ["y0", "y1"]

# Each is a process of its own: peaks of memory cannot be told apart within one.
BEFORE = """
import json, resource, sys, time
import numpy, pandas, torch
from pathlib import Path
from scalarize.workloads.table import workload
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
path, start, clock = Path(sys.argv[1]), peak(), time.process_time()
"""
PANDAS = "frame = pandas.read_csv(path)\nsize = int(frame.memory_usage(deep=True).sum())\n"
OURS = """
table = workload.from_file(path, ["y0", "y1"])
data = table.load(table.recipe.data, Path("."))
size = sum(source.inputs.nbytes for source in data.domains["table"].splits.values())
"""
AFTER = "print(json.dumps({'seconds': time.process_time() - clock, 'peak': peak() - start, 'size': size}))\n"


def write(path: Path) -> None:
    """Write the table, a slice at a time: numbers, a few columns of words, some cells missing, two targets."""
    draw = np.random.default_rng(0)
    words = np.array([f"word {k}" for k in range(30)])
    for start in range(0, ROWS, 50_000):
        size = min(50_000, ROWS - start)
        values = draw.normal(size=(size, COLUMNS - WORDS - len(TARGETS))).round(4)
        values[draw.random(values.shape) < 0.01] = np.nan
        frame = pd.DataFrame(values, columns=[f"x{k}" for k in range(values.shape[1])])
        for k in range(WORDS):
            frame[f"w{k}"] = words[draw.integers(0, len(words), size)]
        frame["y0"] = (np.nan_to_num(values[:, 0]) + draw.normal(size=size)).round(4)
        frame["y1"] = np.where(np.nan_to_num(values[:, 1]) + draw.normal(size=size) > 0, "yes", "no")
        frame.to_csv(path, mode="a" if start else "w", header=not start, index=False)


def measured(place: Path) -> dict[str, Any]:
    """Measure both, in a process each: CPU seconds, and bytes of the peak above the imports and of the result."""
    place.mkdir(parents=True, exist_ok=True)
    path = place / "large.csv"
    write(path)
    found: dict[str, Any] = {"file": path.stat().st_size}
    for name, body in (("pandas", PANDAS), ("scalarize", OURS)):
        command = [sys.executable, "-c", BEFORE + body + AFTER, str(path)]
        done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        found[name] = json.loads(done.stdout.splitlines()[-1])
    path.unlink()
    return found
