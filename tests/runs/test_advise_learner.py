"""``scalarize.advise``: what is refused before anything is trained, what is overwritten, and the pace of a race."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from scalarize.runs import advise as on_a_problem
from scalarize.runs.advise import AdviseRequest, Pace
from scalarize.runs.advise_learner import advise
from scalarize.search.toy_problems import Noisy, Stationary
from scalarize.utils.errors import RequestError

BAD: list[tuple[dict[str, Any], str]] = [
    ({"epochs": 2.5}, "epochs must be a whole number, got 2.5"),
    ({"epochs": 0}, "epochs must be at least 1, got 0"),
    ({"trainings": "60"}, "trainings must be a number, got '60'"),
    ({"margin": "0.1"}, "margin must be a number, got '0.1'"),
    ({"margin": 0.0}, "margin must be above 0 and finite, got 0.0"),
    ({"seed": None}, "seed must be a whole number, got None"),
    ({"max_time": "60"}, "max_time must be a number, got '60'"),
    ({"sizes": 3}, "sizes must hold a number above 0 for each of a, b, c, d"),
    ({"sizes": {"a": 1, "b": 1, "c": 1, "d": "many"}}, "sizes must hold a number above 0"),
    ({"sizes": {"a": 1}}, "sizes must hold a number above 0"),
]


class Untrained(Stationary):
    """A learner that must not be trained."""

    def train(self, *args: Any, **options: Any) -> Any:
        raise AssertionError("was trained")


@pytest.mark.parametrize(("words", "message"), BAD, ids=[f"{words}"[1:-1] for words, _ in BAD])
def test_a_wrong_argument_is_named_before_anything_is_trained(words: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message.replace("(", r"\(")):
        advise(Untrained, **{"epochs": 4, "trainings": 60} | words)


def test_a_place_that_cannot_be_written_is_refused_before_the_race(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RequestError, match="is a file"):
        advise(Untrained, epochs=4, out=tmp_path / "file" / "below")


@pytest.mark.parametrize(("name", "kind"), [("config.yaml", "run"), ("policy.json", "policy")])
def test_what_it_did_not_write_is_kept(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(RequestError, match=f"already holds a {kind}"):
        advise(Untrained, epochs=4, out=tmp_path)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [(name, "mine")]


def test_an_earlier_answer_is_replaced_by_the_same_one(tmp_path: Path) -> None:
    found = [advise(Noisy, epochs=4, trainings=30, out=tmp_path / "new") for _ in range(2)]
    assert found[0]["words"] == found[1]["words"]
    assert {p.name for p in (tmp_path / "new").iterdir()} >= {"advice.json", "policy.json"}


def test_a_learner_that_ignores_its_seed_is_refused_in_place_of_copies_as_evidence() -> None:
    with pytest.raises(RequestError, match="two seeds ended in the same state"):
        advise(Stationary, epochs=4, trainings=30)


class Coarse(Noisy):
    """Metrics of few values: two seeds often score alike, though they trained apart."""

    def evaluate(self, split: str) -> dict[str, float]:
        return {task: round(value) / 1.0 for task, value in super().evaluate(split).items()}


def test_equal_scores_of_different_trainings_are_no_copies() -> None:
    assert advise(Coarse, epochs=4, trainings=30)["answer"] in ("even", "undecided")


def test_the_time_of_trainings_that_are_read_is_not_taken_for_the_time_of_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paces: list[Pace] = []

    class Seen(Pace):
        def __init__(self, max_time: float | None) -> None:
            super().__init__(max_time)
            paces.append(self)

    monkeypatch.setattr(on_a_problem, "Pace", Seen)
    settings = {"model.widths": [4]}
    request = AdviseRequest(
        workload="rand-hie", tasks=("log-drugs", "any-supplies"), epochs=1, settings=settings, trainings=29
    )
    place = tmp_path / "race"
    on_a_problem.advise(request, place, "", resume=False, max_time=600)
    shutil.rmtree(max((place / "runs").iterdir()))
    on_a_problem.advise(request, place, "", resume=True, max_time=600)
    first, second = (pace.trained for pace in paces if pace.trained)
    assert (first > 10, second) == (True, 1)
