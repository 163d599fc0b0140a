"""Compares searches and trainings, byte for byte, with those of the build that wrote ``recorded.json``.

python tests/same_product/record.py --check [NAME ...]   compare, print what differs, exit status 1 if anything does
python tests/same_product/record.py --write              run everything and write ``recorded.json`` anew

Only the command line is called, so files of the package may move. No result holds a time: nothing is left out of the
bytes compared. Floats differ in their last bits from processor to processor: ``recorded.json`` holds a fingerprint of
the arithmetic it was made with, and under another one only rounded numbers are compared (see ``differences``).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.metadata
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # before torch and numpy are loaded
    os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

import scalarize
from scalarize import cli

RECORDED = Path(__file__).with_name("recorded.json")
PACKAGES = ("torch", "torchvision", "numpy", "scipy", "botorch", "gpytorch", "pillow", "matplotlib")
TOLERANCE = 1e-3  # of numbers under another arithmetic, relative above 1

SMALL = " --epochs 3 --set batch_size=512 --set model.widths=[16,16]"
TRAIN = f"train rand-hie{SMALL}"
SITES = f"train rand-hie-sites{SMALL}"
THREE = "--tasks any-mental,log-drugs,visits-other"
SEARCH = f"search rand-hie {THREE} --ready 1 --population 8{SMALL} --epochs 5"
WEIGHTS = "any-mental=1,any-inpatient=2,any-supplies=3,log-outpatient=1,log-drugs=1,visits-physician=.1,visits-other=1"
# Of --algorithm or --method alone. The last bits decide in the first two: longer, processors differ by over 1e-3.
INSTEAD = {"pb2": "--algorithm pb2 --epochs 4", "sdmgrad": f"--method sdmgrad {THREE} --epochs 2"}
INSTEAD |= {"fixed": f"--weights {WEIGHTS}", "policy": "--policy given.json"}
MORE = {
    "search/pbt, asynchronous": f"{SEARCH} --asynchronous --seed 1",
    "search/pbt, also lr and the worst task": f"{SEARCH} --also optimizer.lr=log:0.0003:0.03 --score worst",
    "search/random, sites in groups": f"search rand-hie-sites --algorithm random --group site-1,site-2{SMALL}",
    "search/pbt, from a policy": f"search rand-hie --population 4 --ready 1 --start given.json{SMALL}",
    "train/uniform, sites": f"{SITES} --method uniform",
    "train/pcgrad, sites": f"{SITES} --method pcgrad",
    "train/famo, sites as loss weights": f"{SITES} --method famo --set mixing=loss",
    "train/mgda, representation": f"{TRAIN} --method mgda --set level=representation",
    "train/cagrad, accumulate 2, full": f"{TRAIN} --method cagrad --set accumulate=2",
    "train/cagrad, accumulate 2, micro": f"{TRAIN} --method cagrad --set accumulate=2 --set accumulation=micro",
    "train/uncertainty, sgd": f"{TRAIN} --method uncertainty --seed 3 --set optimizer.name=sgd --set max_grad_norm=1",
    "train/rlw, cosine, dropout": f"{SITES} --method rlw --set schedule.name=cosine --set model.dropout=0.2",
    "train/uniform, float64": f"{TRAIN} --precision float64",
    "train/single": f"{TRAIN} --single log-drugs --set selection=per-metric --set schedule.warmup=1",
    "train/rlw, own table": "train --csv mine.csv --targets a,b --method rlw --epochs 3",
    "train/uniform, glyphs": "train glyphs --epochs 2 --set data.installed=false",
    "train/pcgrad, glyphs-tasks": "train glyphs-tasks --epochs 1 --method pcgrad --set data.installed=false",
}


def call(words: list[str]) -> tuple[int, str, str]:
    """Status, stdout and stderr of ``scalarize`` with these words."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main(words)
        except SystemExit as stop:
            status = int(stop.code or 0)
    return status, out.getvalue(), err.getvalue()


def cases() -> dict[str, list[str]]:
    """The words of every case: each algorithm and each method that the command line knows, and ``MORE``."""
    known = call(["search", "rand-hie", "--algorithm", "?"])[2].partition("known: ")[2]
    methods = [m["name"] for m in json.loads(call(["methods", "--json"])[1])["methods"]]
    found = {f"search/{a}": f"{SEARCH} {INSTEAD.get(a, f'--algorithm {a}')}" for a in known.strip().split(", ")}
    found |= {f"train/{m}": f"{TRAIN} {INSTEAD.get(m, f'--method {m}')}" for m in methods}
    return {name: words.split() for name, words in (found | MORE).items()}


@contextlib.contextmanager
def inside(place: Path) -> Iterator[None]:
    """In this directory, where a policy to replay and a table lie."""
    tasks = [pair.partition("=")[0] for pair in WEIGHTS.split(",")]
    weights = [[0.4, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05], [0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2]]
    segments = [{"from_epoch": k, "weights": w, "scale": 1.0 + k} for k, w in enumerate(weights)]
    content = {"format": "scalarize-policy/1", "tasks": tasks, "epochs": 2, "segments": segments, "provenance": {}}
    rows = "".join(f"{k % 2},{k * 7 % 10 / 3},{k * 3 % 11}\n" for k in range(200))
    with contextlib.chdir(place):
        Path("given.json").write_text(json.dumps(content))
        Path("mine.csv").write_text("a,b,x\n" + rows)
        yield


