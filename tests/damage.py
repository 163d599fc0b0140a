"""What goes wrong with files: values of the wrong kind, missing and doubled parts, cut and foreign bytes.

``fuzz`` runs a property over such inputs: few by default, many under the slow mark.
"""

from __future__ import annotations

import contextlib
import copy
import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from scalarize.utils.errors import ScalarizeError

WRONG = [
    *(None, True, False, 0, -1, 1, 3, 0.5, 1e-320, 1e308, -1e308, 10**30, 2**63, math.nan, math.inf, -math.inf),
    *("", "a", "weights", "\ud800", "\x00", "\x1b[2J", "../..", "<script>", "1e5", "nan", "a" * 300, "two\nlines"),
    *([], {}, [[]], [None], {"a": None}, [1, 2, 3], {"a": {"b": 1}}),
]
FOREIGN = [
    b"",
    b"\x00",
    b"\xff\xfe",
    b"[" * 50_000,
    b"1" * 5000,
    b"{",
    b"&a [*a, *a]",
    b"!!python/object/apply:os.abort []",
]


def fuzz(check: Callable[..., None], examples: int, *strategies: st.SearchStrategy[Any]) -> None:
    """``check`` over ``examples`` drawn inputs; the same ones every time."""
    chosen = settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
    )
    with warnings.catch_warnings():
        # Else the length of a failing input would hide the failure.
        warnings.filterwarnings("ignore", message="Generating overly large repr")
        chosen(given(*strategies)(check))()


def amounts(few: int, many: int) -> Any:
    """Parametrises ``examples``: ``few`` in every run of the tests, ``many`` under the slow mark."""
    return pytest.mark.parametrize("examples", [few, pytest.param(many, marks=pytest.mark.slow)])


@contextlib.contextmanager
def one_line() -> Iterator[None]:
    """What is inside succeeds, or fails as a command may: with an error of a known kind, in a line."""
    said = "it succeeded"
    try:
        yield
    except ScalarizeError as error:
        said = str(error).strip()
    assert said


def places(content: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in nested lists and mappings, the whole included."""
    yield here
    if isinstance(content, dict | list):
        for key in content if isinstance(content, dict) else range(len(content)):
            yield from places(content[key], (*here, key))


@st.composite
def damaged(draw: st.DrawFn, content: Any, most: int = 2) -> Any:
    """``content`` with up to ``most`` values replaced, dropped, doubled or renamed."""
    result = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, most))):
        *path, last = draw(st.sampled_from([p for p in places(result) if p] or [("x",)]))
        if last == "x":
            return copy.deepcopy(draw(st.sampled_from(WRONG)))
        holder = result
        for key in path:
            holder = holder[key]
        action = draw(st.sampled_from(["replace", "replace", "drop", "double", "rename"]))
        if action == "replace" or (action != "drop" and isinstance(holder, list) is (action == "rename")):
            # A copy: what is put in may be damaged in turn.
            holder[last] = copy.deepcopy(
                draw(st.sampled_from(WRONG) | st.floats() | st.integers() | st.text(max_size=8))
            )
        elif action == "drop":
            del holder[last]
        elif action == "rename":
            holder[draw(st.text(max_size=5))] = holder.pop(last)
        elif isinstance(holder, list):
            holder.insert(last, copy.deepcopy(holder[last]))
        else:
            holder[last] = [holder[last], holder[last]]
    return result


@st.composite
def damaged_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """``content`` cut, with a part replaced by foreign bytes, or something else altogether."""
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, min(len(content), start + 40)))
    put = draw(st.sampled_from(FOREIGN) | st.binary(max_size=12))
    how = draw(st.sampled_from(["cut", "replace", "replace", "other"]))
    return {"cut": content[:start], "replace": content[:start] + put + content[end:], "other": put}[how]


def as_json(content: Any) -> bytes:
    """JSON as our writers and other people's make it."""
    return json.dumps(content).encode()


def as_lines(content: Any) -> bytes:
    """JSON lines; what is no list becomes one line."""
    rows = content if isinstance(content, list) else [content]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def snapshot(place: Path) -> dict[Path, bytes]:
    """Every file below, as bytes."""
    return {path: path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


@st.composite
def damaged_file(draw: st.DrawFn, known: Mapping[Path, bytes]) -> tuple[Path, bytes | None]:
    """One file of a directory and what it now holds; None: it is gone."""
    path = draw(st.sampled_from(sorted(known)))
    content = known[path]
    if path.suffix not in (".json", ".jsonl", ".yaml") or draw(st.integers(0, 3)) == 0:
        return path, draw(st.none() | damaged_bytes(content))
    if path.suffix == ".jsonl":
        lines = content.splitlines()
        keep = draw(st.integers(1, min(6, len(lines))))  # the damage is somewhere in these
        rest = b"".join(line + b"\n" for line in lines[keep:])
        return path, as_lines(draw(damaged([json.loads(line) for line in lines[:keep]]))) + rest
    if path.suffix == ".yaml":
        return path, yaml.safe_dump(draw(damaged(yaml.safe_load(content)))).encode()
    return path, as_json(draw(damaged(json.loads(content))))
