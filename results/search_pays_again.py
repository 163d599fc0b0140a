"""The page results/when-search-pays-again.md: what results/when-search-pays.md had shown, on units measured later."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import search_pays_page as page
import search_pays_words as words
from search_pays_cases import DOSES, Dose, row_name
from search_pays_page import GAINS, Cells

from scalarize.analysis import statistics

HEAD = """# When does searching task weights pay? Later units

`python results/when_search_pays.py run --first {first}`, then `table --first {first}`.

The units {first} to {last} of `rand-hie` and its sites, measured after
[the page of the earlier ones](when-search-pays.md) had been written and by the same code; the cells of that page were
lost with the machine that they lay on, so the two cannot be joined. Nothing was chosen in between: what a few of many
intervals showed there by chance should not show here again. Units are seeds, with the same ten splits of the data; all
else is as on that page."""
TIME = """## Machine time

{used:.2f} core hours; the earlier page has {before:.2f} of the 16 that were allocated."""
SHOWN = """## What the earlier units had shown

Each comparison of a search with the best free rule whose 95 % interval did not hold 0 on that page, then and now:"""
SPENT = re.compile(r"^\| all \| [\d.]+ \| ([\d.]+) \|", re.MULTILINE)
VALUE = re.compile(r"([+-][\d.]+) \[([+-][\d.]+), ([+-][\d.]+)\]")


def again(cells: Cells, used: Mapping[str, float], first: int, earlier: str) -> str:
    """Return the page of the units from ``first`` on; ``earlier`` is the text of the page before them."""
    units = [c["repetition"] for own in cells.values() for c in own]
    parts = [
        HEAD.format(first=first, last=max(units, default=first)),
        TIME.format(used=sum(used.values()), before=float(spent[1] if (spent := SPENT.search(earlier)) else 0)),
        page.closing(cells),
        SHOWN,
        compared(cells, dict(off_zero(earlier))),
    ]
    return "\n\n".join(parts) + "\n"


def compared(cells: Cells, shown: Mapping[tuple[str, str], str]) -> str:
    """Return the comparisons of ``shown`` on both pages, and how many agree."""
    by_row = {row_name(d, level): (d, level) for d in reversed(DOSES) for level in d.levels}
    rows, found = [], []
    for (row, heading), before in shown.items():
        dose, level = by_row[row]
        if not page.enough(own := cells.get(row, []), dose):
            continue
        now = page.gain(own, dose, heading).difference()
        sign = -1 if before.startswith("-") else 1
        found.append((sign * now.mean, now.p))
        rows.append([f"{dose.title}, {dose.axis} {level:g}", heading, before, page.shown(now), str(len(own))])
    corrected = statistics.holm([p for _, p in found])
    same = [p for (mean, _), p in zip(found, corrected, strict=True) if mean > 0]
    head = ["dose and level", "search", "earlier", "now", "units now"]
    counted = (
        f"Of these {len(rows)}, {len(same)} have the same sign again; corrected for all {len(rows)} (Holm), "
        f"{sum(p < statistics.ALPHA for p in same)} can be told from 0 again."
    )
    return words.table(head, rows) + "\n\n" + counted


def off_zero(earlier: str) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield (row, heading) and the gain of every comparison on a page whose interval does not hold 0."""
    title, head = "", list[str]()
    for line in earlier.splitlines():
        if line.startswith("#"):
            title, head = line.lstrip("# "), []
        if not line.startswith("|"):
            continue
        found = [cell.strip() for cell in line.strip("|").split("|")]
        if "units" in found:
            head = found
        elif head and len(found) == len(head) and (place := _row(title, dict(zip(head, found, strict=True)))):
            for heading in GAINS:
                gain = f"{heading} over the best free rule"  # beside a column PBT of scores, for main targets
                value = found[head.index(gain if gain in head else heading)]
                if (read := VALUE.fullmatch(value)) and not float(read[2]) <= 0 <= float(read[3]):
                    yield (place, heading), value


def _row(title: str, cells: Mapping[str, str]) -> str | None:
    """Return the name of a line's cells, below a heading of the page."""

    def of(dose: Dose) -> str | None:
        level = cells.get("labels" if dose.main else dose.axis)
        if (cells.get("main target"), title) != (dose.place, dose.workload) if dose.main else title != dose.title:
            return None
        return next((row_name(dose, x) for x in dose.levels if f"{x:g}" == level), None)

    return next((row for dose in DOSES if (row := of(dose)) is not None), None)
