"""Kurin, De Palma, Kostrikov, Whiteson and Kumar, *In Defense of the Unitary Scalarization*, NeurIPS 2022.

Figures of the appendix are rebuilt from their description in the text.
"""

import sys

from scalarize.studies.kurin2022 import ablations, averages, curves, reinforcement
from scalarize.studies.study import Target


def _place(target: Target) -> int:
    """Return the number of a figure; what has none (ablations of the appendix) follows."""
    number = target.name.rpartition("figure-")[2]
    return int(number) if number.isdecimal() else sys.maxsize


TARGETS = tuple(sorted((*averages.TARGETS, *curves.TARGETS, *reinforcement.TARGETS, *ablations.TARGETS), key=_place))
