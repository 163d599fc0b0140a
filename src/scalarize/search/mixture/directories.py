"""Runs of ``scalarize train`` as a table: the weights that they were given, and the loss of every domain."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from scalarize.utils import files
from scalarize.utils.errors import RequestError


def columns_of(directory: Path) -> dict[str, list[Any]]:
    """Columns ``run``, ``weight:DOMAIN`` and ``metric-:DOMAIN`` (validation losses) of the runs in ``directory``, or of
    the one that it is. A run that is not finished, or diverged, is there with empty metrics.

    Raises:
        RequestError: no runs, runs of different domains, or runs without constant weights.
    """
    places = [directory] if (directory / "config.yaml").exists() else sorted(
        (p.parent for p in directory.glob("*/config.yaml")), key=_natural
    )  # fmt: skip
    if not places:
        raise RequestError(f"{directory}: holds no runs of `scalarize train` (NAME/config.yaml)")
    rows = [(place.name, _weights(place), _losses(place)) for place in places]
    domains = list(rows[0][1])
    columns: dict[str, list[Any]] = {"run": [name for name, _, _ in rows]}
    for place, (_, weights, _) in zip(places, rows, strict=True):
        if set(weights) != set(domains):
            raise RequestError(f"{place}: its domains are not those of {places[0]}")
    columns.update({f"weight:{d}": [w[d] for _, w, _ in rows] for d in domains})
    columns.update({f"metric-:{d}": [losses.get(d, math.nan) for _, _, losses in rows] for d in domains})
    return columns


def _natural(path: Path) -> tuple[int, str]:
    return (int(path.name) if path.name.isdigit() else -1, path.name)


def _weights(place: Path) -> dict[str, float]:
    content = files.read_yaml(place / "config.yaml")
    try:
        request = content["request"]
        given, policy = request.get("weights"), request.get("policy")
        if given is None and policy is not None and len(policy["segments"]) == 1:
            given = dict(zip(policy["tasks"], policy["segments"][0]["weights"], strict=True))
        if given is not None:
            values = {str(k): float(v) for k, v in given.items()}
            total = sum(values.values())
            return {k: v / total for k, v in values.items()}
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise RequestError(f"{place}: its config.yaml cannot be read: {error}") from None
    raise RequestError(
        f"{place}: was not trained with constant weights (weights of its own, or a policy of one segment)"
    )


def _losses(place: Path) -> dict[str, float]:
    if not (place / "result.json").exists():
        return {}
    content = files.read_json(place / "result.json")
    try:
        measures = content.get("measures", {}).get("validation", {})
        return {str(d): float(m["loss"]) for d, m in measures.items() if m.get("loss") is not None}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RequestError(f"{place}: its result.json cannot be read: {error}") from None
