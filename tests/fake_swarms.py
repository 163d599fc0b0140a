"""Swarms made up for tests: mixtures, losses by a known law, and files in the layouts people have."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scalarize.search.mixture.runs import Runs

DOMAINS = ("web", "code", "books", "math")
METRICS = ("web_loss", "code_loss")
USE = np.array([[1.0, 0.05], [0.1, 2.0], [0.6, 0.05], [0.05, 0.4]])  # how much a domain helps a metric


def mixtures(n: int, seed: int = 0, n_domains: int = 4) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).dirichlet(np.full(n_domains, 0.7), n)


def law(w: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Losses (n, 2) that fall as a power of effective data."""
    return 1.5 + (w**0.7 @ USE + 1e-3) ** -0.4


def runs(n: int = 60, seed: int = 0, noise: float = 0.01) -> Runs:
    w = mixtures(n, seed)
    y = law(w) + noise * np.random.default_rng(seed + 1).standard_normal((n, 2))
    ids = tuple(f"r{i}" for i in range(n))
    return Runs(DOMAINS, METRICS, (False, False), w, y, ids, (), np.zeros((n, 0)))


def table(n: int = 24, seed: int = 0) -> dict[str, list[Any]]:
    """Columns of one table with explicit prefixes."""
    r = runs(n, seed)
    columns: dict[str, list[Any]] = {"run": list(r.ids)}
    columns.update({f"weight:{d}": r.weights[:, i].tolist() for i, d in enumerate(DOMAINS)})
    columns.update({f"metric-:{m}": r.losses[:, k].tolist() for k, m in enumerate(METRICS)})
    return columns


def write(path: Path, columns: Mapping[str, Sequence[Any]]) -> Path:
    with open(path, "w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def regmix(place: Path, n: int = 24) -> tuple[Path, Path]:
    """Two files joined by ``index``, weights rounded to 3 digits, prefixes, as RegMix publishes them."""
    r = runs(n)
    index = list(range(1, n + 1))
    ratios = {"index": index, **{f"train_{d}": np.round(r.weights[:, i], 3).tolist() for i, d in enumerate(DOMAINS)}}
    losses = {"index": index, **{f"metric/{m}": r.losses[:, k].tolist() for k, m in enumerate(METRICS)}}
    return write(place / "mixture.csv", ratios), write(place / "loss.csv", losses)


def olmix(place: Path, n: int = 24) -> tuple[Path, Path]:
    """Two files with an unnamed first column, run, name and index, and metrics whose names tell no direction."""
    r = runs(n)
    head = {
        "": range(n),
        "run": [f"x{i}" for i in range(n)],
        "name": [f"swarm-{i:04}" for i in range(n)],
        "index": range(n),
    }
    ratios = {**head, **{d: r.weights[:, i].tolist() for i, d in enumerate(DOMAINS)}}
    order = list(reversed(range(n)))
    metrics = {k: [list(v)[i] for i in order] for k, v in head.items()}
    metrics |= {f"{m}:rc::olmes": r.losses[order, k].tolist() for k, m in enumerate(("arc", "hellaswag"))}
    return write(place / "ratios.csv", ratios), write(place / "metrics.csv", metrics)


def wandb(place: Path, n: int = 24) -> Path:
    """An export of a W&B table: Name, State, Created, Runtime, config and summary columns, a crashed run."""
    r = runs(n)
    states = ["finished"] * (n - 1) + ["crashed"]
    columns: dict[str, Sequence[Any]] = {
        "Name": [f"swarm-{i}" for i in range(n)], "State": states, "Notes": ["-"] * n, "User": ["me"] * n,
        "Tags": [""] * n, "Created": ["2026-01-01T00:00:00.000Z"] * n, "Runtime": [100 + i for i in range(n)],
        "Sweep": [""] * n, "lr": [0.001] * n,
        **{f"mixture.{d}": r.weights[:, i].tolist() for i, d in enumerate(DOMAINS)}, "_step": [1000] * n,
        "eval/arc_acc": [*(3.0 - r.losses[:-1, 0]).tolist(), ""], "eval/code_bpb": [*r.losses[:-1, 1].tolist(), ""],
    }  # fmt: skip
    return write(place / "wandb_export.csv", columns)