def seen(words: list[str], out: str) -> dict[str, Any]:
    """What these words leave in ``out``: hashes and numbers, or what the command says where it refuses."""
    status, _, err = call([*words, "--out", out])
    if status:
        return {"refused": f"{status}: {err.strip().splitlines()[-1]}"}
    return searched(Path(out)) if words[0] == "search" else trained(Path(out))


def searched(out: Path) -> dict[str, Any]:
    """Of a search: the bytes of its policies and lineage, and the policy's score and weights."""
    policy = json.loads((out / "policy.json").read_text())
    numbers = {"score": policy["provenance"]["found"]["score"]}
    for s in policy["segments"]:
        numbers |= {f"{t} from {s['from_epoch']}": w for t, w in zip(policy["tasks"], s["weights"], strict=True)}
    paths = [out / "policy.json", out / "lineage.jsonl", *sorted(out.glob("front/*.json"))]
    return {**{str(p.relative_to(out)): digest(p) for p in paths}, "numbers": rounded(numbers)}


def trained(out: Path) -> dict[str, Any]:
    """Of a training: the bytes of its records, and the validation values in the end."""
    values = json.loads((out / "result.json").read_text())["validation"]
    return {"records.jsonl": digest(out / "records.jsonl"), "numbers": rounded(values)}


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rounded(numbers: Mapping[str, float]) -> dict[str, float]:
    """To five places, for people and for other processors."""
    return {name: round(x, 5) for name, x in numbers.items()}


def fingerprint() -> dict[str, str]:
    """What the last bits of floats depend on: packages, the processor's kind, and a few sums as they come out here."""
    torch.set_num_threads(1)
    a = ((torch.arange(256 * 64) * 7919) % 1013 / 1013 - 0.5).reshape(256, 64)
    d, n = a.double(), a.double().numpy()
    image, square = a.reshape(4, 4, 32, 32), n.T @ n + np.eye(64)
    sums = [a @ a.T, a[:, :31] @ a[:31, :16], a.T @ a, a.exp(), a.sigmoid(), a.tanh(), (a + 1).log(), a.sum(dim=0)]
    sums += [torch.log_softmax(a, dim=1), torch.linalg.vector_norm(a, dim=1), torch.matrix_exp(a[:16, :16])]
    sums += [torch.conv2d(image, image[:, :, :3, :3]), d @ d.T, torch.linalg.eigvalsh(d.T @ d), d.exp()]
    arrays = [x.numpy() for x in sums] + [n @ n.T, np.exp(n), np.linalg.cholesky(square), np.linalg.solve(square, n.T)]
    content = b"".join(np.ascontiguousarray(x).tobytes() for x in arrays)
    sha, capability = hashlib.sha256(content).hexdigest(), torch.backends.cpu.get_cpu_capability()
    return {"capability": capability, "sha256": sha} | {name: importlib.metadata.version(name) for name in PACKAGES}


def commit() -> str:
    """Of the package that runs."""
    words = ["git", "describe", "--always", "--dirty", "--abbrev=7"]
    return subprocess.check_output(words, text=True, cwd=Path(scalarize.__file__).parent).strip()


def differences(held: Mapping[str, Any], found: Mapping[str, Any], same_arithmetic: bool) -> list[str]:
    """Where one case differs from what is recorded: in any byte, or under another arithmetic in a number."""
    if same_arithmetic or "refused" in {*held, *found}:
        return [f"{k}: {held.get(k)} is now {found.get(k)}" for k in {**held, **found} if held.get(k) != found.get(k)]
    was, now = held["numbers"], found["numbers"]
    if set(was) != set(now):
        return [f"numbers: {sorted(was)} are now {sorted(now)}"]
    near = {k for k, x in was.items() if x == now[k] or abs(x - now[k]) <= TOLERANCE * max(1, abs(x))}
    return [f"{k}: {x} is now {now[k]}" for k, x in was.items() if k not in near]


def main() -> int:
    """As the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", action="store_true")
    what.add_argument("--check", nargs="*", metavar="NAME")
    asked = parser.parse_args()
    held = json.loads(RECORDED.read_text()) if RECORDED.exists() else {"fingerprint": {}, "cases": {}}
    here, known = fingerprint(), cases()
    same = held["fingerprint"] == here
    if not same:
        print(f"another arithmetic than the recorded one, numbers are compared to {TOLERANCE:g}: {here}")
    content, count = {}, 0
    with tempfile.TemporaryDirectory() as place, inside(Path(place)):
        for number, name in enumerate(asked.check or sorted({*known, *held["cases"]})):
            content[name] = seen(known[name], f"case-{number}") if name in known else {"refused": "no longer known"}
            was = held["cases"].get(name)
            for line in ["not recorded"] if was is None else differences(was, content[name], same):
                print(f"{name}: {line}")
                count += 1
    print(f"{len(content)} cases, {count} differences")
    if asked.check is not None:
        return int(count > 0)
    lines = [f"{json.dumps(name)}: {json.dumps(content[name])}" for name in content if name in known]
    head = f'{{"commit": {json.dumps(commit())},\n"fingerprint": {json.dumps(here)},\n"cases": {{\n'
    RECORDED.write_text(head + ",\n".join(lines) + "\n}}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
