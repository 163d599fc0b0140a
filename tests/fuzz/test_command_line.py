"""Any words after ``scalarize``: status 0, 1 or 2, one line where it failed, and what lay there lies there still."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import strategies as st

from calling import call, furnish, inside
from damage import amounts, fuzz, snapshot
from scalarize import cli
from scalarize.report import images

NUMBERS = ["0", "1", "2", "-1", "0.5", "1e3", "nan", "inf", "-inf", "1e400", "", "x", "1_0", "٣", "9" * 30]


def _values() -> dict[str, list[str]]:
    """Values by option; what is plausible stands there more often."""
    special = {"NUMBERS": NUMBERS, "LONG": ["n" * 300], "EMPTY": [""], "NEVER": []}
    found: dict[str, list[str]] = {}
    for line in Path(__file__).with_name("words.txt").read_text().splitlines():
        option, _, listed = line.partition(": ")
        for word in listed.split(" | "):
            found.setdefault(option, []).extend(special.get(word, [word]))
    return found


VALUES = _values()
FLAGS = ["--resume", "--json", "--help", "--asynchronous", "--once", "--list", "--x", "--", "-1"]
OWN = ["--csv", "mine.csv", "--targets", "a,b", "--epochs", "1"]
SMALL = {"search": ["--population", "2", "--ready", "1"], "compare": ["--methods", "uniform", "--seeds", "1"]}
SMALL["cost"] = ["--methods", "uniform", "--repeats", "1"]
ENDLESS = {"watch": ["--once"], "reproduce": ["--list"]}  # what would go on for ever, or for hours
PLACES = ["held", "held/run", "held/search", "held/comparison", "mine.csv", "none", "new", ".", ""]


def _options() -> dict[str, list[str]]:
    """What each command takes with a value; a new option fails here until words.txt has values for it."""
    found = {}
    with click.Context(cli.app) as context:
        for name in cli.COMMANDS:
            command = cli.app.get_command(context, name)
            assert command is not None
            own = [p.opts[0] for p in command.params if isinstance(p, click.Option) and not p.is_flag]
            found[name] = [option for option in own if VALUES[option]]
    return found


OPTIONS = _options()
OPTIONS.pop("demo")  # trains for minutes whatever is asked


@st.composite
def words(draw: st.DrawFn) -> list[str]:
    """A command with plausible and implausible options; what is given twice counts the last time."""
    name = draw(st.sampled_from(sorted(OPTIONS)))
    line = [name]
    if name in ("train", "search", "compare", "cost") and draw(st.integers(0, 7)):
        line += [*OWN, *SMALL.get(name, [])]
    elif name in ("retrain", "policy", "report", "watch", "verify", "data", "reproduce"):
        line += [draw(st.sampled_from(PLACES))]
    for _ in range(draw(st.integers(0, 3))):
        if draw(st.integers(0, 5)) == 0:
            line.append(draw(st.sampled_from(FLAGS) | st.text("abü-=,. \n\x1b", max_size=5)))
        elif OPTIONS[name]:
            option = draw(st.sampled_from(OPTIONS[name]))
            line += [option, draw(st.sampled_from(VALUES[option]))]
    if draw(st.integers(0, 2)) == 0:
        line += ["--json"]
    return line + ENDLESS.get(name, [])


@pytest.mark.filterwarnings("default")
@amounts(60, 2500)
def test_any_words(tmp_path: Path, examples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    furnish(tmp_path)
    monkeypatch.setenv("SCALARIZE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(
        images, "files", lambda chart: {}
    )  # matplotlib would take most of the time; tests/report has it
    known = snapshot(tmp_path)
    made = {tmp_path / "held/run/policy.json"}  # `policy RUN` adds it; `report` adds a page to what it reads

    def check(line: list[str]) -> None:
        with inside(tmp_path):
            status, out, err = call(line)
        assert status in (0, 1, 2), (status, out, err)
        if status and "--json" in line:
            error: Any = json.loads(out)
            assert error["status"] == status
            assert error["error"].strip()
        elif status:
            assert out == ""
            assert err.splitlines()[-1].startswith("scalarize: "), err
        elif "--json" in line and "--help" not in line:
            assert isinstance(json.loads(out), dict)
        after = snapshot(tmp_path)
        assert {path: after.get(path) for path in known} == known
        for path in set(after) - set(known) - made:
            path.unlink()

    fuzz(check, examples, words())
