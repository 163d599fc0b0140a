"""The driver: files, resumption, refusals, time limits, progress."""

import itertools
import json
import math
import random
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import scalarize
from scalarize import Policy
from scalarize.search import LocalExecutor, lineage, search
from scalarize.search.toy_problems import Noisy, Stationary
from scalarize.utils import files
from scalarize.utils.errors import DivergedError, RequestError, RunError, ScalarizeWarning
from scalarize.utils.manifest import Manifest


class Stop(Exception):
    """Raised by a test's progress callback: the crash."""


def stop_after(jobs):
    seen = []

    def progress(event):
        seen.append(event)
        if len(seen) == jobs:
            raise Stop

    return progress


def products(out):
    return (out / "lineage.jsonl").read_bytes(), (out / "policy.json").read_bytes()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    result = scalarize.search(Noisy, epochs=12, population=6, out=out)
    return result, products(out), sorted(p.name for p in out.iterdir())


def test_files_and_result(uninterrupted, tmp_path):
    result, (rows, policy), names = uninterrupted
    known = ["decisions.jsonl", "lineage.jsonl", "manifest.json", "policy.json", "search.json", "timings.jsonl"]
    assert names == [".lock", *known]
    lines = [json.loads(line) for line in rows.splitlines()]
    assert [(r["generation"], r["member"]) for r in lines] == [(g, m) for g in range(4) for m in range(6)]
    assert [r["epoch"] for r in lines[::6]] == [3, 6, 9, 12]
    assert all(r["parent"] is None for r in lines[:6])
    assert all(r["parent"] in range(6) for r in lines[6:])
    assert result.score == max(r["score"] for r in lines[18:])
    assert result.policy.to_dict() == json.loads(policy)
    assert result.finished
    assert result.trainings == 6
    assert result.trainings_bound == 7
    assert result.configurations_bound == 6 * (1 + 0.4 * 12 / 3)
    changed = sum(r["weights"] != lines[6 * (r["generation"] - 1) + r["parent"]]["weights"] for r in lines[6:])
    assert result.configurations == 6 + changed == 6 + 3 * 2
    assert result.seconds > result.seconds_training > 0


def test_the_policy_is_the_course_of_the_best_member_and_its_ancestors(uninterrupted):
    result, (rows, _), _ = uninterrupted
    by = {(r["generation"], r["member"]): r for r in map(json.loads, rows.splitlines())}
    row = max((by[3, m] for m in range(6)), key=lambda r: r["score"])
    while True:
        start = 0 if row["parent"] is None else row["epoch"] - 3
        assert result.policy.weights_at(start).tolist() == pytest.approx(row["weights"], abs=1e-15)
        assert result.policy.weights_at(row["epoch"] - 1).tolist() == pytest.approx(row["weights"], abs=1e-15)
        if row["parent"] is None:
            break
        row = by[row["generation"] - 1, row["parent"]]
    assert start == 0


def test_neither_paths_nor_times_enter_what_equal_searches_share(uninterrupted, tmp_path):
    _, whole, _ = uninterrupted
    scalarize.search(Noisy, epochs=12, population=6, out=tmp_path / "elsewhere")
    assert products(tmp_path / "elsewhere") == whole
    assert str(tmp_path).encode() not in b"".join(whole)
    scalarize.search(Noisy, epochs=12, population=6, seed=1, out=tmp_path / "other")
    assert products(tmp_path / "other") != whole


@pytest.mark.parametrize("jobs", [1, 6, 7, 13, 24])
def test_a_search_stopped_anywhere_goes_on_to_the_same_bytes(jobs, uninterrupted, tmp_path):
    with pytest.raises(Stop):
        scalarize.search(Noisy, epochs=12, population=6, out=tmp_path, progress=stop_after(jobs))
    events = []
    result = scalarize.search(Noisy, epochs=12, population=6, out=tmp_path, resume=True, progress=events.append)
    assert products(tmp_path) == uninterrupted[1]
    assert events[-1].epochs_done == events[-1].epochs_total == 72
    assert result.score == uninterrupted[0].score


def test_finished_jobs_are_not_trained_again(tmp_path):
    trained = []

    class Counted(Noisy):
        def train(self, policy, until_epoch):
            trained.append(until_epoch)
            super().train(policy, until_epoch)

    with pytest.raises(Stop):
        scalarize.search(Counted, epochs=12, population=6, out=tmp_path, progress=stop_after(10))
    scalarize.search(Counted, epochs=12, population=6, out=tmp_path, resume=True)
    assert len(trained) == 24


