"""Royer, Blankevoort and Bejnordi, *Scalarization for Multi-Task and Multi-Domain Learning at Scale*, NeurIPS 2023."""

from scalarize.studies.royer2023 import (
    capacity,
    conflicts,
    cost,
    limitation,
    policies,
    population,
    search_tables,
    tuning,
)

TARGETS = (
    *tuning.TARGETS,
    *capacity.TARGETS,
    *conflicts.TARGETS,
    *search_tables.TARGETS,
    *policies.TARGETS,
    *population.TARGETS,
    *cost.TARGETS,
    *limitation.TARGETS,
)
