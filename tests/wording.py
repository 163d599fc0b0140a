"""The numbers that a sentence states, however it is phrased."""

from __future__ import annotations

import re

NUMBER = re.compile(r"(?<![\w.-])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])")


def numbers(text: str) -> list[float]:
    """Return the numbers in a text, in order; digits within a word do not count.

    >>> numbers("Of 3 rows, pb2 gained -0.50 (16.7 %).")
    [3.0, -0.5, 16.7]
    """
    return [float(found) for found in NUMBER.findall(text)]
