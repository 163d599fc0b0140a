"""Numbers of the paper: tables 1 to 3, and the best errors in the legend of figure 11.

Table 3 holds errors on CelebA in percent that papers report, by their number in its references, and its own.
"""

from __future__ import annotations

TABLE_3: dict[str, dict[str, float]] = {
    "scalarization": {"[5]": 8.71, "[26]": 9.62, "[21]": 9.99, "[16]": 9.1, "test": 9.23, "validation": 8.73},
    "mgda": {
        **{"[5]": 10.82, "[26]": 8.25, "[31]": 8.95, "[21]": 9.96, "[16]": 9.78},
        **{"test": 9.53, "validation": 9.24},
    },
    "gradnorm": {"[5]": 8.68, "[26]": 8.44, "[21]": 10.08},
    "pcgrad": {"[5]": 8.72, "[31]": 8.69, "[21]": 10.01, "[16]": 9.07, "test": 9.35, "validation": 8.89},
    "graddrop": {"[5]": 8.52, "[16]": 9.02},
}
# The least average test error on CelebA over learning rates, in percent.
FIGURE_11: dict[str, float] = {
    **{"pcgrad": 9.45, "scalarization": 9.51, "mgda": 9.76, "rlw-normal": 9.49, "rlw-dirichlet": 9.27}
}
PAIRS = ("nmt-en-fr-zh", "nmt-en-fr-de", "nmt-en-fr-ro")
# Table 1: pairs of sentences.
TABLE_1: dict[str, dict[str, int]] = {
    "fr": {"paper train": 40_853_298, "paper eval": 4_503},
    "zh": {"paper train": 25_986_436, "paper eval": 3_981},
    "de": {"paper train": 4_548_885, "paper eval": 2_169},
    "ro": {"paper train": 610_320, "paper eval": 1_999},
}
# Table 2: million parameters and steps per second.
TABLE_2: dict[str, dict[str, float]] = {
    "depth 1": {"paper parameters": 120, "paper steps": 11.52},
    "depth 1, MGDA": {"paper parameters": 120, "paper steps": 4.81},
    "depth 2": {"paper parameters": 142, "paper steps": 8.28},
    "depth 3": {"paper parameters": 165, "paper steps": 6.68},
    "depth 4": {"paper parameters": 187, "paper steps": 5.48},
}
