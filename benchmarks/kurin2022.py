"""results/kurin2022.md by one command: the supervised claims of Kurin et al. 2022 on stand-ins.

    python benchmarks/kurin2022.py --out runs/kurin2022 --write results/kurin2022.md

Runs the figures below (what is there is read, so an interrupted command goes on) and writes what they found, with the
command of each. ``--parts`` chooses other data, for hours; rendered scenes want `scalarize data get rendered-scenes`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from scalarize.report import markdown
from scalarize.report import study_page as page
from scalarize.studies import registry, study
from scalarize.utils import files


@dataclass(frozen=True)
class Part:
    """Data, how long and how often they are trained on, and the questions that they are asked, by figure."""

    epochs: int
    seeds: int
    settings: Mapping[str, Any]
    questions: Mapping[str, str]
    methods: tuple[str, ...] = ()


# CelebA's protocol on a table that a perceptron overfits in some twenty epochs; a dropout is our choice, the optimiser
# is the paper's. `imtl-l` weighs the losses and nothing else: where it does as well as a row, scales were the reason.
TABLE = Part(
    40,
    5,
    {"model.dropout": 0.25, "optimizer.name": "adam"},
    {
        "figure-2": "Does any specialised optimiser beat unitary scalarization, each with its regularisation?",
        "figure-10": "What regularisation changes, optimiser by optimiser",
        "figure-5": "Onset of overfitting without regularisation",
        "figure-6": "Norm of the summed gradient without regularisation",
        "figure-12": "GradDrop beside its sign-agnostic twin",
    },
    ("imtl-l",),
)
# At the paper's learning rate of 1e-2, some starts on these pictures never leave chance.
PICTURES = Part(
    20,
    3,
    {"data.share": 0.2, "optimizer.lr": 5e-3},
    {
        "figure-1": "Does any specialised optimiser beat unitary scalarization, each with its regularisation?",
        "figure-7": "Validation and training loss over epochs",
    },
)
SCENES = Part(
    4, 3, {"batch_size": 32}, {"figure-3": "Heterogeneous tasks: each metric, and Delta_m over single-task models"}
)
PARTS = {"rand-hie": TABLE, "multi-fashion": PICTURES, "rendered-scenes": SCENES}

HEAD = """\
# Kurin et al. 2022: specialised optimisers against plain training with regularisation

Written by `python benchmarks/kurin2022.py`; every number is that of the command above it. Stand-ins for the
paper's data, much smaller and shorter than its runs: see *scaled*. Intervals: Student's t, 95 %, over seeds;
p-values corrected for the comparisons of their table (Holm). Where validation is best in the last epochs, a row was
still learning, and regularisation can only slow it: such rows are an *illustration* of the study, not evidence on
the paper's question. The column *paper* is its accuracy in percent, or its time ratio, on its own data.

On `rand-hie` the losses of the tasks lie two orders of magnitude apart, as those of the paper's data do not: plain
training on their sum is there a choice of weights that nobody would defend. `imtl-l`, which weighs losses and looks
at no gradient, is beside it for that; fixed weights inverse to the losses stand beside every method in
[methods](methods.md), and what a step costs with 40 tasks, as the paper's has, in [step-cost](step-cost.md)."""


def main(words: Sequence[str] | None = None) -> None:
    """Run, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/kurin2022")
    parser.add_argument("--write", default="results/kurin2022.md")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=["rand-hie"])
    parser.add_argument("--epochs", type=int, help="in place of each part's own")
    parser.add_argument("--seeds", type=int, help="in place of each part's own")
    parser.add_argument("--data")
    asked = parser.parse_args(words)
    found = [run(figure, workload, asked) for workload in asked.parts for figure in PARTS[workload].questions]
    files.write_text(asked.write, document(found))
    print(f"written to {asked.write}")


def run(figure: str, workload: str, asked: argparse.Namespace) -> dict[str, Any]:
    """One target; its result, with the command that makes it again and its first table as text."""
    (target,) = registry.get(f"kurin2022/{figure}")
    part = PARTS[workload]
    epochs, seeds = asked.epochs or part.epochs, asked.seeds or part.seeds
    further = part.methods if figure == "figure-2" else ()
    request = study.StudyRequest(
        target=target.name,
        workload=workload,
        budget="small",
        seeds=seeds,
        epochs=epochs,
        settings=dict(part.settings),
        data=asked.data,
        methods=further,
    )
    changed = " ".join(f"--set {key}={value}" for key, value in part.settings.items())
    command = f"scalarize reproduce {target.name} --workload {workload} --budget small --seeds {seeds}"
    command += f" --epochs {epochs} {changed}" + (f" --methods {','.join(further)}" if further else "")
    result = study.run(
        target, request, Path(asked.out) / workload, command, True, lambda line: print(line, file=sys.stderr)
    )
    page.build(Path(result["out"]))
    return result | {"command": command, "question": f"{part.questions[figure]} ({workload})"}


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
