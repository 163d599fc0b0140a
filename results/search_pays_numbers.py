"""Numbers of results/when-search-pays.md from the files of cells: paired differences of test scores, with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from search_pays_cases import SEARCHES

from scalarize.analysis import resampling, statistics
from scalarize.analysis.statistics import CONFIDENCE, Difference

Found = Mapping[str, Any]  # the file of a cell
BEST, LAST, BEST_RULE = "best", "last", "best free rule"
Side = Callable[[Found], float | None]  # a cell's test score, None if a training diverged


@dataclass(frozen=True)
class Pairs:
    """Two test scores of each unit (a repetition), the split of each, and test samples per training sample.

    splits: True if the data were split anew from unit to unit.
    """

    first: Sequence[float]
    second: Sequence[float]
    split: Sequence[int]
    ratio: float
    splits: bool

    def difference(self, confidence: float = CONFIDENCE) -> Difference:
        """Return first - second. Units of one split are averaged first, and splits share rows (Nadeau and Bengio); on
        one split it is Student's, over new draws on that split."""
        if not self.first:
            return Difference(np.nan, np.nan, np.nan, np.nan, "paired", (0, 0))
        if not self.splits:
            return statistics.paired_difference(self.first, self.second, confidence)
        sides = self._means(self.first), self._means(self.second)
        return resampling.resampled_difference(*sides, self.ratio, confidence)

    def plain(self) -> Difference:
        """Return first - second with Student's interval, as if all units were independent."""
        return statistics.paired_difference(self.first, self.second)

    def _means(self, values: Sequence[float]) -> list[float]:
        own = np.array(values), np.array(self.split)
        return [float(own[0][own[1] == k].mean()) for k in sorted(set(self.split))]


def best_rule(cell: Found, cells: Sequence[Found], when: str = BEST) -> str:
    """Return the free rule that validation prefers on average over the other cells; of equal ones the first.

    Over the others, of other splits if there are several: a rule that is chosen where it is tested has been lucky, and
    the best of several rules in one unit would be the best of several trainings, too. A rule whose training diverged
    anywhere is not chosen.
    """
    key = "split" if len({c["split"] for c in cells}) > 1 else "repetition"
    others = [c for c in cells if c[key] != cell[key]] or [cell]
    rules = [name for name in cell["rows"] if name not in SEARCHES]
    trained = [name for name in rules if all(when in c["rows"].get(name, {}) for c in (cell, *others))]
    return max(trained, key=lambda name: float(np.mean([c["rows"][name][when]["validation"] for c in others])))


def preferred(cells: Sequence[Found]) -> str:
    """Name the free rules that were the best ones, with the number of units if there were several."""
    found = Counter(best_rule(c, cells) for c in cells).most_common()
    return ", ".join(f"{name} {n}" if len(found) > 1 else name for name, n in found)


def score(row: str, when: str = BEST, cells: Sequence[Found] = ()) -> Side:
    """Return the test score of a contender; if it is ``BEST_RULE``, of the best free rule among ``cells``."""

    def of(cell: Found) -> float | None:
        name = best_rule(cell, cells, when) if row == BEST_RULE else row
        found = cell["rows"].get(name, {}).get(when)
        return None if found is None else float(found["test"])

    return of


def pairs(cells: Iterable[Found], first: Side, second: Side, splits: bool) -> Pairs:
    """Pair two sides over the cells that have both."""
    found = [(first(c), second(c), c) for c in cells]
    return _paired([(a, b, c) for a, b, c in found if a is not None and b is not None], splits)


def _paired(found: Sequence[tuple[float, float, Found]], splits: bool) -> Pairs:
    ratio = float(np.mean([c["ratio"] for _, _, c in found])) if found else 0.0
    return Pairs([a for a, _, _ in found], [b for _, b, _ in found], [c["split"] for _, _, c in found], ratio, splits)


def averaged(groups: Sequence[Sequence[Found]], first: str, second: str, when: str, splits: bool) -> Pairs:
    """Pair two contenders by their averages over several rows of cells, of the repetitions that all rows have."""
    sides = [(score(first, when, own), score(second, when, own)) for own in groups]
    by_unit = [{c["repetition"]: c for c in own} for own in groups]
    found = []
    for unit in sorted(set.intersection(*(set(own) for own in by_unit))):
        a, b = ([side[k](own[unit]) for side, own in zip(sides, by_unit, strict=True)] for k in (0, 1))
        if None not in (*a, *b):
            found.append((float(np.mean(a)), float(np.mean(b)), by_unit[0][unit]))
    return _paired(found, splits)


def grown(base: Sequence[Found], strong: Sequence[Found], search: str, splits: bool) -> Pairs:
    """Pair the gain over the best free rule at a level with that at another, by repetition."""
    at = {c["repetition"]: c for c in base}

    def gain(cells: Sequence[Found]) -> Side:
        mine, rule = score(search), score(BEST_RULE, cells=cells)

        def of(cell: Found) -> float | None:
            a, b = mine(cell), rule(cell)
            return None if a is None or b is None else a - b

        return of

    here, there = gain(strong), gain(base)
    return pairs([c for c in strong if c["repetition"] in at], here, lambda c: there(at[c["repetition"]]), splits)


def cost(cells: Sequence[Found], row: str) -> tuple[float, float]:
    """Return trainings and CPU seconds of a contender, the mean of the cells that have it."""
    rows = [c["rows"][row] for c in cells if row in c["rows"]]
    return (float(np.mean([r["trainings"] for r in rows])), float(np.mean([r["seconds"] for r in rows])))
