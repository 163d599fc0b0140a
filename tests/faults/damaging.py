"""Damage of every stored file: emptied, halved, single bits flipped, replaced by another run's or another file."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from faults.killing import Trials
from scalarize.utils.errors import RequestError

Files = dict[Path, bytes]


def snapshot(place: Path) -> Files:
    """Every file below, but locks."""
    return {p: p.read_bytes() for p in sorted(place.rglob("*")) if p.is_file() and p.name != ".lock"}


def restore(place: Path, known: Files) -> None:
    """Make ``place`` hold these files and no others."""
    for path in set(snapshot(place)) - set(known):
        path.unlink()
    for path, content in known.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def damages(path: Path, known: Files, others: Files, bits: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """What a file may hold in place of its content, with words for it."""
    content = known[path]
    yield "empty", b""
    yield "half", content[: len(content) // 2]
    for bit in random.Random(seed).sample(range(8 * len(content)), min(bits, 8 * len(content))):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        yield f"bit {bit}", bytes(changed)
    if path in others:
        yield "of another run", others[path]
    for other in known:
        if other != path and other.suffix == path.suffix:
            yield f"swapped with {other.name}", known[other]


def damage_everything(
    name: str,
    place: Path,
    known: Files,
    others: Files,
    go_on: Callable[[], Any],
    products: Callable[[Path], Any],
    wanted: Any,
    bits: int,
) -> Trials:
    """Damage each file in each way and go on: refused in one line, or the same bytes.

    Args:
        name: of the kind.
        place: the directory.
        known: its files, interrupted.
        others: those of another run by the same paths, interrupted at the same place.
        go_on: resumes it.
        products: what is compared.
        wanted: what an undisturbed run leaves.
        bits: flipped in each file, one at a time.
    """
    found = Trials(name)
    for path in known:
        for how, content in damages(path, known, others, bits):
            if content == known[path]:
                continue
            restore(place, known)
            path.write_bytes(content)
            found.tried += 1
            try:
                go_on()
            except RequestError as error:
                if "\n" in str(error) or not str(error):
                    found.failed.append(f"{path.name}, {how}: {error!r}")
                continue
            except Exception as error:
                found.failed.append(f"{path.name}, {how}: {type(error).__name__}: {error}")
                continue
            if products(place) != wanted:
                found.failed.append(f"{path.name}, {how}: other bytes")
    return found
