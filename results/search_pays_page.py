"""The page results/when-search-pays.md, from the files of cells that results/when_search_pays.py has measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import search_pays_words as words
from search_pays_cases import ALLOCATED, BY_SIZE, CONSTANT, DOSES, EVEN, SEARCHES, SINGLE, Dose, row_name
from search_pays_figures import figure
from search_pays_numbers import BEST_RULE, LAST, Found, Pairs, averaged, cost, grown, pairs, preferred, score

from scalarize.analysis import statistics
from scalarize.report.charts import Chart

Cells = Mapping[str, Sequence[Found]]  # row -> its cells
FEWEST = 3  # units of a row that is shown
POINTS = 100  # metrics lie between 0 and 1
# Columns of gains over the best free rule: heading -> the contender, and the epoch that is tested.
GAINS = {"Random search": ("random", "best"), "PBT": ("pbt", "best"), "PBT, last epoch": ("pbt", LAST)}


def page(cells: Cells, used: Mapping[str, float]) -> tuple[str, list[Chart]]:
    """Return the page, and the figures that it shows, by the names of their files."""
    parts, charts = [words.HEAD, allocation(cells, used)], []
    ordinary, mains = [d for d in DOSES if not d.main], [d for d in DOSES if d.main]
    parts.append(closing(cells))
    parts.append("## One dose at a time\n\n" + words.DOSES)
    for dose in ordinary:
        if not any(enough(own, dose) for own in levels(cells, dose).values()):
            continue
        charts.append(figure(dose.title, dose.axis, gains_by_level(cells, dose)))
        parts.append(section(cells, dose, charts[-1]))
    parts.append("## One main target, the others as auxiliaries\n\n" + words.MAIN)
    for workload in dict.fromkeys(d.workload for d in mains):
        own = [d for d in mains if d.workload == workload]
        doses = [d for d in own if all(enough(found, d) for found in levels(cells, d).values())]
        if not doses:
            continue
        title = f"Main target ({workload})"
        charts.append(figure(title, doses[0].axis, pooled_by_level(cells, doses)))
        parts.append(main_section(cells, workload, doses, charts[-1]))
    return "\n\n".join(part.rstrip() for part in parts) + "\n", charts


def levels(cells: Cells, dose: Dose) -> dict[float, Sequence[Found]]:
    """Return the cells of each level."""
    return {level: cells.get(row_name(dose, level), []) for level in dose.levels}


def enough(own: Sequence[Found], dose: Dose) -> bool:
    """Return True if an interval says something: at least three splits, or three draws on the only one."""
    return len({c["split"] if dose.splits > 1 else c["repetition"] for c in own}) >= FEWEST


def gain(own: Sequence[Found], dose: Dose, heading: str) -> Pairs:
    """Pair a search with the best free rule, measured alike."""
    name, when = GAINS[heading]
    return pairs(own, score(name, when), score(BEST_RULE, when, own), dose.splits > 1)


def gains_by_level(cells: Cells, dose: Dose) -> dict[str, dict[float, statistics.Difference]]:
    """Return heading -> level -> gain over the best free rule."""
    known = {level: own for level, own in levels(cells, dose).items() if enough(own, dose)}
    return {h: {level: gain(own, dose, h).difference() for level, own in known.items()} for h in GAINS}


def pooled_by_level(cells: Cells, doses: Sequence[Dose]) -> dict[str, dict[float, statistics.Difference]]:
    """Return heading -> level -> gain over the best free rule, averaged over the main targets."""
    return {h: {x: pooled(cells, doses, x, *GAINS[h]).difference() for x in doses[0].levels} for h in GAINS}


def pooled(cells: Cells, doses: Sequence[Dose], level: float, row: str, when: str, other: str = BEST_RULE) -> Pairs:
    """Pair two contenders at a level, averaged over the main targets."""
    groups = [levels(cells, d)[level] for d in doses]
    return averaged(groups, row, other, when, doses[0].splits > 1)


def section(cells: Cells, dose: Dose, chart: Chart) -> str:
    """Return table, figure and verdicts of a dose."""
    known, several = {x: own for x, own in levels(cells, dose).items() if enough(own, dose)}, dose.splits > 1
    over_even = {x: pairs(own, score(BEST_RULE, cells=own), score(EVEN), several) for x, own in known.items()}
    over_random = {x: pairs(own, score("pbt"), score("random"), several) for x, own in known.items()}
    rows = []
    for level, own in known.items():
        of_rule = [preferred(own), f"{words.mean(own, score(BEST_RULE, cells=own)):.2f}"]
        even = shown(over_even[level].difference())
        last = [shown(over_random[level].difference()), str(len(own))]
        rows.append([f"{level:g}", *of_rule, even, *gain_cells(own, dose), *last])
    head = [dose.axis, "best free rule", "its score", "it over even", *GAINS, "PBT over random", "units"]
    judged = {
        f"{name} over the best free rule": {x: gain(own, dose, name) for x, own in known.items()} for name in GAINS
    }
    judged |= {"PBT over random search at as many trainings": over_random}
    judged |= {"The best free rule over even weights": over_even}
    if dose.base in known:
        ends = [x for x in (dose.levels[0], dose.levels[-1]) if x in known and x != dose.base]
        more = {x: grown(known[dose.base], known[x], "pbt", several) for x in ends}
        judged |= {"PBT gains more at the ends of the scale than without the dose": more}
    return "\n\n".join([f"### {dose.title}", words.table(head, rows), words.image(chart), verdicts(judged, dose.axis)])


def verdicts(judged: Mapping[str, Mapping[float, Pairs]], axis: str) -> str:
    """Judge claims, each of one part a level."""
    parts = {(claim, ""): {f"{axis} {x:g}": p.difference for x, p in own.items()} for claim, own in judged.items()}
    return words.verdicts(parts)


def main_section(cells: Cells, workload: str, doses: Sequence[Dose], chart: Chart) -> str:
    """Return the tables, the figure and the verdicts of one data set with its main targets."""
    rows = []
    for dose in doses:
        for level, own in levels(cells, dose).items():
            plain = [f"{words.mean(own, score(row)):.2f}" for row in (SINGLE, EVEN, CONSTANT, *BY_SIZE, *SEARCHES)]
            rows.append([dose.place, f"{level:g}", *plain, *gain_cells(own, dose), str(len(own))])
    head = ["main target", "labels", SINGLE, EVEN, CONSTANT, *BY_SIZE, "random", "PBT"]
    head += [f"{h} over the best free rule" for h in GAINS] + ["units"]
    others = {"the best free rule": BEST_RULE, **{name: name for name in (SINGLE, EVEN, CONSTANT, *BY_SIZE)}}
    against = {
        f"{search} over {name}": {x: pooled(cells, doses, x, row, "best", other) for x in doses[0].levels}
        for search, row in (("Random search", "random"), ("PBT", "pbt"))
        for name, other in (others | ({"random search": "random"} if row == "pbt" else {})).items()
    }
    spread = [[name, *(shown(p.difference()) for p in own.values())] for name, own in against.items()]
    everything = [c for d in doses for own in levels(cells, d).values() for c in own]
    prices = [
        [row, *(f"{x:.1f}" for x in cost(everything, row))] for row in (SINGLE, EVEN, CONSTANT, *BY_SIZE, *SEARCHES)
    ]
    mean = "Mean over the main targets, labels across:" if len(doses) > 1 else "Labels across:"
    return "\n\n".join(
        [
            f"### {workload}",
            words.table(head, rows),
            mean,
            words.table(["", *(f"{x:g}" for x in doses[0].levels)], spread),
            "Cost of a contender: trainings (searches: with the one that is tested), CPU seconds:",
            words.table(["", "trainings", "CPU s"], prices),
            words.image(chart),
            verdicts(against, doses[0].axis),
        ]
    )


def closing(cells: Cells) -> str:
    """Return the answer: the rows in which a search beats every free rule, corrected for all that were tried."""
    tried = {
        f"{dose.title}, {dose.axis} {level:g}, {heading}": gain(cells[row], dose, heading)
        for row, (dose, level) in once(cells).items()
        for heading in GAINS
    }
    found = {name: p.difference() for name, p in tried.items()}
    corrected = dict(zip(found, statistics.holm([d.p for d in found.values()]), strict=True)) if found else {}
    wins = {name: d for name, d in found.items() if d.mean > 0 and corrected[name] < statistics.ALPHA}
    above, below = (sum(test(d) for d in found.values()) for test in (lambda d: d.low > 0, lambda d: d.high < 0))
    plain = [p.plain() for p in tried.values()]
    naive = (sum(d.low > 0 for d in plain), sum(d.high < 0 for d in plain))
    lines = [f"- {name}: {shown(d)}, corrected p {max(corrected[name], 1e-4):.4f}." for name, d in wins.items()]
    return words.answer(len(found), above, below, naive, lines) + overview(cells)


def once(cells: Cells) -> dict[str, tuple[Dose, float]]:
    """Return the rows that have an interval, each with its dose and level; what doses share is the first one's."""
    every: dict[str, tuple[Dose, float]] = {}
    for dose in DOSES:
        for level in dose.levels:
            every.setdefault(row_name(dose, level), (dose, level))
    return {row: (dose, level) for row, (dose, level) in every.items() if enough(cells.get(row, []), dose)}


