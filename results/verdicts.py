"""The table of verdicts in the README, read off the results pages: no verdict is copied by hand.

    python results/verdicts.py            # prints it
    python results/verdicts.py --write    # and writes it into README.md

A page holds verdicts in a table with the columns claim, data and verdict (``studies.page_parts``), or in sentences as
``results/search_real.py`` prints them, a list below each workload.
"""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("royer2023", "kurin2022", "xin2022", "search-real")
BEGIN, END = "<!-- verdicts: written by results/verdicts.py -->", "<!-- end of verdicts -->"
HEAD = "| claim | data | runs | seeds | verdict | why |"
WORDS = "supported|not supported|undecided"
SENTENCE = re.compile(rf"^- ([^:]+(?:: [^:]+)?): ({WORDS})(?: \(.*\))?\.$", re.M)
Found = dict[str, list[tuple[str, str, str]]]  # claim -> (data, verdict, why)


def read(page: str) -> Found:
    """The verdicts of a page, in its order."""
    found: Found = {}
    _, _, rest = page.partition(f"{HEAD}\n")
    for row in itertools.takewhile(lambda line: line.startswith("|"), rest.splitlines()[1:]):
        claim, data, _, seeds, verdict, why = (cell.strip().strip("*") for cell in row.strip()[1:-1].split("|"))
        if seeds:  # that of several data sets together follows from theirs
            found.setdefault(claim, []).append((data, verdict, why))
    for workload, text in re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", page, re.M | re.S):
        for claim, verdict in SENTENCE.findall(text):
            found.setdefault(claim, []).append((workload, verdict, ""))
    return found


def row(page: str, claim: str, verdicts: list[tuple[str, str, str]]) -> str:
    """A claim's row: what each data set says, and the first part of what was found against it."""
    said = []
    for data, verdict, why in verdicts:
        against = re.search(r"contrary found: ([^;]*\])", why)
        said.append(f"{data}: *{verdict}*" + (f" ({against[1]})" if against else ""))
    if len(said) > 1 and {verdict for _, verdict, _ in verdicts} == {"undecided"}:
        said = [f"*undecided* on each of {len(said)} data sets"]
    return f"| {claim} | {'; '.join(said)} | [{page}](results/{page}.md) |"


def table() -> str:
    """All verdicts of all pages."""
    lines = ["| claim | verdicts | page |", "| --- | --- | --- |"]
    for name in PAGES:
        found = read((ROOT / "results" / f"{name}.md").read_text())
        lines += [row(name, claim, verdicts) for claim, verdicts in found.items()]
    return "\n".join(lines)


def within(readme: str) -> str:
    """The README with the table of today's pages."""
    before, _, rest = readme.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    print(table())
    if "--write" in sys.argv[1:]:
        path = ROOT / "README.md"
        path.write_text(within(path.read_text()))
