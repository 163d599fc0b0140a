"""Results pages: each holds its studies' commands, findings and tables; the committed one is that of its trials."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reading import commands, tables
from scalarize.studies import page_parts, registry, results_page
from scalarize.studies.results_page import Changes, ResultsPage, Trial
from scalarize.utils.errors import RequestError

PAPERS = ("kurin2022", "royer2023", "xin2022")
RESULTS = Path(__file__).parents[2] / "results"


def found(place: Path, frame: pd.DataFrame, kind: str, **more: Any) -> dict[str, Any]:
    """A study's result with one table, as a page takes it."""
    frame.to_csv(place / "t.csv", index=False)
    result: dict[str, Any] = {
        **{"question": "Who wins?", "command": "scalarize reproduce x", "illustration": True, "runs": 21},
        **{"findings": ["w: nobody: 1."], "scaled": ["w: runs: 70 -> 21"], "seconds_runs": 7.0, "out": str(place)},
        **{"target": "p/t", "data": "w", "minutes": 3},
        "tables": [{"file": "t.csv", "kind": kind, "title": "A table", "note": ""}],
    }
    return result | more


def assert_holds(page: ResultsPage, result: dict[str, Any]) -> None:
    """The page says all that is beside the tables."""
    text = page.document([result])
    assert commands(text) == [result["command"]]
    for fact in (result["question"], "- nobody: 1.", "runs: 70 -> 21", "**Illustration**"):
        assert fact in text
    assert "**Illustration**" not in page.document([result | {"illustration": False}])


def test_kurins_page_shows_averages(tmp_path: Path) -> None:
    own = {"method": "unitary", "low": 0.8, "high": 0.82, "seeds": 3, "paper": None}
    frame = pd.DataFrame([own | {"task": t, "mean": m} for t, m in (("average", 0.81234), ("left", 0.7))])
    result, page = found(tmp_path, frame, "comparison"), registry.page("kurin2022")
    assert_holds(page, result)
    shown = {"method": "unitary", "mean": "0.8123", "low": "0.8", "high": "0.82", "seeds": "3"}
    verdicts, minutes, averages = tables(page.document([result]))
    assert verdicts == []
    assert [m["allocated, minutes"] for m in minutes] == ["3", "3"]
    assert averages == [shown]


def test_xins_page_shows_trade_offs(tmp_path: Path) -> None:
    own = {"rate": 0.5, "seed": 0, "line": True}
    rows = [{"row": "scalarization", "weight": 0.1, "x": 1.23456, "y": 2.0}, {"row": "mgda", "x": 3.0, "y": 4.0}]
    result, page = found(tmp_path, pd.DataFrame([own | r for r in rows]), "two-tasks"), registry.page("xin2022")
    assert_holds(page, result)
    *_, shown = tables(page.document([result]))
    assert [(r["row"], r["weight"], r["x"]) for r in shown] == [("scalarization", "0.1", "1.235"), ("mgda", "", "3")]


@pytest.mark.parametrize("paper", PAPERS)
def test_each_trial_is_a_study_of_the_paper(paper: str) -> None:
    page = registry.page(paper)
    assert page.paper == paper
    assert len({(t.target, t.place) for t in page.trials}) == len({(t.target, t.data) for t in page.trials})
    assert len({(t.target, t.place) for t in page.trials}) == len(page.trials)
    for trial in page.trials:
        assert trial.minutes  # allocated before it was run
        assert registry.get(f"{paper}/{trial.target}")
        assert results_page.request_of(paper, trial, Changes()).seeds == trial.seeds or trial.least_seeds > trial.seeds


@pytest.mark.parametrize("paper", PAPERS)
def test_the_committed_page_has_the_commands_of_its_trials_and_its_own(paper: str) -> None:
    text = (RESULTS / f"{paper}.md").read_text()
    page = registry.page(paper)
    lines = page_parts.left_out(paper, page.trials, [{"target": "x", "data": "y"}])
    assert lines == []  # no trial of the page is there
    left = re.findall(r"^Planned and not run: .*$", text, re.M)
    wanted = [
        results_page.command_of(results_page.request_of(paper, t, Changes()))
        for t in page.chosen()
        if not any(f"{t.target} on {t.data} ({t.minutes} minutes)" in line for line in left)
    ]
    assert sorted(commands(text)) == sorted(wanted)
    assert f"`scalarize reproduce {paper} --page results/{paper}.md`" in text


def test_a_trial_keeps_what_is_its_own() -> None:
    sweep = Trial("a", "w", "?", "small", 12, 2, settings={"optimizer.lr": 0.004}, sweeps=("optimizer.lr",))
    asked = Changes(epochs=3, seeds=1, settings={"optimizer.lr": 0.1, "batch_size": 64})
    assert results_page.request_of("p", sweep, asked).settings == {"batch_size": 64}
    several = Trial("a", "w", "?", "small", 12, 2, least_seeds=5)
    assert results_page.request_of("p", several, asked).seeds == 5
    dear = Trial("a", "w", "?", "tiny", 12, 1, fixed_size=True)
    request = results_page.request_of("p", dear, Changes(budget="full", epochs=3, seeds=9))
    assert (request.budget, request.seeds, request.epochs) == ("tiny", 1, 3)