def test_a_finished_search_is_given_back(uninterrupted, tmp_path):
    scalarize.search(Noisy, epochs=12, population=6, out=tmp_path)
    result = scalarize.search(None, tasks=Noisy.tasks, epochs=12, population=6, out=tmp_path, resume=True)
    assert products(tmp_path) == uninterrupted[1]
    assert result.to_dict()["score"] == uninterrupted[0].score


def test_an_existing_search_is_not_touched(tmp_path):
    scalarize.search(Stationary, epochs=6, population=4, out=tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(RequestError, match="already holds a search"):
        scalarize.search(Stationary, epochs=6, population=4, out=tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_checkpoints_of_something_else_are_not_taken_or_deleted(tmp_path):
    with pytest.raises(Stop):
        scalarize.search(Noisy, epochs=12, population=6, out=tmp_path, progress=stop_after(8))
    for path in tmp_path.iterdir():
        if path.is_file():
            path.unlink()
    before = sorted(tmp_path.rglob("*"))
    for resume in (False, True):
        with pytest.raises(RequestError, match="already holds checkpoints"):
            scalarize.search(Noisy, epochs=12, population=6, seed=1, out=tmp_path, resume=resume)
    assert [p for p in sorted(tmp_path.rglob("*")) if p.name != ".lock"] == [p for p in before if p.name != ".lock"]


def test_a_front_holds_no_policy_of_an_earlier_one(tmp_path):
    scalarize.search(Noisy, epochs=12, population=6, algorithm="mopbt", out=tmp_path)
    before = {p.name: p.read_bytes() for p in (tmp_path / "front").iterdir()}
    name = f"front/policy-{len(before):03d}.json"
    Manifest(tmp_path).write_json(name, {})  # by an earlier call, whose time ran out
    scalarize.search(Noisy, epochs=12, population=6, algorithm="mopbt", out=tmp_path, resume=True)
    assert {p.name: p.read_bytes() for p in (tmp_path / "front").iterdir()} == before


def test_a_front_keeps_what_the_search_did_not_write(tmp_path):
    scalarize.search(Noisy, epochs=12, population=6, algorithm="mopbt", out=tmp_path)
    mine = tmp_path / "front" / "mine.json"
    mine.write_text("{}")
    scalarize.search(Noisy, epochs=12, population=6, algorithm="mopbt", out=tmp_path, resume=True)
    assert mine.read_text() == "{}"
    (tmp_path / "front" / "policy-000.json").write_text("{}")
    with pytest.raises(RequestError, match=r"policy-000\.json: was not written by this run"):
        scalarize.search(Noisy, epochs=12, population=6, algorithm="mopbt", out=tmp_path, resume=True)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"quantile": 0.3}, "quantile was 0.4, now 0.3"),
        ({"score": "worst"}, 'score was "average", now "worst"'),
        ({"algorithm": "random"}, 'algorithm was "pbt", now "random"'),
        ({"request": {"workload": "x"}}, 'workload was "nothing", now "x"'),
        ({"resample": 0.2}, "hyper.resample was 0.1, now 0.2"),
    ],
)
def test_resuming_another_request_names_the_difference(change, named, tmp_path):
    scalarize.search(Stationary, epochs=6, population=4, out=tmp_path)
    with pytest.raises(RequestError, match=named):
        scalarize.search(Stationary, epochs=6, population=4, out=tmp_path, resume=True, **change)


def test_resume_on_a_missing_directory_starts(tmp_path):
    assert scalarize.search(Stationary, epochs=6, population=4, out=tmp_path / "new", resume=True).finished


def test_two_searches_on_one_directory(tmp_path):
    with files.lock(tmp_path), pytest.raises(RequestError, match="another process"):
        scalarize.search(Stationary, epochs=6, population=4, out=tmp_path)


@pytest.mark.parametrize("algorithm", ["pbt", "random"])
def test_max_time_stops_with_the_best_policy_so_far_and_goes_on(algorithm, tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def tick(event):
        now[0] += 1.0

    settings = {"epochs": 12, "population": 6, "algorithm": algorithm, "progress": tick}
    result = scalarize.search(Noisy, **settings, out=tmp_path, max_time=4)
    assert not result.finished
    assert result.generations == 1
    assert Policy.load(tmp_path / "policy.json") == result.policy
    resumed = scalarize.search(Noisy, **settings, out=tmp_path, resume=True)
    assert resumed.finished
    scalarize.search(Noisy, **settings, out=tmp_path / "whole")
    assert products(tmp_path) == products(tmp_path / "whole")


def test_max_time_before_anything_is_trained(tmp_path, monkeypatch):
    now = iter(range(1000))
    monkeypatch.setattr("time.monotonic", lambda: float(next(now)))
    with pytest.raises(RunError, match="not one training"):
        scalarize.search(Noisy, epochs=12, out=tmp_path, max_time=1)
    with pytest.raises(RequestError, match="max_time"):
        scalarize.search(Noisy, epochs=12, out=tmp_path / "x", max_time=0)


def test_members_that_fail_are_replaced_and_never_win(tmp_path):
    class Fragile(Noisy):
        def evaluate(self, split):
            measured = super().evaluate(split)
            return {**measured, "b": math.nan} if self.seed % 3 == 0 else measured

    result = scalarize.search(Fragile, epochs=12, population=8, out=tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "lineage.jsonl").read_text().splitlines()]
    assert any(r["score"] is None for r in rows)
    assert math.isfinite(result.score)
    for row in rows[8:]:
        before = rows[8 * (row["generation"] - 1) + row["member"]]
        assert before["score"] is not None or row["parent"] != row["member"]


