"""The default training of a table beside what scikit-learn's defaults give, through the commands that a user types.

    python results/tables.py run --out runs/tables [--tables meats,ames] [--splits 0,1,2]
    python results/tables.py missing --out runs/tables      70 % of each target's labels removed: shared against single
    python results/tables.py scaled --out runs/tables       targets times 1e6 plus 2010
    python results/tables.py large --out runs/tables        a million rows of a hundred columns
    python results/tables.py page --out runs/tables > results/tables.md

Needs `pip install rdata==1.1.0`, apt-get and dpkg-deb (any Debian or Ubuntu). Every part keeps what it has measured
and goes on from there. A table is split 80/20 at random: `scalarize train --csv ... --targets ...` with no other option
sees the 80 %, of which it keeps its own validation and test rows, and `scalarize predict` is asked for the other 20 %.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tables_large
import tables_page
from tables_data import TARGETS, digest, fetch
from tables_rivals import is_number, predictions, score

from scalarize import cli

REMOVED = 0.7


def scalarize(*words: str) -> float:
    """Run a command in this process, as the command line does, and return its seconds of CPU time."""
    before, said = time.process_time(), io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            cli.main(list(words))
    except SystemExit as end:
        if end.code:
            raise SystemExit(f"scalarize {' '.join(words)}: status {end.code}\n{said.getvalue()[-2000:]}") from None
    return time.process_time() - before


def halves(frame: pd.DataFrame, split: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split rows 80/20 at random."""
    order = np.random.default_rng(split).permutation(len(frame))
    cut = round(0.8 * len(frame))
    return frame.iloc[np.sort(order[:cut])].reset_index(drop=True), frame.iloc[np.sort(order[cut:])].reset_index(
        drop=True
    )


def trained(train: pd.DataFrame, new: pd.DataFrame, targets: list[str], place: Path, *options: str) -> Any:
    """Train on one table and predict another: (predictions, seconds of CPU time of the training)."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    train.to_csv(place / "train.csv", index=False)
    new.to_csv(place / "new.csv", index=False)
    words = ["--csv", str(place / "train.csv"), "--targets", ",".join(targets), "--out", str(place / "run")]
    seconds = scalarize("train", *words, *options)
    scalarize("predict", str(place / "run"), "--csv", str(place / "new.csv"), "--out", str(place / "predicted.csv"))
    return pd.read_csv(place / "predicted.csv", keep_default_na=False), seconds


def kept(path: Path, measure: Any) -> Any:
    """Return what ``path`` holds, or measure it and keep it there."""
    if not path.exists():
        found = measure()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1))
        print(path.name, json.dumps(found)[:300], file=sys.stderr, flush=True)
    return json.loads(path.read_text())


def compared(name: str, frame: pd.DataFrame, split: int, out: Path) -> dict[str, Any]:
    train, new = halves(frame, split)
    targets = TARGETS[name]
    started = time.time()
    predicted, seconds = trained(train, new, targets, out / "work" / f"{name}-{split}")
    rivals = predictions(train, new, targets)
    rows = {"shared": predicted, **rivals}
    numbers = {t: is_number(frame[t]) for t in targets}
    scores = {row: {t: score(new[t], found[t], numbers[t]) for t in targets} for row, found in rows.items()}
    return {"scores": scores, "seconds": seconds, "wall": time.time() - started, "rows": len(frame)} | {
        "columns": frame.shape[1],
        "digest": digest(frame),
    }


def unlabelled(name: str, frame: pd.DataFrame, split: int, out: Path) -> dict[str, Any]:
    """Remove labels of the training rows at random, and train one model on all targets and one on each."""
    train, new = halves(frame, split)
    targets, draw = TARGETS[name], np.random.default_rng(1000 + split)
    for target in targets:
        train[target] = train[target].astype(object).where(draw.random(len(train)) > REMOVED, None)
    place = out / "work" / f"missing-{name}-{split}"
    shared, _ = trained(train, new, targets, place)
    alone = {t: trained(train, new, targets, place, "--single", t)[0][t] for t in targets}
    found = {"shared": shared, "single": alone}
    return {t: {row: score(new[t], own[t], is_number(frame[t])) for row, own in found.items()} for t in targets}


def shifted(name: str, frame: pd.DataFrame, split: int, out: Path) -> dict[str, Any]:
    """Train on targets y and on 1e6 y + 2010: the largest difference of predictions, in deviations of the target."""
    train, new = halves(frame, split)
    targets = [t for t in TARGETS[name] if pd.api.types.is_float_dtype(frame[t]) or frame[t].nunique() > 20]
    other = train.assign(**{t: 1e6 * train[t].astype(float) + 2010 for t in targets})
    plain, _ = trained(train, new, TARGETS[name], out / "work" / f"plain-{name}")
    moved, _ = trained(other, new, TARGETS[name], out / "work" / f"shifted-{name}")
    back = {t: (moved[t].astype(float) - 2010) / 1e6 for t in targets}
    return {t: float((back[t] - plain[t].astype(float)).abs().max() / frame[t].std()) for t in targets}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("part", choices=["run", "missing", "scaled", "large", "page"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tables", default=",".join(TARGETS))
    parser.add_argument("--splits", default="0,1,2")
    options = parser.parse_args()
    out, names = options.out, options.tables.split(",")
    if options.part == "page":
        print(tables_page.page(out))
        return
    if options.part == "large":
        kept(out / "large.json", lambda: tables_large.measured(out / "work"))
        return
    tables = fetch(out / "fetched")
    part = {"run": compared, "missing": unlabelled, "scaled": shifted}[options.part]
    for split in map(int, options.splits.split(",")):
        for name in names:
            place = out / options.part / f"{name}-{split}.json"
            kept(place, lambda name=name, split=split: part(name, tables[name], split, out))


if __name__ == "__main__":
    main()
