"""A search without a barrier: equal where its order is, resumable, bounded on disk, faster where trainings differ."""

from __future__ import annotations

import itertools
import json
import os

import numpy as np
import pytest

import scalarize
from scalarize.search import Setting, Space, create
from scalarize.search.executors.simulated import SimulatedExecutor, SimulatedLearner, Timing
from scalarize.search.toy_problems import Noisy
from scalarize.utils.errors import RequestError

UNEVEN = Timing(jitter=0.5)
SETTINGS = {"epochs": 12, "population": 6, "asynchronous": True}


class Stop(Exception):
    """The crash."""


def search(out, slots=None, learner=Noisy, jobs=None, **settings):
    """On ``slots`` simulated slots (None: in process); stopped after ``jobs`` trainings."""
    seen = []

    def progress(event):
        seen.append(event)
        if len(seen) == jobs:
            raise Stop

    executor = None if slots is None else SimulatedExecutor(learner, slots, UNEVEN)
    result = scalarize.search(learner, **{**SETTINGS, **settings}, out=out, executor=executor, progress=progress)
    return result, seen, executor


def products(out):
    return (out / "lineage.jsonl").read_bytes(), (out / "policy.json").read_bytes()


@pytest.mark.parametrize("algorithm", ["pbt", "mopbt"])
def test_in_one_process_it_is_the_search_with_a_barrier(algorithm, tmp_path):
    search(tmp_path / "free", algorithm=algorithm)
    search(tmp_path / "barrier", algorithm=algorithm, asynchronous=False)
    assert (tmp_path / "free/lineage.jsonl").read_bytes() == (tmp_path / "barrier/lineage.jsonl").read_bytes()


def test_equal_orders_give_equal_bytes_and_members_overtake_each_other(tmp_path):
    _, events, _ = search(tmp_path / "a", slots=6)
    search(tmp_path / "b", slots=6)
    assert products(tmp_path / "a") == products(tmp_path / "b")
    generations = [event.generation for event in events]
    assert sorted(generations) == [g for g in range(4) for _ in range(6)]
    assert generations != sorted(generations)
    assert events[-1].epochs_done == events[-1].epochs_total == 72
    rows = [json.loads(line) for line in (tmp_path / "a/lineage.jsonl").read_text().splitlines()]
    assert [(r["generation"], r["member"]) for r in rows] == [(g, m) for g in range(4) for m in range(6)]
    for k, event in enumerate(events):  # nobody begins before all have ended the generation but last
        assert generations[: k + 1].count(event.generation - 2) == (6 if event.generation > 1 else 0)


def test_a_decision_follows_from_the_scores_that_had_come(tmp_path):
    """Every donor had ended the same epoch, and was among the best of those that had, when its clone began."""
    result, _, _ = search(tmp_path, slots=6, population=12)
    scores, clones = {}, 0
    for row in map(json.loads, (tmp_path / "events.jsonl").read_text().splitlines()):
        generation, member = row["generation"], row["member"]
        if row["event"] == "end":
            scores[generation, member] = row["score"]
        elif generation:
            known = {m: s for (g, m), s in scores.items() if g == generation - 1}
            best = sorted(known, key=known.__getitem__, reverse=True)[: result_count(len(known))]
            assert row["parent"] in {member, *best}
            clones += row["parent"] != member
    assert clones > 6
    assert result.finished


def result_count(members):
    return Setting(Space(("a", "b")), epochs=12).exploited_of(members)


@pytest.mark.parametrize("jobs", [1, 9, 20])
@pytest.mark.parametrize("slots", [None, 4])
def test_a_search_stopped_anywhere_goes_on_and_no_training_is_lost(jobs, slots, tmp_path):
    trained = []

    class Counted(Noisy):
        def train(self, policy, until_epoch):
            trained.append(until_epoch)
            super().train(policy, until_epoch)

    with pytest.raises(Stop):
        search(tmp_path / "cut", slots, Counted, jobs)
    before = (tmp_path / "cut/events.jsonl").read_text()
    result, _, _ = search(tmp_path / "cut", slots, Counted, resume=True)
    assert result.finished
    assert (tmp_path / "cut/events.jsonl").read_text().startswith(before)
    assert len(trained) == 24  # what was begun had been stored: the simulated slots train at once
    if slots is None:
        search(tmp_path / "whole")
        assert products(tmp_path / "cut") == products(tmp_path / "whole")


