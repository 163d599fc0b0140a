"""Kurin, De Palma, Kostrikov, Whiteson and Kumar, *In Defense of the Unitary Scalarization*, NeurIPS 2022.

Figures of the appendix are rebuilt from their description in the text.
"""

from scalarize.studies.kurin2022 import averages, curves, reinforcement

TARGETS = tuple(
    sorted(
        (*averages.TARGETS, *curves.TARGETS, *reinforcement.TARGETS),
        key=lambda target: int(target.name.rpartition("-")[2]),
    )
)
