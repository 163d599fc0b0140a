"""Facts out of prose: what tests check of a text, so that a sentence may be rephrased."""

from __future__ import annotations

import itertools
import re


def numbers(text: str) -> list[float]:
    """The numbers in a sentence, ascending."""
    return sorted(float(n) for n in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?", text))


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
