"""How often an advice is wrong, and how often it finds what is there: simulated worlds, and null sets of real rows.

    python results/advise.py --out results/advise.md --store runs/advise

Simulated: 200 worlds in which nothing can be gained, and 60 of each planted optimum. Real: 20 null data sets made from
``rand-hie`` by splitting one outcome into four copies, each a whole advice at the default budget. Resumable: what
``--store`` holds is read.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import advise_copies
import advise_simulated as simulated

from scalarize.analysis import text_tables
from scalarize.utils import files

BUDGET = 60
HEADS = ["set", "answer", "best other", "gain x 100", "trainings"]
ANSWERS = ("even", "rule", "search", "undecided")


SIMULATED = """\
Four tasks; scores vary by seed, partly in common for all weights; validation and test samples have a luck of
their own, which depends on the weights and is shared by all seeds. `flat`: no weights gain anything; `even`: even
ones gain most. The four rules of the race waver around even weights. Planted: the best weights lie in a random
direction, and gain so much over even ones; noise: deviation of a training's average metric, beside as much that is
common to a seed."""
PARTLY = """\
A search finds only a part of what is planted, since it chooses by noisy scores, and its policy has to beat even weights
and the best rule on both splits. What is missed mostly ends *undecided*, with the number of trainings that would tell;
*even* there means that the policy that was found gained nothing. The difference of two trainings of one seed deviates
by 1.4 times the noise; the optimum that this budget is meant to find is 5 such deviations (0.15 and noise 0.02)."""
REAL = """\
One of the seven outcomes of `rand-hie`, in turns, as four tasks, each with the labels of a random quarter of the
rows: no weights can gain anything, whatever the luck of the labels. `gain`: of the best other contender over even
weights, on the test split."""


def worlds(name: str, count: int, store: Path) -> list[str]:
    """Answers in so many worlds of a name; those that ``store`` holds are read."""
    place = store / "worlds.jsonl"
    known = {(r["name"], r["number"]): r["answer"] for r in (files.read_lines(place) if place.exists() else [])}
    for number in range(count):
        if (name, number) not in known:
            answer = simulated.advise(simulated.case(name, number), BUDGET).kind.value
            known[name, number] = answer
            files.append_lines(place, [{"name": name, "number": number, "answer": answer}])
    return [known[name, number] for number in range(count)]


def share(answers: Sequence[str], *wanted: str) -> str:
    """So many of all, in percent."""
    count = sum(answer in wanted for answer in answers)
    return f"{count} of {len(answers)} ({count / len(answers):.1%})"


def report(
    command: str,
    null: Mapping[str, Sequence[str]],
    found: Mapping[str, Sequence[str]],
    real: Sequence[Mapping[str, Any]],
) -> str:
    """The whole of the file."""
    everything = [answer for answers in null.values() for answer in answers]
    rows = []
    for name, answers in {**null, **found}.items():
        counted = Counter(answers)
        rows.append([name, str(len(answers)), *(str(counted[a]) for a in ANSWERS)])
    lines = [
        "# How far an advice can be trusted",
        "",
        f"Made by `{command}`.",
        f"Every advice races at a budget of {BUDGET} trainings, the default.",
        "",
        "## Simulated worlds",
        "",
        SIMULATED,
        "",
        "```",
        text_tables.render(["world", "races", *ANSWERS], rows),
        "```",
        "",
        f"Nothing to be found: *this rule* or *search* falsely in {share(everything, 'rule', 'search')}.",
        "",
        *(
            f"- {name}: found in {share(answers, 'search' if name.startswith('a search') else 'rule')}."
            for name, answers in found.items()
        ),
        "",
        PARTLY,
        "",
        "## Null data sets of real rows",
        "",
        REAL,
        f"{advise_copies.EPOCHS} epochs, batches of {advise_copies.SETTINGS['batch_size']}.",
        "",
        "```",
        text_tables.render(
            ["set", "answer", "best other", "gain x 100", "trainings"], [_row(k, a) for k, a in enumerate(real)]
        ),
        "```",
        "",
        f"*This rule* or *search* falsely in {share([a['answer'] for a in real], 'rule', 'search')}; even weights in "
        f"{share([a['answer'] for a in real], 'even')}.",
    ]
    return "\n".join(lines) + "\n"


def _row(number: int, said: Mapping[str, Any]) -> list[str]:
    gain = f"{100 * said['gain']:+.2f} [{100 * said['low']:+.2f}, {100 * said['high']:+.2f}]"
    return [str(number), said["answer"], said["best_other"], gain, f"{said['trainings']:g}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/advise.md"))
    parser.add_argument("--store", type=Path, default=Path("runs/advise"))
    parser.add_argument("--null", type=int, default=200, help="simulated worlds with nothing to find")
    parser.add_argument("--planted", type=int, default=60, help="worlds of each planted optimum")
    parser.add_argument("--sets", type=int, default=20, help="null data sets of real rows")
    args = parser.parse_args()
    args.store.mkdir(parents=True, exist_ok=True)
    null = {name: worlds(name, args.null // len(simulated.NULL), args.store) for name in simulated.NULL}
    found = {name: worlds(name, args.planted, args.store) for name in simulated.PLANTED}
    real = []
    for number in range(args.sets):
        real.append(advise_copies.advice(number, args.store))
        print(number, json.dumps({k: real[-1][k] for k in ("answer", "gain", "low", "high")}), flush=True)
    default = {"--out": Path("results/advise.md"), "--store": Path("runs/advise")}
    more = [f"{name} {getattr(args, name[2:])}" for name, value in default.items() if getattr(args, name[2:]) != value]
    counts = {"null": 200, "planted": 60, "sets": 20}
    more += [f"--{name} {getattr(args, name)}" for name, value in counts.items() if getattr(args, name) != value]
    files.write_text(args.out, report(" ".join(["python results/advise.py", *more]), null, found, real))


if __name__ == "__main__":
    main()
