"""Generated inputs: a hundred thousand to the readers, five hundred through the command line.

What ever failed is kept in ``corpus/KIND/`` and read again in every run of the tests; a failing input is written there.
"""

from __future__ import annotations

import hashlib
import resource
import shutil
import signal
import warnings
from collections import Counter
from pathlib import Path
from types import FrameType

import pytest

import odd_readers
from calling import call, furnish, inside
from odd_inputs import generate
from scalarize.report import images

CORPUS = Path(__file__).with_name("corpus")
SECONDS = 10  # for one input
OFTEN = {"config": 6, "policy": 6, "lineage": 6, "records": 5, "result": 6, "runs": 6, "table": 1, "word": 8}
OFTEN |= {"facts": 3, "fit": 3}
OWN = ["--csv", "mine.csv", "--targets", "a,b", "--epochs", "1"]


def too_long(number: int, frame: FrameType | None) -> None:
    raise AssertionError(f"an input takes more than {SECONDS} s")


def read_all(place: Path, count: int, seed: int) -> Counter[str]:
    """Read the inputs; keep what fails."""
    odd_readers.furnish(place)
    signal.signal(signal.SIGALRM, too_long)
    seen: Counter[str] = Counter()
    failed = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind, content in generate(count, seed, OFTEN, odd_readers.more()):
            seen[kind] += 1
            signal.alarm(SECONDS)
            try:
                assert odd_readers.read(place, kind, content) == content
            except Exception as error:
                kept = CORPUS / kind / hashlib.sha256(content).hexdigest()[:12]
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(content)
                failed.append(f"{kept.relative_to(CORPUS)}: {type(error).__name__}: {str(error)[:200]}")
            finally:
                signal.alarm(0)
    assert not failed, "\n".join(failed[:20])
    return seen


def test_some_generated_inputs(tmp_path: Path) -> None:
    assert set(read_all(tmp_path, 1000, seed=1)) == set(OFTEN)


@pytest.mark.slow
def test_a_hundred_thousand_generated_inputs(tmp_path: Path) -> None:
    seen = read_all(tmp_path, 100_000, seed=0)
    assert sum(seen.values()) == 100_000
    assert min(seen.values()) > 1000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 * 2**20  # KiB


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*/*")), ids=lambda p: f"{p.parent.name}-{p.name}")
def test_what_ever_failed(tmp_path: Path, path: Path) -> None:
    odd_readers.furnish(tmp_path)
    content = path.read_bytes()
    assert odd_readers.read(tmp_path, path.parent.name, content) == content  # read or refused, and left as it was


def lines_of(kind: str) -> list[list[str]]:
    """Commands that read this kind of input, from a file ``odd`` or a directory ``run``."""
    if kind == "policy":
        found = [["train", *OWN, "--policy", "odd", "--out", "new"], ["search", *OWN, "--start", "odd", "--out", "new"]]
        return [*found, ["compare", *OWN, "--methods", "policy", "--policy", "odd", "--seeds", "1", "--out", "new"]]
    if kind == "runs":
        found = [["search", "--algorithm", "regression", "--runs", "odd", "--out", "new"]]
        return [*found, ["mixture", "fit", "--runs", "odd", "--out", "new"]]
    if kind == "table":
        return [["train", "--csv", "odd", "--targets", "a,b", "--epochs", "1", "--out", "new"]]
    return [["report", "run", "--out", "new.html"], ["policy", "run", "--out", "new.json"], ["watch", "run", "--once"]]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_five_hundred_generated_inputs_through_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(tmp_path)
    monkeypatch.setattr(images, "files", lambda chart: {})
    (tmp_path / "run").mkdir()
    odd_readers.furnish(tmp_path / "run")
    signal.signal(signal.SIGALRM, too_long)
    often = {kind: count for kind, count in OFTEN.items() if kind != "word"} | {"table": 3}
    with inside(tmp_path):
        for kind, content in generate(500, seed=2, kinds=often, more=odd_readers.more()):
            Path("odd").write_bytes(content)
            with odd_readers.put(tmp_path / "run", kind, content):
                for line in lines_of(kind):
                    signal.alarm(60)
                    status, out, err = call(line)
                    signal.alarm(0)
                    assert status in (0, 1, 2), (line, content)
                    assert status == 0 or (out == "" and err.splitlines()[-1].startswith("scalarize: ")), (line, err)
                    shutil.rmtree("new", ignore_errors=True)
                    for name in ("new", "new.html", "new.json"):
                        Path(name).unlink(missing_ok=True)
