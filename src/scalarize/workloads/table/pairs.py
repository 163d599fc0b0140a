"""Pairs of a target and a domain of a table that can be learned and measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from scalarize.utils.errors import RequestError
from scalarize.workloads.table.targets import CLASSES, Target

PARTS = 3  # training, validation and test: each needs a row of what is to be told apart


def learnable(
    targets: Sequence[Target], values: Sequence[np.ndarray], domains: Mapping[str, np.ndarray]
) -> tuple[list[tuple[str, str]], dict[tuple[str, str], str]]:
    """Choose the pairs of a target and a domain that can be learned and measured, whatever the split.

    A table of one target is kept as it is: without its target a domain would have to go, which is the user's choice.

    Args:
        targets: of the table.
        values: their values (N,) each, places among classes or numbers, NaN if missing.
        domains: name -> its rows, int64.

    Returns:
        The pairs, by target and then by domain; and why each of the others is none of them.

    Raises:
        RequestError: a domain would be left without any target, or a target without any domain.
    """
    every = [(t.name, d) for t in targets for d in domains]
    if len(targets) < 2 or not domains:
        return every, {}
    why: dict[tuple[str, str], str] = {}
    for target, column in zip(targets, values, strict=True):
        for domain, rows in domains.items():
            if (reason := _lacks(target, column[rows])) is not None:
                why[target.name, domain] = reason
    kept = [pair for pair in every if pair not in why]
    for place, what, names in ((1, "domain", domains), (0, "target", [t.name for t in targets])):
        bare = [name for name in names if all(pair[place] != name for pair in kept)]
        if bare:
            reasons = "; ".join(f"{pair[1 - place]!r}: {r}" for pair, r in why.items() if pair[place] == bare[0])
            remedy = "take out these rows" if what == "domain" else "take out this target"
            raise RequestError(f"{what} {bare[0]!r}: nothing can be learned ({reasons}); {remedy}")
    return kept, why


def _lacks(target: Target, column: np.ndarray) -> str | None:
    """Say why ``target`` cannot be learned and measured on rows with the values ``column``; None if it can be."""
    known = column[~np.isnan(column)]
    if len(known) < PARTS:
        return f"{len(known)} rows have a label" if len(known) != 1 else "1 row has a label"
    if len(np.unique(known)) < 2:
        only = target.classes[int(known[0])] if target.kind in CLASSES else float(known[0])
        return f"constant ({only!r})"
    if target.kind == "binary":
        counts = np.bincount(known.astype(np.int64), minlength=2)
        least = int(np.argmin(counts))
        if counts[least] < PARTS:
            return f"{counts[least]} {'row is' if counts[least] == 1 else 'rows are'} {target.classes[least]!r}"
    return None
