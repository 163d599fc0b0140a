"""Kills at changes of files, and damage of stored files: what held.

    python results/faults.py --out results/faults.md

The trials are those of ``tests/faults``, in forked processes with torch loaded. ``--every`` is the distance of the
changes at which is killed (1 for some), ``--bits`` how many are flipped in each stored file, one at a time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import torch

from faults import killing, scenes, trials
from scalarize.utils import files

WHOLE = ("search, pbt", "scalarize train", "scalarize report")  # killed at every change, whatever is asked
HEAD = """# Kills and damage

Made by `{command}` in {minutes:.0f} minutes of wall time on a machine that others used, too.

**Kills.** A forked process ends itself (as by `kill -9`) before a change of a file, a name or a folder, or when half of
a write has reached the file; the same words with `--resume` then go on, and every file that is left is compared with
what an undisturbed run leaves (without seconds, and without the manifest, which holds digests of files with seconds).
Of the changes of a command, one in so many is tried.

| killed | one in | trials | held |
| --- | --- | --- | --- |
{kills}

**Damage.** Each stored file of an interrupted run is emptied, halved, has one bit flipped ({bits} places a file), is
replaced by that of a run with another seed and by every other file of its kind; then the run goes on. Held: refused in
one line, or the same bytes as an undisturbed run.

| damaged | trials | held |
| --- | --- | --- |
{damage}
"""
ENDED = (
    "`scalarize search` and `compare` say how far they are at times that the clock decides: {count} of these processes "
)
ENDED += "made fewer changes than counted before, and ended before their kill; their bytes were compared as well."


def row(found: killing.Trials, every: int | None = None) -> str:
    """Return a line of a table."""
    numbers = [found.name, *([] if every is None else [str(every)]), f"{found.tried:,}"]
    return "| " + " | ".join([*numbers, f"{found.tried - len(found.failed):,}"]) + " |"


def report(
    kills: Sequence[tuple[killing.Trials, int]],
    damage: Sequence[killing.Trials],
    bits: int,
    minutes: float,
    command: str,
) -> str:
    """Return the page."""
    text = HEAD.format(
        command=command,
        minutes=minutes,
        kills="\n".join(row(found, every) for found, every in kills),
        damage="\n".join(map(row, damage)),
        bits=bits,
    )
    ended = sum(found.ended for found, _ in kills)
    text += f"\n{ENDED.format(count=ended)}\n" if ended else ""
    failed = [f"- {found.name}: {line}" for found in [*(f for f, _ in kills), *damage] for line in found.failed]
    return text + ("\n**Not held.**\n\n" + "\n".join(failed) + "\n" if failed else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="distance of the changes at which is killed")
    parser.add_argument("--bits", type=int, default=200, help="bits flipped in each stored file")
    parser.add_argument("--only", default="", help="kinds whose name holds this word")
    args = parser.parse_args()
    torch.set_num_threads(1)
    begun = time.monotonic()
    kills: list[tuple[killing.Trials, int]] = []
    damage: list[killing.Trials] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for k, (name, make) in enumerate(trials.kills(place / "found").items()):
            if args.only in name:
                every = 1 if name in WHOLE else args.every
                kills.append((killing.kill_everywhere(name, make, scenes.products, place / f"{k}", every), every))
                print(row(*kills[-1]), *kills[-1][0].failed, sep="\n", flush=True)
        for name, call in {
            "a search": lambda p: trials.damaged_search(p, args.bits),
            "a search without a barrier": lambda p: trials.damaged_search(p, args.bits, asynchronous=True),
            "a training": lambda p: trials.damaged_training(p, args.bits),
        }.items():
            if args.only in name:
                (place / name).mkdir()
                damage.append(call(place / name))
                damage[-1].name = name
                print(row(damage[-1]), *damage[-1].failed, sep="\n", flush=True)
    words = [f"--every {args.every}"] * (args.every != 1) + [f"--bits {args.bits}"] * (args.bits != 200)
    command = " ".join(["python results/faults.py --out results/faults.md", *words])
    files.write_text(args.out, report(kills, damage, args.bits, (time.monotonic() - begun) / 60, command))


if __name__ == "__main__":
    main()
