"""The page results/tables.md, from what results/tables.py has measured."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from tables_data import FROM, SOURCES, TARGETS
from tables_words import BOUND, WORDS

ROWS = ("shared", "boosting", "linear", "constant")
Found = dict[tuple[str, int], dict[str, Any]]


def read(folder: Path) -> Found:
    """Return what one part has measured, by table and split."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        name, split = path.stem.rsplit("-", 1)
        found[name, int(split)] = json.loads(path.read_text())
    return found


def markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def interval(values: list[float]) -> str:
    """Return mean and 95 % t-interval of independent values."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:+.4f}"
    half = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))
    return f"{mean:+.4f} ({mean - half:+.4f} to {mean + half:+.4f})"


def by_target(found: Found, name: str) -> dict[str, dict[str, float]]:
    """Return {target: {row: mean over splits}}; ``best`` is the better of boosting and linear in each split."""
    own = [value["scores"] for (table, _), value in found.items() if table == name]
    for scores in own:
        scores["best"] = {t: max(scores["boosting"][t], scores["linear"][t]) for t in TARGETS[name]}
    return {t: {row: float(np.mean([v[row][t] for v in own])) for row in (*ROWS, "best")} for t in TARGETS[name]}


def sources(found: Found) -> str:
    rows = []
    for name in TARGETS:
        own = [value for (table, _), value in found.items() if table == name]
        if own:
            size = f"{own[0]['rows']} x {own[0]['columns']}"
            rows.append([name, size, FROM[name], SOURCES[FROM[name]], own[0]["digest"]])
    return markdown(
        ["table", "rows x columns", "package", "version and licence", "SHA-256 of the CSV, first digits"], rows
    )


def main_table(found: Found) -> str:
    """The issue's first target: shared against the better of boosting and linear, by table."""
    rows, gaps, every = [], [], []
    names = [name for name in TARGETS if any(table == name for table, _ in found)]
    for name in names:
        targets = by_target(found, name)
        mean = {row: float(np.mean([m[row] for m in targets.values()])) for row in (*ROWS, "best")}
        own = [value for (table, _), value in found.items() if table == name]
        gaps.append(mean["shared"] - mean["best"])
        every += [(m["shared"], m["best"]) for m in targets.values()]
        shown = [f"{mean[row]:.3f}" for row in ("constant", "boosting", "linear", "best", "shared")]
        seconds = f"{np.mean([v['seconds'] for v in own]):.0f}"
        rows.append([name, str(len(targets)), str(len(own)), *shown, f"{gaps[-1]:+.3f}", seconds])
    head = ["table", "targets", "splits", "constant", "boosting", "linear", "best per target", "shared", "difference"]
    text = markdown([*head, "CPU s to train"], rows)
    shared, best = (float(np.mean([pair[k] for pair in every])) for k in (0, 1))
    verdict = "met" if shared - best >= -0.005 else "missed"
    text += (
        f"\nMean over the {len(every)} targets: shared {shared:.4f}, best per target {best:.4f}, difference "
        f"{shared - best:+.4f}: the target (at least -0.005) is {verdict}. Mean difference of the {len(names)} tables: "
        f"{interval(gaps)}, with the t-interval over tables.\n"
    )
    return text


def misses(found: Found) -> str:
    rows = []
    for name in TARGETS:
        if any(table == name for table, _ in found):
            for target, mean in by_target(found, name).items():
                if mean["shared"] < mean["best"] - 0.02:
                    shown = [f"{mean[row]:.3f}" for row in ("boosting", "linear", "shared")]
                    rows.append([name, target, *shown, f"{mean['shared'] - mean['best']:+.3f}"])
    if not rows:
        return "No target is more than 0.02 behind the better of the two.\n"
    return markdown(["table", "target", "boosting", "linear", "shared", "difference"], rows)


def missing_labels(found: Found) -> str:
    if not found:
        return "Not measured yet.\n"
    rows, gains = [], []
    for name in TARGETS:
        own = [value for (table, _), value in found.items() if table == name]
        if own:
            shared, single = (float(np.mean([[m[k] for m in v.values()] for v in own])) for k in ("shared", "single"))
            gains.append(shared - single)
            rows.append([name, str(len(own)), f"{single:.3f}", f"{shared:.3f}", f"{gains[-1]:+.3f}"])
    text = markdown(["table", "splits", "a model a target", "shared", "gain"], rows)
    return text + f"\nGain of the shared model: {interval(gains)}, mean and 95 % t-interval over {len(gains)} tables.\n"


def scaled(found: Found) -> str:
    if not found:
        return "Not measured yet.\n"
    worst = {name: max(value.values()) for (name, _), value in found.items() if value}
    rows = [[name, f"{value:.1e}"] for name, value in worst.items()]
    return markdown(["table", "largest difference, in deviations of the target"], rows)


def large(path: Path) -> str:
    if not path.exists():
        return "Not measured yet.\n"
    found = json.loads(path.read_text())
    pandas, own = found["pandas"], found["scalarize"]
    size = pandas["size"]
    rows = [
        ["pandas.read_csv", f"{pandas['seconds']:.0f}", f"{pandas['peak'] / 1e9:.2f}", f"{pandas['peak'] / size:.2f}"],
        ["read and prepared", f"{own['seconds']:.0f}", f"{own['peak'] / 1e9:.2f}", f"{own['peak'] / size:.2f}"],
    ]
    return (
        f"The file has {found['file'] / 1e9:.2f} GB, the data frame {size / 1e9:.2f} GB, the prepared inputs "
        f"{own['size'] / 1e9:.2f} GB.\n\n"
        + markdown(["", "CPU s", "peak above the imports, GB", "x the data frame"], rows)
        + f"\nTime against pandas alone: {own['seconds'] / pandas['seconds']:.2f} (wanted: at most 2.0). Memory: "
        f"{own['peak'] / size:.2f} x the data frame (wanted: at most 3).\n"
    )


def page(out: Path) -> str:
    found = read(out / "run")
    words = WORDS
    parts = {
        "BOUND": BOUND,
        "SOURCES": sources(found),
        "MAIN": main_table(found),
        "MISSES": misses(found),
        "MISSING": missing_labels(read(out / "missing")),
        "SCALED": scaled(read(out / "scaled")),
        "LARGE": large(out / "large.json"),
    }
    for name, text in parts.items():
        words = words.replace(f"{{{name}}}\n", text)
    return words.rstrip("\n")