@pytest.mark.parametrize("error", [DivergedError, FloatingPointError])
def test_a_training_that_diverges_is_replaced_too(error, tmp_path):
    class Diverging(Noisy):
        def train(self, policy, until_epoch):
            if self.seed % 3 == 0:
                raise error("step 7: the loss of task 'a' is not finite")
            super().train(policy, until_epoch)

    result = scalarize.search(Diverging, epochs=12, population=8, out=tmp_path)
    scores = [told.score for told in result.history]
    assert math.isfinite(result.score)
    assert any(math.isnan(x) for score in scores for x in score)
    for told, after in itertools.pairwise(result.history):
        failed = [m for m in range(8) if math.isnan(told.score[m])]
        assert all(math.isfinite(told.score[after.generation.parent[m]]) for m in failed)


def test_any_other_error_of_a_training_is_not_swallowed(tmp_path):
    class Broken(Noisy):
        def train(self, policy, until_epoch):
            raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        scalarize.search(Broken, epochs=6, population=4, out=tmp_path)


def test_no_finite_score_at_all_is_said_plainly(tmp_path):
    class Dead(Noisy):
        def evaluate(self, split):
            return dict.fromkeys(self.tasks, math.nan)

    with pytest.raises(RunError, match="finite score"):
        scalarize.search(Dead, epochs=6, population=4, out=tmp_path)


def test_a_metric_that_is_missing_is_named(tmp_path):
    class Partial(Noisy):
        def evaluate(self, split):
            return {"a": 1.0}

    with pytest.raises(RunError, match="task 'b'"):
        scalarize.search(Partial, epochs=6, population=4, out=tmp_path)


@pytest.mark.parametrize("algorithm", ["pbt", "random"])
def test_at_most_two_checkpoints_a_member_on_disk(algorithm, tmp_path):
    counts = []

    def count(event):
        counts.append(sum(1 for _ in tmp_path.glob("checkpoints/*/*")))

    scalarize.search(Noisy, epochs=12, population=6, algorithm=algorithm, out=tmp_path, progress=count)
    assert 0 < max(counts) <= 12
    assert not (tmp_path / "checkpoints").exists()


def test_a_clone_goes_on_with_its_own_random_stream():
    """From one state, two members get different luck: only the state is copied."""
    result = scalarize.search(Noisy, epochs=12, population=6, factors=(1.0,), resample=0.0)
    last = result.history[-1].generation
    twins = [m for m in range(6) if (last.parent == last.parent[m]).sum() > 1]
    assert twins
    a, b = [m for m in twins if last.parent[m] == last.parent[twins[0]]][:2]
    assert last.weights[a].tolist() == last.weights[b].tolist()
    assert result.history[-1].score[a] != result.history[-1].score[b]


def test_a_learner_may_draw_from_the_global_generators(tmp_path):
    """They begin from (seed, member, generation) in every training, so that a resumed search is the same; and they are
    afterwards what they were before."""

    class Careless(Noisy):
        def __init__(self, seed):
            super().__init__(seed)
            self.start = torch.rand(4).double().numpy()

        def train(self, policy, until_epoch):
            super().train(policy, until_epoch)
            self.skill = self.skill + self.start + np.random.random(4) + random.random()

    scalarize.search(Careless, epochs=12, population=6, out=tmp_path / "whole")
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = random.random(), np.random.random(), torch.rand(1).item()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    with pytest.raises(Stop):
        scalarize.search(Careless, epochs=12, population=6, out=tmp_path / "cut", progress=stop_after(10))
    assert (random.random(), np.random.random(), torch.rand(1).item()) == expected
    scalarize.search(Careless, epochs=12, population=6, out=tmp_path / "cut", resume=True)
    assert products(tmp_path / "cut") == products(tmp_path / "whole")