def overview(cells: Cells) -> str:
    """Return the gains averaged over all rows of a data set."""
    rows, known, gains = [], once(cells), {}
    for main in (False, True):
        for workload in dict.fromkeys(d.workload for d, _ in known.values() if d.main == main):
            own = {row: d for row, (d, _) in known.items() if (d.workload, d.main) == (workload, main)}
            groups, several = [cells[row] for row in own], next(iter(own.values())).splits > 1
            sides = [*((name, BEST_RULE, when) for name, when in GAINS.values()), (BEST_RULE, EVEN, "best")]
            found = [averaged(groups, *side, several).difference() for side in sides]
            named = f"{workload}, {'main targets' if main else 'doses'}"
            rows.append([named, str(len(own)), *map(shown, found)])
            gains |= {f"{heading} on {named}": d for heading, d in zip(GAINS, found[: len(GAINS)], strict=True)}
    head = ["mean over all rows of", "rows", *(f"{h} over the best free rule" for h in GAINS), "that rule over even"]
    return "\n\n" + words.table(head, rows) + "\n\n" + words.means(gains) if rows else ""


def allocation(cells: Cells, used: Mapping[str, float]) -> str:
    """Return the machine time of each dose, allocated and used, and the units that its rows have."""
    rows = []
    for dose in DOSES:
        units = [len(own) for own in levels(cells, dose).values()]
        told = f"{min(units)}" if min(units) == max(units) else f"{min(units)} to {max(units)}"
        rows.append([dose.title, f"{dose.hours:g}", f"{used[dose.name]:.2f}", f"{told} of {dose.repetitions}"])
    rows.append(["all", f"{ALLOCATED:g}", f"{sum(used.values()):.2f}", ""])
    return words.ALLOCATION + "\n\n" + words.table(["dose", "allocated, core hours", "used", "units a row"], rows)


def gain_cells(own: Sequence[Found], dose: Dose) -> list[str]:
    return [shown(gain(own, dose, heading).difference()) for heading in GAINS]


def shown(d: statistics.Difference) -> str:
    """Return a difference in points with its interval."""
    return f"{POINTS * d.mean:+.2f} [{POINTS * d.low:+.2f}, {POINTS * d.high:+.2f}]"
