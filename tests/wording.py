"""Facts out of text, however it is phrased: numbers of a sentence, tables and commands of a page."""

from __future__ import annotations

import itertools
import re

NUMBER = re.compile(r"(?<![\w.-])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])")


def numbers(text: str) -> list[float]:
    """Return the numbers in a text, in order; digits within a word do not count.

    >>> numbers("Of 3 rows, pb2 gained -0.50 (16.7 %).")
    [3.0, -0.5, 16.7]
    """
    return [float(found) for found in NUMBER.findall(text)]


def tables(text: str) -> list[list[dict[str, str]]]:
    """The tables of a Markdown text: one dict a row, by the heads of its columns."""
    found: list[list[dict[str, str]]] = []
    lines = text.splitlines()
    for place, (above, rule) in enumerate(itertools.pairwise(lines)):
        if rule.startswith("|") and not rule.strip("| -"):
            body = itertools.takewhile(lambda line: line.startswith("|"), lines[place + 2 :])
            found.append([dict(zip(_cells(above), _cells(line), strict=True)) for line in body])
    return found


def commands(text: str) -> list[str]:
    """The commands that a page shows, in order."""
    return [line.strip() for line in text.splitlines() if line.startswith("    scalarize ")]


def _cells(line: str) -> list[str]:
    return [cell.strip().strip("*") for cell in line.strip().strip("|").split("|")]