def test_groups_extras_and_scores_end_to_end():
    seen = []

    class Tuned(Stationary):
        def __init__(self, seed, lr):
            super().__init__(seed)
            seen.append(lr)

    result = scalarize.search(
        Tuned, epochs=6, population=4, groups=[("a", "b")], also={"lr": "log:1e-4:1e-2"}, score="a=2,c=1"
    )
    assert all(
        told.generation.weights[:, 0].tolist() == told.generation.weights[:, 1].tolist() for told in result.history
    )
    assert len(set(seen)) > 4
    assert result.policy.provenance["also"][0]["from_epoch"] == 0
    assert result.extras["lr"] == result.policy.provenance["also"][-1]["lr"]
    assert result.score == pytest.approx((2 * result.metrics["a"] + result.metrics["c"]) / 3)


def test_start_begins_around_a_policy_found_before():
    before = Policy.constant({"d": 0.1, "c": 0.2, "b": 0.3, "a": 0.4})
    result = scalarize.search(Stationary, epochs=6, population=4, start=before)
    assert result.history[0].generation.weights[0].tolist() == pytest.approx([0.4, 0.3, 0.2, 0.1])
    assert result.score == pytest.approx(1.0)
    plain = scalarize.search(
        Stationary, epochs=6, population=40, ready=6, center={"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}
    )
    narrow = scalarize.search(Stationary, epochs=6, population=40, ready=6, start=before)
    spread = [np.log(r.history[0].generation.weights / [0.4, 0.3, 0.2, 0.1]).std() for r in (plain, narrow)]
    assert spread[0] / spread[1] == pytest.approx(2.0, rel=0.1)
    with pytest.raises(RequestError, match="not both"):
        scalarize.search(Stationary, epochs=6, start=before, center=dict.fromkeys("abcd", 1.0))
    with pytest.raises(RequestError, match="the tasks are"):
        scalarize.search(Stationary, epochs=6, center={"a": 1.0})


def test_rows_round_trip(uninterrupted):
    for told in uninterrupted[0].history:
        again = lineage.result_from(json.loads(json.dumps(lineage.lineage_rows(told))))
        assert lineage.lineage_rows(again) == lineage.lineage_rows(told)


def test_the_executor_is_closed(tmp_path):
    closed = []

    class Closing(LocalExecutor):
        def close(self):
            closed.append(True)

    scalarize.search(Stationary, epochs=3, population=2, out=tmp_path, executor=Closing(Stationary))
    assert closed == [True]


def test_names_of_tasks_may_be_strings_of_numpy_and_nothing_else(tmp_path):
    from scalarize.search.entry import search

    class Named(Stationary):
        tasks = np.unique(["b", "a", "d", "c"])

    found = search(Named, epochs=4, population=3, ready=2, out=tmp_path / "s")
    assert [type(t) for t in found.policy.tasks] == [str] * 4
    again = search(Named, epochs=4, population=3, ready=2, out=tmp_path / "s", resume=True)
    assert again.policy == found.policy
    with pytest.raises(RequestError, match="`tasks` must be names, got 1: a int"):
        search(Named, epochs=4, population=3, tasks=[1, 2])


class Drawing(Noisy):
    """Draws from the generators that all threads of a process share."""

    def train(self, policy: Policy, until_epoch: int) -> None:
        for epoch in range(self.epoch, until_epoch):
            super().train(policy, epoch + 1)
            time.sleep(0.001)  # so that threads take turns
            self.skill = self.skill + np.random.standard_normal(4) + torch.randn(4).numpy()


def test_searches_in_threads_whose_numbers_would_be_chance_are_said() -> None:
    def found(seed: int) -> float:
        return search(Drawing, epochs=4, population=4, ready=1, seed=seed).score

    with ThreadPoolExecutor(4) as pool, pytest.warns(ScalarizeWarning, match="share the global generators"):
        list(pool.map(found, range(4)))


@pytest.mark.filterwarnings("ignore::scalarize.utils.errors.ScalarizeWarning")
def test_a_learner_may_wait_for_a_search_in_a_thread() -> None:
    class Nested(Noisy):
        def train(self, policy: Policy, until_epoch: int) -> None:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(search, Noisy, epochs=2, population=2, ready=1).result(timeout=60)
            super().train(policy, until_epoch)

    assert search(Nested, epochs=2, population=2, ready=1).generations == 2


class Diverging(Noisy):
    def train(self, policy: Policy, until_epoch: int) -> None:
        if self.seed % 4 != 0:
            raise DivergedError("at once")
        super().train(policy, until_epoch)


@pytest.mark.parametrize("algorithm", ["pbt", "halving"])
def test_a_search_goes_on_from_members_that_diverged_in_their_first_epoch(algorithm: str) -> None:
    assert search(Diverging, epochs=4, population=8, ready=1, algorithm=algorithm).score > 0
