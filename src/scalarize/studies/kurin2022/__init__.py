"""Kurin, De Palma, Kostrikov, Whiteson and Kumar, *In Defense of the Unitary Scalarization*, NeurIPS 2022. Appendix
figures are built by what the text says of them.
"""

from scalarize.studies.kurin2022 import averages, curves, reinforcement

TARGETS = tuple(
    sorted(
        (*averages.TARGETS, *curves.TARGETS, *reinforcement.TARGETS),
        key=lambda target: int(target.name.rpartition("-")[2]),
    )
)
