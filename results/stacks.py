"""A step of the Balancer in real training stacks, beside a reference that shares no code with it: results/stacks.md.

    python results/stacks.py > results/stacks.md        # needs the extra `test`; minutes on two cores
    python results/stacks.py --only LSTM --only Trainer # the rows whose name has one of these words

A new stack is a function in `stacks_modules.py`, `stacks_steps.py` or `stacks_functions.py` that returns its losses,
representation and shared parameters, or one in `stacks_loops.py` that runs somebody's loop and returns how far off its
parameters end.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time
import warnings
from importlib.metadata import version

import stacks_case
import stacks_functions  # noqa: F401  # registers its stacks
import stacks_loops
import stacks_modules  # noqa: F401  # registers its stacks
import stacks_steps  # noqa: F401  # registers its stacks
import torch

from scalarize.utils.errors import RequestError

METHODS = ["uniform", "uncertainty", "pcgrad", "mgda", "cagrad", "nash-mtl", "famo", "imtl-g", "graddrop"]
LEVELS = ["parameters", "representation"]
PACKAGES = ["torch", "lightning", "transformers", "accelerate", "peft", "schedulefree", "timm"]


class Table:
    """Cells of one row a stack and level, and the numbered sentences of refusals."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []
        self.sentences: list[str] = []
        self.counts = {"right": 0, "refused": 0, "wrong": 0}

    def cell(self, outcome: float | Exception, tolerance: float) -> str:
        """What one outcome is called."""
        if isinstance(outcome, float):
            kind = "right" if outcome <= tolerance else "wrong"
            self.counts[kind] += 1
            return f"{outcome:.0e}" if kind == "right" else f"**WRONG {outcome:.0e}**"
        kind = "refused" if isinstance(outcome, RequestError) else "wrong"
        self.counts[kind] += 1
        name = "" if kind == "refused" else f"{type(outcome).__name__}: "
        sentence = name + " ".join(str(outcome).split())[:400]
        if sentence not in self.sentences:
            self.sentences.append(sentence)
        number = self.sentences.index(sentence) + 1
        return f"refused {number}" if kind == "refused" else f"**ERROR {number}**"

    def add(self, name: str, level: str, outcomes: list[float | Exception], tolerance: float) -> None:
        """One row."""
        self.rows.append([name, level, *(self.cell(x, tolerance) for x in outcomes)])

    def markdown(self) -> str:
        """The page's tables."""
        head = ["stack", "level", *METHODS]
        lines = [head, ["---"] * len(head), *self.rows]
        told = [f"{k}. {sentence}" for k, sentence in enumerate(self.sentences, 1)]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n\n" + "\n".join(told)


def outcome(name: str, method: str, level: str) -> float | Exception:
    """The relative error of one step (or training), or what it raised."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            return stacks_case.run(stacks_case.STACKS[name][0], method, level)
        except Exception as error:
            return error


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], help="rows whose name has this word (repeatable)")
    only = parser.parse_args().only
    torch.set_num_threads(1)
    table, start = Table(), time.monotonic()

    def wanted(name: str) -> bool:
        return not only or any(word.lower() in name.lower() for word in only)

    for name, (_, tolerance) in stacks_case.STACKS.items():
        if wanted(name):
            for level in LEVELS:
                table.add(name, level, [outcome(name, m, level) for m in METHODS], tolerance)
            print(f"{time.monotonic() - start:4.0f} s {name}", file=sys.stderr)
    for name, level, outcomes, tolerance in stacks_loops.rows(METHODS, LEVELS, wanted):
        table.add(name, level, outcomes, tolerance)
        print(f"{time.monotonic() - start:4.0f} s {name}, {level}", file=sys.stderr)
    print(page(table))


def page(table: Table) -> str:
    """The text of results/stacks.md."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    counts = ", ".join(f"{n} {kind}" for kind, n in table.counts.items())
    return f"""# One step in real training stacks

`python results/stacks.py > results/stacks.md`; {versions}; CPU.

Every cell is one method at one level in one stack: the largest error of `.grad` relative to the largest entry of each
parameter's reference (module and step stacks), or the error of the way that all parameters went (fused optimisers and
other people's loops, several steps). The reference (`results/stacks_reference.py`) makes a fresh forward and one
`torch.autograd.grad` per task, combines them with the method's own `combine_gradients` or `combine_losses` in float64,
and shares no code with the Balancer. A stack is right below 2e-3, and below 3e-2 if it computes in bfloat16 or
float16. "refused N" is a RequestError before anything is trained, whose sentence stands below the table. A wrong
gradient and an error of another kind would stand in bold type.

{counts}.

{table.markdown()}
"""


if __name__ == "__main__":
    main()