def test_the_events_decide_everything(tmp_path):
    """From its events alone, without any training, a search gives the bytes that it gave."""
    search(tmp_path, slots=6)
    whole = products(tmp_path)
    (tmp_path / "lineage.jsonl").unlink()
    (tmp_path / "policy.json").unlink()
    scalarize.search(None, tasks=Noisy.tasks, **SETTINGS, out=tmp_path, resume=True)
    assert products(tmp_path) == whole


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_damaged_event_is_refused_and_a_cut_one_is_dropped(share, tmp_path):
    with pytest.raises(Stop):
        search(tmp_path, jobs=10)
    path = tmp_path / "events.jsonl"
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"score": 0.', b'"score": 0.9', 1))
    with pytest.raises(RequestError, match=r"events.jsonl: line \d+ is damaged"):
        search(tmp_path, resume=True)
    path.write_bytes(content)
    last = len(content) - content[:-1].rfind(b"\n")
    os.truncate(path, len(content) - round(share * last))
    search(tmp_path, resume=True)
    search(tmp_path / "whole")
    assert products(tmp_path) == products(tmp_path / "whole")


@pytest.mark.parametrize("slots", [1, 2, 5, 12])
def test_at_most_two_checkpoints_a_member(slots, tmp_path):
    counts = []
    executor = SimulatedExecutor(Noisy, slots, Timing(jitter=1.0))
    scalarize.search(
        Noisy,
        **{**SETTINGS, "population": 12, "epochs": 24},
        out=tmp_path,
        executor=executor,
        progress=lambda event: counts.append(sum(1 for _ in tmp_path.glob("checkpoints/*/*"))),
    )
    assert 0 < max(counts) <= 24
    assert not (tmp_path / "checkpoints").exists()


def test_it_gains_where_trainings_are_uneven(tmp_path):
    """Simulated time of the same budget on as many slots as members."""
    hours = {}
    for asynchronous in (False, True):
        executor = SimulatedExecutor(SimulatedLearner, 12, Timing(jitter=0.05, straggling=0.1))
        settings = {"epochs": 24, "population": 12, "executor": executor, "asynchronous": asynchronous}
        scalarize.search(SimulatedLearner, **settings)
        hours[asynchronous] = executor.now
    assert hours[True] < 0.9 * hours[False]


def test_time_runs_out_cleanly(tmp_path, monkeypatch):
    now = itertools.count()
    monkeypatch.setattr("time.monotonic", lambda: float(next(now)))
    result, _, _ = search(tmp_path, slots=4, max_time=40)
    assert not result.finished
    monkeypatch.undo()
    assert search(tmp_path, slots=4, resume=True)[0].finished


def test_what_decides_for_whole_generations_is_refused(tmp_path):
    with pytest.raises(RequestError, match="pb2 decides for whole generations"):
        search(tmp_path, algorithm="pb2")
    search(tmp_path / "a")
    with pytest.raises(RequestError, match="asynchronous was true"):
        search(tmp_path / "a", asynchronous=False, resume=True)


def test_a_member_alone_decides_as_in_its_generation():
    search = create("pbt", Setting(Space(("a", "b", "c")), epochs=12, population=10))
    asked = search.ask()
    score = np.random.default_rng(0).normal(size=10)
    told = search.tell(np.tile(score[:, None], 3), score)
    following = search.ask()
    for row in range(asked.size):
        alone = search.proceed(told, row)
        assert alone.parent[0] == following.parent[row]
        assert alone.weights[0].tobytes() == following.weights[row].tobytes()