def test_a_command_is_the_study_again() -> None:
    trial = Trial("a", "w", "?", "0.5", 12, 3, ("x", "y"), {"model.widths": [32, 32]}, ("famo",))
    words = shlex.split(results_page.command_of(results_page.request_of("p", trial, Changes(data="/d"))))
    pairs = dict(zip(words[3::2], words[4::2], strict=True))
    wanted = {"--workload": "w", "--tasks": "x,y", "--budget": "0.5", "--epochs": "12", "--seeds": "3"}
    assert pairs == wanted | {"--set": "model.widths=[32, 32]", "--methods": "famo"}
    assert words[2] == "p/a"


def test_trials_are_chosen_by_target_and_workload() -> None:
    page = registry.page("kurin2022")
    assert {t.workload for t in page.chosen()} == {"rand-hie"}
    assert {t.target for t in page.chosen(workload="multi-fashion")} == {"figure-1", "figure-7"}
    assert [t.workload for t in page.chosen("kurin2022/figure-10")] == ["rand-hie"]
    with pytest.raises(RequestError, match="figure-3 on rendered-scenes"):
        page.chosen(workload="glyphs")


def test_the_page_is_written_after_each_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, Any], int | None]] = []

    def run(target: Any, request: Any, *others: Any) -> dict[str, Any]:
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append((target.name, request.settings, request.seeds))
        return {"out": str(tmp_path), "target": target.name}

    monkeypatch.setattr(results_page.study, "run", run)
    monkeypatch.setattr(results_page.study_page, "build", lambda path: None)
    known = registry.page("xin2022")
    page = ResultsPage("xin2022", known.trials, lambda found: f"{len(found)} found")
    path = tmp_path / "page.md"
    trials = [t for t in page.trials if t.workload == "rand-hie" and t.target in ("figure-2", "figure-6-left")]
    trials += [t for t in page.trials if t.workload == "rand-hie-sites"]
    with pytest.raises(KeyboardInterrupt):
        results_page.write(page, trials, Changes(settings={"optimizer.lr": 0.1, "batch_size": 64}), path, tmp_path)
    assert asked[0] == ("xin2022/figure-2", {"optimizer.lr": 0.1, "batch_size": 64}, 5)
    assert asked[1] == ("xin2022/figure-6-left", {"batch_size": 64}, 9)
    assert path.read_text() == "2 found"


def test_data_that_are_missing_are_named_before_anything_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_page.study, "run", lambda *others: pytest.fail("a study was run"))
    page = registry.page("royer2023")
    with pytest.raises(RequestError, match=r"figure-2 on emoji: .*scalarize data get emoji"):
        results_page.write(page, page.chosen(), Changes(data=str(tmp_path)), tmp_path / "p.md", tmp_path)


def test_a_page_by_the_command_line(command: Any, tmp_path: Path) -> None:
    sizes = ("--epochs", 1, "--seeds", 1, "--set", "batch_size=2048", "--out", "o")
    words = ("reproduce", "kurin2022/figure-12", "--page", "p.md", *sizes)
    answer = command(*words, "--json")
    assert answer.status == 0, answer.err
    (study,) = answer.json["targets"]
    assert study == {"target": "kurin2022/figure-12", "out": "o/rand-hie/figure-12"}
    (line,) = commands((tmp_path / "p.md").read_text())
    assert "--epochs 1 --seeds 1" in line
    assert (tmp_path / "o/rand-hie/figure-12/report.html").exists()
    assert command(*words).status == 2  # as everywhere, what is there is touched only with --resume
    assert command(*words, "--resume").status == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("kurin2023", "--page", "p.md"), "kurin2022"),
        (("kurin2022/figure-99", "--page", "p.md"), "figure-9"),
        (("kurin2022", "--page", "p.md", "--tasks", "a"), "--tasks"),
        (("kurin2022", "--page", "p.md", "--workload", "glyphs"), "multi-fashion"),
        (("kurin2022", "--page", "held.txt"), "--page"),
        (("--page", "p.md"), "royer2023"),
    ],
)
def test_what_has_no_page_is_refused(command: Any, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    (tmp_path / "held.txt").write_text("mine")
    answer = command("reproduce", *words)
    assert answer.status == 2
    assert said in answer.err
    assert (tmp_path / "held.txt").read_text() == "mine"
    assert not (tmp_path / "p.md").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "studies", "shown"), [("kurin2022", 5, "| pcgrad |"), ("royer2023/figure-3", 1, "| C1 |")]
)
def test_it_runs_to_its_end(command: Any, tmp_path: Path, name: str, studies: int, shown: str) -> None:
    sizes = ("--workload", "rand-hie", "--budget", "tiny", "--epochs", 1, "--seeds", 2)
    answer = command("reproduce", name, "--page", "page.md", *sizes, "--out", "o")
    assert answer.status == 0, answer.err
    text = (tmp_path / "page.md").read_text()
    assert len(commands(text)) == studies
    assert shown in text
    assert "**Illustration**" in text
