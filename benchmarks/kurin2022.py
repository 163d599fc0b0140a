"""results/kurin2022.md by one command: the supervised claims of Kurin et al. 2022 on stand-ins.

    python benchmarks/kurin2022.py --out runs/kurin2022 --write results/kurin2022.md

Runs the figures below (what is there is read, so an interrupted command goes on) and writes what they found, with the
command of each. ``--dense`` adds Cityscapes' figures on the rendered scenes (`scalarize data get rendered-scenes`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from scalarize import files
from scalarize.report import markdown
from scalarize.report import study as page
from scalarize.studies import study, targets

QUESTIONS = {
    "figure-2": "Does any specialised optimiser beat unitary scalarization, each with its regularisation?",
    "figure-10": "What regularisation changes, optimiser by optimiser",
    "figure-5": "Onset of overfitting without regularisation",
    "figure-6": "Norm of the summed gradient without regularisation",
    "figure-12": "GradDrop beside its sign-agnostic twin",
}
DENSE = {"figure-3": "Heterogeneous tasks: each metric, and Delta_m over single-task models"}
SETTINGS = {"data.share": 0.05, "batch_size": 128}
DENSE_SETTINGS = {"batch_size": 32}

HEAD = """\
# Kurin et al. 2022: specialised optimisers against plain training with regularisation

Written by `python benchmarks/kurin2022.py`; every number is that of the command above it. Stand-ins for the
paper's data, much smaller and shorter than its runs: see *scaled*. Intervals: Student's t, 95 %, over seeds;
p-values corrected for the comparisons of their table (Holm). Where validation is best in the last epochs, a row was
still learning, and regularisation can only slow it: such rows are an *illustration* of the study, not evidence on
the paper's question. The column *paper* is its accuracy in percent, or its time ratio, on its own data."""


def main(words: Sequence[str] | None = None) -> None:
    """Run, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/kurin2022")
    parser.add_argument("--write", default="results/kurin2022.md")
    parser.add_argument("--workload", default="multi-fashion")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data")
    parser.add_argument("--dense", action="store_true")
    asked = parser.parse_args(words)
    shared = SETTINGS if asked.workload.startswith("multi-") else {}
    found = [run(name, asked.workload, asked.epochs, shared, asked) for name in QUESTIONS]
    if asked.dense:
        found += [run(name, "rendered-scenes", max(2, asked.epochs // 4), DENSE_SETTINGS, asked) for name in DENSE]
    files.write_text(asked.write, document(found))
    print(f"written to {asked.write}")


def run(
    name: str, workload: str, epochs: int, settings: Mapping[str, Any], asked: argparse.Namespace
) -> dict[str, Any]:
    """One target; its result, with the command that makes it again and its first table as text."""
    (target,) = targets.get(f"kurin2022/{name}")
    request = study.StudyRequest(
        target=target.name,
        workload=workload,
        budget="small",
        seeds=asked.seeds,
        epochs=epochs,
        settings=dict(settings),
        data=asked.data,
    )
    changed = " ".join(f"--set {key}={value}" for key, value in settings.items())
    command = f"scalarize reproduce {target.name} --workload {workload} --budget small --seeds {asked.seeds}"
    command += f" --epochs {epochs} {changed}".rstrip()
    result = study.run(
        target, request, Path(asked.out) / workload, command, True, lambda line: print(line, file=sys.stderr)
    )
    page.build(Path(result["out"]))
    return result | {"command": command, "question": (QUESTIONS | DENSE)[name]}


def document(found: Sequence[Mapping[str, Any]]) -> str:
    """The page: an answer in the studies' own sentences, the tables of averages and times, what was scaled."""
    return markdown.document(HEAD.splitlines(), found, choose)


def choose(kind: str, frame: pd.DataFrame) -> pd.DataFrame | None:
    """The rows and columns that matter."""
    if kind == "comparison":
        return frame[frame["task"] == "average"][["method", "mean", "low", "high", "seeds", "paper"]]
    if kind == "ratios":
        frame = frame[["method", "to_bare", "to_bare_low", "to_bare_high", "paper"]]
        return frame.rename(columns={"to_bare": "ratio", "to_bare_low": "low", "to_bare_high": "high"})
    return frame.drop(columns="deviation", errors="ignore") if kind == "contrast" else None


if __name__ == "__main__":
    main()
