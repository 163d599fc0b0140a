"""Words of results/when-search-pays.md, and its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from search_pays_numbers import Found, Side
from search_pays_trainings import DECISIONS, POPULATION, SHARE

from scalarize.analysis import claims, statistics
from scalarize.analysis.claims import IntervalAt
from scalarize.report.charts import Chart

PERCENT, COST = round(100 * SHARE), POPULATION * SHARE + 1
FOLDER = "when-search-pays"
HEAD = f"""# When does searching task weights pay?

`python results/when_search_pays.py run --out runs/when-search-pays`, then `table --out runs/when-search-pays`.

One thing is varied at a time that makes weights matter, on real data. The free rules cost one training each: even
weights, weights inverse to the losses of the best constant predictor, and, if numbers of labels differ, weights
proportional to them and to their square root and fifth root (temperatures 2 and 5). The best one is the one with the
best mean on the validation splits of the other units (in its own unit it would also be the luckiest of several
trainings); it is measured on test. A search trains {POPULATION} members on {PERCENT} % of the training set and scores
them on the rest; its weights, with their course over the epochs, then train a fresh model on all of it. Random search
and PBT cost as much, {COST:.1f} trainings; PBT decides {DECISIONS} times. Both start around the weights inverse to
constant losses. All are tested with the epoch that validation prefers; "last epoch" tests PBT and the rules after their
last one, as Royer et al. do.

A unit is a repetition: a seed of everything random, with one of ten splits of the data (pictures and text: always the
same). Differences are paired by unit, in points (test score x 100; the score of a translation is minus the
cross-entropy of its pieces, in nats). Splits share rows, so units of a split are averaged and the interval is that of
Nadeau and Bengio (2003) for overlapping training sets; with one split it is Student's over new seeds on that split."""
ALLOCATION = """## Machine time

Core hours, allocated in `results/search_pays_cases.py` before anything ran, and used. Gettext had too little: 0.8,
and its first cell took 20 minutes; 2.9 were added, taken from all the other doses. The trainings without a change
are shared by the doses of a data set and counted for the first. A dose with fewer units than planned has used up its
time, or the run was ended before; levels of a dose always have the same units, but for the one that was under way.
Rows of fewer than three units are not shown. Later units of `rand-hie` and its sites stand on
[a page of their own](when-search-pays-again.md), as a test of what this one shows."""
DOSES = """Half the default steps of `rand-hie` (batches of 512), 12 epochs; `emoji` at 16 pixels, each emoji once, 12
epochs; `multi-fashion` on a tenth of its pictures, 12 epochs. Labels and samples are taken from training and validation
alike, and so is noise; the test split stays as it is."""
MAIN = """Score and chosen epoch are those of the main target alone. It keeps so many labels for training and the same
share for validation, drawn anew in each unit; the auxiliaries keep all of theirs. The best free rule is chosen
among single-task training and all rules. Searches start wider, a factor of four either way in place of two.
`gettext`: 12 epochs of 1,024 pairs in batches of 32, at most 200 pairs of a split are measured."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows))


def image(chart: Chart) -> str:
    """Return the reference to a figure."""
    return f"![{chart.alt}]({FOLDER}/{chart.name}.png)"


def verdicts(judged: Mapping[tuple[str, str], Mapping[str, IntervalAt]]) -> str:
    """Return one line a claim, judged by the rule of all claims."""
    return "\n".join(f"- {finding}" for finding in claims.table(judged).findings)


def mean(own: Sequence[Found], side: Side) -> float:
    """Return the mean test score in points; NaN if a training diverged."""
    values = [side(cell) for cell in own]
    return 100 * float(np.mean([np.nan if v is None else v for v in values])) if values else float("nan")


def answer(tried: int, above: int, below: int, naive: tuple[int, int], wins: Sequence[str]) -> str:
    """Return the answer over all rows."""
    if not tried:
        return "## The answer\n\nNothing was measured yet."
    counted = (
        f"Of {tried} comparisons of a search with the best free rule (every level below; random search, PBT, and PBT "
        f"at the last epoch), the intervals of {above} lie above 0 and of {below} below; without any difference one in "
        f"forty would lie on each side by chance. As if units were independent, those of {naive[0]} lie above and of "
        f"{naive[1]} below."
    )
    said = (
        "Corrected for all of them (Holm), a search beats every free rule here:\n\n" + "\n".join(wins)
        if wins
        else f"Corrected for all of them (Holm), none was found in which a search beats every free rule, among {tried} "
        "tried."
    )
    return f"## The answer\n\n{counted}\n\n{said}\n\nThe rule of all verdicts below: {claims.RULE}"


def means(gains: Mapping[str, statistics.Difference]) -> str:
    """Return what the gains of searches, averaged over the rows of a data set, say with and without correction."""
    corrected = statistics.holm([d.p for d in gains.values()])
    stand = [name for name, p in zip(gains, corrected, strict=True) if p < statistics.ALPHA]
    above, below = ([n for n, d in gains.items() if side(d)] for side in (lambda d: d.low > 0, lambda d: d.high < 0))
    return (
        f"Of these {len(gains)} mean gains of searches the intervals of {_listed(above)} lie above 0 and of "
        f"{_listed(below)} below; corrected for all of them (Holm), {_listed(stand)} can be told from 0."
    )


def _listed(names: Sequence[str]) -> str:
    return f"{len(names)} ({'; '.join(names)})" if names else "none"
