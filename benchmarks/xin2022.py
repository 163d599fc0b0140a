"""results/xin2022.md by one command: the translation claims of Xin et al. 2022 on messages of programs (gettext).

    scalarize data get gettext
    python benchmarks/xin2022.py --out runs/xin2022 --write results/xin2022.md

Runs the targets below (what is there is read, so an interrupted command goes on) and writes what they found, with the
command of each. Targets that look at the same trainings share them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from scalarize.report import markdown
from scalarize.report import study_page as page
from scalarize.studies import registry, study
from scalarize.utils import files

QUESTIONS = {
    "gettext-fr-zh": {
        "figure-2": "Does any optimiser reach beyond the front of proportional sampling? French and Chinese",
        "figure-3": "Do the optimisers' weights move over training?",
        "figure-13": "The same front in token errors",
        "figure-14": "The same front in BLEU",
        "figure-6-left": "Does a sparse grid of learning rates decide more than the seed?",
        "figure-6-right": "Does the ranking depend on the utility?",
        "figure-7": "Does a deeper model move the front?",
        "table-2": "What do per-task gradients and depth cost?",
    },
    "gettext-fr-ro": {
        "figure-5": "French and Romanian, which has 610 pairs: is there a front on the test set?",
    },
}
SEEDS = 5  # at least, of the best learning rate beside sparse grids
LESS = {"figure-7": {"budget": "tiny", "seeds": 1}}  # a training of the deepest model costs several of the others
SHOWN = {
    "contrast": ["row", "kind", "mean", "low", "high", "million parameters", "units a second", "paper steps"],
    "two-tasks": ["row", "weight", "rate", "seed", "x", "y", "line"],
    "utility": ["row", "u", "test"],
}

HEAD = """\
# Xin et al. 2022: optimisers against proportional sampling, on messages of programs

Written by `python benchmarks/xin2022.py`; every number is that of the command above it. The text is that of
gettext (`scalarize data get gettext`), not WMT: models, data and trainings are far smaller than the paper's,
see *scaled*. Test: the best epoch on validation; train: the last epoch, on a sample of the training pairs.
Learning rates are in the paper's units, 0.5 its best; intervals are Student's, 95 %, over seeds.

Where `--set optimizer.lr` stands in a command, one learning rate serves all its rows: none is tuned on its own. Where
there are two seeds they are one fewer than this project asks of a result: an *illustration*."""


def main(words: Sequence[str] | None = None) -> None:
    """Run, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/xin2022")
    parser.add_argument("--write", default="results/xin2022.md")
    parser.add_argument("--budget", default="small")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", action="append", default=[], metavar="TARGET", help="as in figure-5; repeatable")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="recipe settings")
    parser.add_argument("--data")
    asked = parser.parse_args(words)
    found = []
    for workload, questions in QUESTIONS.items():
        for name, question in questions.items():
            if not asked.only or name in asked.only:
                found.append(run(workload, name, question, asked))
                files.write_text(asked.write, document(found))  # so far: what comes may take hours
    print(f"written to {asked.write}")


def run(workload: str, name: str, question: str, asked: argparse.Namespace) -> dict[str, Any]:
    """One target; its result, with the command that makes it again."""
    from scalarize.learners.recipe import parse_settings

    (target,) = registry.get(f"xin2022/{name}")
    sweeps = name == "figure-6-left"  # learning rates are its axis, and seeds the other half of its comparison
    seeds = max(asked.seeds, SEEDS) if sweeps else asked.seeds
    changes = [s for s in asked.set if not (sweeps and s.startswith("optimizer.lr="))]
    sizes = {"budget": asked.budget, "seeds": seeds, "epochs": asked.epochs} | LESS.get(name, {})
    request = study.StudyRequest(
        target=target.name, workload=workload, settings=parse_settings(changes), data=asked.data, **sizes
    )
    command = f"scalarize reproduce {target.name} --workload {workload}"
    command += "".join(f" --{key} {value}" for key, value in sizes.items()) + "".join(f" --set {s}" for s in changes)
    place = Path(asked.out) / workload
    result = study.run(target, request, place, command, True, lambda line: print(line, file=sys.stderr))
    page.build(Path(result["out"]))
    return result | {"command": command, "question": question}


def document(found: Sequence[Mapping[str, Any]]) -> str:
    """The page: the studies' own sentences, their tables, and what was scaled."""
    return markdown.document(HEAD.splitlines(), found, choose)


def choose(kind: str, frame: pd.DataFrame) -> pd.DataFrame | None:
    """The columns that matter."""
    return frame[[c for c in SHOWN[kind] if c in frame]] if kind in SHOWN else None


if __name__ == "__main__":
    main()
