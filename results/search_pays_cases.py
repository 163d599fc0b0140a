"""The doses of results/when_search_pays.py, their levels and the machine time of each: decided before anything ran, but
for 2.9 hours that went to gettext, whose first cell took 20 minutes, from all the other doses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from search_pays_changes import Change, keep_labels, keep_samples, leave, mix_labels, scale_loss, train_longer

from scalarize.workloads.rand_hie import TASKS

EVEN, CONSTANT, SINGLE = "even", "inverse-constant", "single-task"
BY_SIZE = {"proportional": 1.0, "temperature-2": 2.0, "temperature-5": 5.0}  # p_t ~ n_t^(1/tau)
RULES, SIZED = (EVEN, CONSTANT), (EVEN, CONSTANT, *BY_SIZE)
SEARCHES = {"random": "random", "pbt": "pbt"}


@dataclass(frozen=True)
class Dose:
    """What is varied, alone, and on which data.

    name: of its rows; title and axis: of its figure. place: the task or domain that is changed, or the main target.
    levels: in order; base: the level that changes nothing, whose trainings other doses of the same ``start`` share.
    widths: levels are the widths of two hidden layers. main: the score is that of ``place`` alone. width: of the
    initial weights of a search, the deviation of their logarithm. splits: of the data, over which repetitions go
    round. hours: of one core, allocated. first: repetitions of others that come before its own.
    """

    name: str
    title: str
    axis: str
    workload: str
    place: str
    levels: tuple[float, ...]
    change: Change
    hours: float
    base: float | None = None
    start: str = ""
    rules: tuple[str, ...] = RULES
    widths: bool = False
    main: bool = False
    width: float = 0.7
    settings: dict[str, Any] = field(default_factory=dict)
    splits: int = 10
    repetitions: int = 30
    first: int = 0


@dataclass(frozen=True)
class Cell:
    """One level of a dose in one repetition: its trainings and searches."""

    dose: Dose
    level: float
    repetition: int

    @property
    def name(self) -> str:
        """The name of its file; the same for all doses that share it."""
        return f"{row_name(self.dose, self.level)}-{self.repetition}"

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the recipe."""
        split = {"data.split_seed": self.repetition % self.dose.splits} if self.dose.splits > 1 else {}
        given = split | self.dose.settings
        return given | ({"model.widths": [int(self.level)] * 2} if self.dose.widths else {})

    @property
    def score(self) -> str:
        """The score by which epochs, members and rules are chosen, and which is reported of the test."""
        return f"main={self.dose.place}" if self.dose.main else "average"


def row_name(dose: Dose, level: float) -> str:
    """Return the name of a level's files, without the repetition."""
    return dose.start if dose.start and level == dose.base else f"{dose.name}-{level:g}"


TASK = "log-outpatient"  # changed in all doses: the one outcome that the sites are about, too
RAND: dict[str, Any] = {"batch_size": 512}  # half the price of the default 256 a pass
EMOJI: dict[str, Any] = {"epochs": 12, "data.randaugment": False, "data.side": 16, "data.tones": False}
FASHION: dict[str, Any] = {"epochs": 12, "data.share": 0.1}
GETTEXT: dict[str, Any] = {"data.epoch": 1024, "data.measured": 200, "data.beams": 0}
BASIC: dict[str, Any] = {"workload": "rand-hie", "place": TASK, "settings": RAND, "start": "rand-hie"}
MAIN: dict[str, Any] = {"rules": (SINGLE, *SIZED), "main": True, "width": 1.4}
RARE: dict[str, Any] = {"splits": 1, "repetitions": 5, "first": 10}
VENDORS: dict[str, Any] = {"workload": "emoji", "place": "twitter", "settings": EMOJI, "start": "emoji"} | RARE
PAIRS: dict[str, Any] = {"workload": "multi-fashion", "place": "left", "settings": FASHION, "start": "fashion"} | RARE
SHARES, FACTORS, MIXED = (0.02, 0.05, 0.15, 0.4, 1), (0.01, 0.1, 1, 10, 100), (0, 0.25, 0.5, 0.75, 1)


def _main(task: str) -> Dose:
    """Return the dose of one outcome as the main target, the others keep all of their labels."""
    axis, levels = "labelled training rows of the main target", (300, 1000, 3000)
    return Dose(
        f"main-{task}", f"Main target {task}", axis, "rand-hie", task, levels, keep_labels, 0.46, settings=RAND, **MAIN
    )


DOSES = (
    Dose("scale", "Scale of one loss", f"factor of the loss of {TASK}", levels=FACTORS, change=scale_loss, hours=0.65,
         base=1, **BASIC),
    Dose("labels", "Labels present in one task", f"share of rows with a label of {TASK}",
         levels=(0.01, 0.03, 0.1, 0.3, 1), change=keep_labels, hours=0.6, base=1, rules=SIZED, **BASIC),
    Dose("noise", "Label noise in one task", f"share of rows whose labels of {TASK} are exchanged", levels=MIXED,
         change=mix_labels, hours=0.52, base=0, **BASIC),
    Dose("samples", "Samples of one domain", "share of the samples of site-6", "rand-hie-sites", "site-6",
         levels=SHARES, change=keep_samples, hours=0.31, rules=SIZED),
    Dose("units", "Size of the model", "units in each of two hidden layers", levels=(8, 32, 64, 128, 512),
         change=leave, hours=1.16, base=64, widths=True, **BASIC),
    Dose("length", "Length of training", "passes over the data", levels=(3, 6, 12, 24, 48), change=train_longer,
         hours=0.79, base=12, **BASIC),
    *(_main(task.name) for task in TASKS),
    Dose("emoji-samples", "Samples of one vendor (emoji)", "share of twitter's drawings", levels=SHARES,
         change=keep_samples, hours=1.2, base=1, rules=SIZED, **VENDORS),
    Dose("emoji-noise", "Label noise in one vendor (emoji)", "share of twitter's drawings whose labels are exchanged",
         levels=MIXED, change=mix_labels, hours=0.95, base=0, rules=SIZED, **VENDORS),
    Dose("fashion-scale", "Scale of one loss (multi-fashion)", "factor of the loss of the left picture",
         levels=FACTORS, change=scale_loss, hours=1.16, base=1, **PAIRS),
    Dose("fashion-labels", "Labels present in one task (multi-fashion)",
         "share of pairs with a label of the left picture", levels=SHARES, change=keep_labels, hours=1.06, base=1,
         rules=SIZED, **PAIRS),
    Dose("main-emoji", "Main target twitter (emoji)", "training drawings of the main target", levels=(50, 150, 500),
         change=keep_samples, hours=0.72, **(VENDORS | MAIN | {"start": ""})),
    Dose("main-gettext", "Main target Romanian beside French (gettext)", "training pairs of the main target",
         "gettext-fr-ro", "ro", levels=(300, 610), change=keep_samples, hours=3.66, settings=GETTEXT,
         **(MAIN | RARE | {"first": 11})),
)  # fmt: skip
ALLOCATED = sum(d.hours for d in DOSES)


def cells(first: int = 0) -> Iterator[Cell]:
    """Yield every cell once, of repetitions from ``first`` on; outermost the repetition, so that at any moment all
    levels have as many."""
    places = {(d.first + k, place, k): d for place, d in enumerate(DOSES) for k in range(first, d.repetitions)}
    seen = set()
    for key in sorted(places):
        for level in places[key].levels:
            cell = Cell(places[key], level, key[2])
            if cell.name not in seen:
                seen.add(cell.name)
                yield cell
