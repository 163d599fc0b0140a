"""Inputs from a generator: documents, tables, names and words, most of them damaged; the same ones for a seed.

A document that is right is changed in its structure (values replaced, dropped, doubled, renamed, nested) or in its
bytes (cut, bits turned, foreign bytes put in), or is something else altogether. All of them are small and harmless.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from damage import FOREIGN, WRONG, places

POLICY: dict[str, Any] = {
    "format": "scalarize-policy/1",
    "tasks": ["a", "b"],
    "epochs": 12,
    "segments": [{"from_epoch": 0, "weights": [0.2, 0.8], "scale": 1.0}, {"from_epoch": 3, "weights": [0.3, 0.7]}],
    "provenance": {"also": [{"from_epoch": 0, "optimizer.lr": 0.1}], "found": {"trainings": 3.5}},
}
REQUEST: dict[str, Any] = {"workload": "rand-hie", "tasks": ["a"], "epochs": 3, "settings": {"optimizer.lr": 0.1}}
CONFIG: dict[str, Any] = {
    "format": "scalarize-run/1",
    "kind": "train",
    "command": "scalarize train rand-hie",
    "request": {**REQUEST, "policy": POLICY, "seed": 1},
    "recipe": {"epochs": 3, "model": {"widths": [4]}},
    "versions": {"torch": "2"},
}
DECISION = {"generation": 0, "member": 0, "parent": None, "epoch": 3, "weights": [0.2, 0.8], "extras": {"lr": 0.1}}
LINEAGE = [DECISION | {"member": k, "score": 0.5 + k, "metrics": [0.5, None]} for k in range(3)]
RECORD = {"step": 3, "epoch": 1, "split": "train", "domain": "d", "task": "a", "metric": "weight", "value": 0.5}
RECORDS = [RECORD, RECORD | {"task": "b"}, RECORD | {"metric": "loss"}, RECORD | {"split": "validation", "value": None}]
RESULT: dict[str, Any] = {
    "method": "mgda",
    "seed": 0,
    "test": {"a": 0.5, "b": 0.6},
    "score": {"name": "worst", "test": 0.5},
    "rows": [{"method": "x", "average": {"mean": 1.0, "low": None, "high": 2.0}, "tasks": {}, "trainings": 3}],
    "verdicts": ["x wins"],
    "runs": ["runs/x"],
    "found": [{"diverged": [], "average": 0.5, "directories": ["runs/x"]}],
    "not_finite": [{"at": ["test", "a"], "was": "nan"}],
}
RUNS = "weight:a,weight:b,metric:x,metric-:y\n0.2,0.8,0.5,1\n0.5,0.5,0.6,2\n0.9,0.1,0.4,3\n0.4,0.6,0.4,\n"
TABLE = "a,b,x\n" + "".join(f"{k % 2},{k * 7 % 10 / 3},{k * 3 % 11}\n" for k in range(60))
WORDS = ["a=1,b=2", "optimizer.lr=log:1e-4:1e-2", "main=a", "a=2,b=1", "model.widths=[4, 4]", "lr=1e-4", "a,b", "0,1"]
LETTERS = 'ab=,:[]{}"&*!%@`|>-?# \t\n\\.0123456789e+nif\x00\x1b\xff\u20ac\u2028\ud800😀/~$'
CELLS = [
    "",
    "0",
    "-1",
    "2.5",
    "nan",
    "inf",
    "1e400",
    "1e-400",
    "yes",
    '"',
    "'",
    "ü",
    "9" * 40,
    "\x00",
    "1,2",
    "0x10",
    "٣",
]


def value(draw: random.Random) -> Any:
    """Anything that a document may hold in the place of something else."""
    kinds: list[Callable[[], Any]] = [
        lambda: copy.deepcopy(draw.choice(WRONG)),
        lambda: draw.uniform(-10, 10) * 10.0 ** draw.randint(-320, 308),
        lambda: draw.choice([-1, 1]) * draw.getrandbits(draw.choice([1, 8, 31, 63, 64, 200])),
        lambda: "".join(draw.choices(LETTERS, k=draw.randint(0, 8))),
        lambda: nested(draw, draw.choice([1, 5, 99, 101, 300])),
        lambda: [value(draw) for _ in range(draw.randint(0, 3))],
    ]
    return draw.choice(kinds)()


def nested(draw: random.Random, depth: int) -> Any:
    inner: Any = draw.choice([0, "x", None])
    for _ in range(depth):
        inner = [inner] if draw.random() < 0.5 else {"x": inner}
    return inner


def changed(draw: random.Random, content: Any) -> Any:
    """``content`` with up to three changes of its structure."""
    result = copy.deepcopy(content)
    for _ in range(draw.randint(0, 3)):
        at = draw.choice(list(places(result))[:200])
        if not at:
            if draw.random() < 0.1:
                return value(draw)
            continue
        *path, last = at
        holder = result
        for key in path:
            holder = holder[key]
        action = draw.random()
        if action < 0.6:
            holder[last] = value(draw)
        elif action < 0.75:
            del holder[last]
        elif action < 0.9 and isinstance(holder, dict):
            holder["".join(draw.choices(LETTERS, k=draw.randint(0, 5)))] = holder.pop(last)
        else:
            holder[last] = [copy.deepcopy(holder[last])] * draw.choice([2, 2, 40])
    return result


def damaged(draw: random.Random, content: bytes) -> bytes:
    """``content`` as it is, or with its bytes damaged."""
    action = draw.random()
    if action < 0.55 or not content:
        return content
    start = draw.randrange(len(content))
    if action < 0.65:
        return content[:start]
    if action < 0.8:
        turned = bytearray(content)
        turned[start] ^= 1 << draw.randrange(8)
        return bytes(turned)
    put = draw.choice([*FOREIGN, draw.randbytes(draw.randint(1, 8)), b"&x ", b"*x", b"<<: *x\n", b"--- ", b"!!set "])
    return put if action > 0.98 else content[:start] + put + content[start + draw.choice([0, 0, len(put)]) :]


def as_json(content: Any) -> bytes:
    return json.dumps(content, indent=1).encode()


def as_lines(content: Any) -> bytes:
    rows = content if isinstance(content, list) else [content]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def as_yaml(content: Any) -> bytes:
    """YAML; what holds something twice has an alias. What nests too deeply for its writer is JSON, which is YAML."""
    try:
        return yaml.safe_dump(content, sort_keys=False).encode()
    except RecursionError:
        return as_json(content)


def cells(draw: random.Random, table: str) -> bytes:
    """A table in which some cells are other ones, and some rows are short or long."""
    rows = [line.split(",") for line in table.splitlines()]
    for _ in range(draw.randint(0, 4)):
        row = draw.choice(rows)
        if row and draw.random() < 0.8:
            odd = [draw.choice(CELLS), str(draw.uniform(-9, 9) * 10.0 ** draw.randint(-320, 308))]
            row[draw.randrange(len(row))] = draw.choice(odd)
        elif draw.random() < 0.5:
            row.append("1")
        else:
            row.clear()
    return "\n".join(",".join(row) for row in rows).encode(errors="surrogatepass") + b"\n"


def word(draw: random.Random) -> bytes:
    """What may stand in an option, or be the name of something."""
    text = list(draw.choice([*WORDS, ""]))
    for _ in range(draw.randint(0, 4)):
        text.insert(draw.randint(0, len(text)), draw.choice(LETTERS))
    return "".join(text).encode(errors="surrogatepass")


KINDS: dict[str, Callable[[random.Random], bytes]] = {
    "config": lambda draw: damaged(draw, as_yaml(changed(draw, CONFIG))),
    "policy": lambda draw: of(POLICY)(draw),
    "lineage": lambda draw: damaged(draw, as_lines(changed(draw, LINEAGE))),
    "records": lambda draw: damaged(draw, as_lines(changed(draw, RECORDS))),
    "result": lambda draw: of(RESULT)(draw),
    "runs": lambda draw: damaged(draw, cells(draw, RUNS)),
    "table": lambda draw: damaged(draw, cells(draw, TABLE)),
    "word": word,
}


def of(content: Any) -> Callable[[random.Random], bytes]:
    """Inputs that begin with this JSON document."""
    return lambda draw: damaged(draw, as_json(changed(draw, content)))


def generate(
    count: int, seed: int, kinds: dict[str, int], more: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, bytes]]:
    """Kind and content of ``count`` inputs.

    kinds: how often each is drawn beside the others. more: JSON documents of further kinds.
    """
    draw = random.Random(seed)
    makers = KINDS | {kind: of(content) for kind, content in (more or {}).items()}
    for _ in range(count):
        kind = draw.choices(list(kinds), weights=list(kinds.values()))[0]
        yield kind, makers[kind](draw)
