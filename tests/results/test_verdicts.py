"""The README's verdicts are those of the pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reading import tables

ROOT = Path(__file__).resolve().parents[2]
PAGE = """
| claim | data | runs | seeds | verdict | why |
| --- | --- | --- | --- | --- | --- |
| norms | w | 9 | 5 | not supported | 0 of 2 hold; contrary found: a minus b -1 [-2, -0.5]; c minus b -3 [-4, -2] |
| norms | v | 9 | 5 | supported | 2 of 2 parts hold |
| **norms** | together | | | **undecided** | |
| fronts | w | 9 | 5 | undecided | 0 of 2 parts hold |
| fronts | v | 9 | 5 | undecided | 0 of 2 parts hold |

| trial | data |
| --- | --- |
| t | w |

## w

- Credit: one over another: not supported.
- Searched weights over even ones: supported.
"""


def test_a_page_is_read_with_what_speaks_against_a_claim(benchmark: Any) -> None:
    found = benchmark.read(PAGE)
    assert list(found) == ["norms", "fronts", "Credit: one over another", "Searched weights over even ones"]
    assert [(data, verdict) for data, verdict, _ in found["norms"]] == [("w", "not supported"), ("v", "supported")]
    said = benchmark.row("p", "norms", found["norms"])
    assert "w: *not supported* (a minus b -1 [-2, -0.5]); v: *supported*" in said
    assert "*undecided* on each of 2 data sets" in benchmark.row("p", "fronts", found["fronts"])
    assert found["Credit: one over another"] == [("w", "not supported", "")]


def test_the_readme_has_the_verdicts_of_todays_pages(benchmark: Any) -> None:
    readme = (ROOT / "README.md").read_text()
    assert benchmark.within(readme) == readme, "run `python results/verdicts.py --write`"
    section = readme.partition("## What we have seen")[2].partition("\n## ")[0]
    prose = section.partition(benchmark.BEGIN)[0] + section.partition(benchmark.END)[2]
    assert not [word for word in ("supported", "undecided") if word in prose]  # verdicts stand in the table alone
    assert tables(section)
