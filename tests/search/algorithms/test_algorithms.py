"""Grid, halving, multi-objective PBT and multiple-frequencies PBT: who trains what; every algorithm: the contract."""

import json
import re

import moocore
import numpy as np
import pytest

import scalarize
from scalarize import Policy
from scalarize.search import Setting, Space, create, names, toy_problems
from scalarize.search.algorithms.mopbt import crowding, non_dominated_order, pareto_ranks
from scalarize.search.toy_problems import Noisy, Stationary
from scalarize.utils.errors import RequestError


def make(algorithm, tasks=("a", "b", "c"), center=(), hyper=None, **settings):
    return create(
        algorithm, Setting(Space(tasks, center), **{"epochs": 12, "population": 12, **settings}), **(hyper or {})
    )


def play(search, score):
    """All generations, each scored by ``score(generation)``."""
    seen = []
    while (asked := search.ask()) is not None:
        seen.append(asked)
        values = np.asarray(score(asked), dtype=float)
        search.tell(np.tile(values[:, None], (1, asked.weights.shape[1])), values)
    return seen


class AnyProblem(Noisy):
    """Three tasks, so that the grid can search it too."""

    tasks = ("a", "b", "c")
    first = last = (0.5, 0.3, 0.2)


@pytest.mark.parametrize("name", names())
def test_every_algorithm_keeps_the_contract(name, tmp_path):
    """Valid generations, files that agree, the promised number of epochs, equal bytes when repeated, and a winner."""
    events = []
    result = scalarize.search(
        AnyProblem, algorithm=name, epochs=8, ready=2, population=8, out=tmp_path / "a", progress=events.append
    )
    previous = None
    for told in result.history:
        asked = told.generation
        np.testing.assert_allclose(asked.weights.sum(axis=1), 1.0)
        assert (asked.weights > 0).all()
        assert (np.diff(asked.member) > 0).all()
        assert asked.until_epoch <= 8
        continued = asked.parent >= 0
        assert not continued.any() or (previous is not None and previous.keep)
        assert all(p in previous.member for p in asked.parent[continued])
        previous = asked
    assert previous.until_epoch == 8
    assert not previous.keep
    assert events[-1].epochs_done == events[-1].epochs_total <= 8 * 8
    scalarize.search(AnyProblem, algorithm=name, epochs=8, ready=2, population=8, out=tmp_path / "b")
    for product in ("lineage.jsonl", "policy.json"):
        assert (tmp_path / "a" / product).read_bytes() == (tmp_path / "b" / product).read_bytes()
    rows = [json.loads(line) for line in (tmp_path / "a/lineage.jsonl").read_text().splitlines()]
    assert result.score == max(r["score"] for r in rows if r["epoch"] == 8)
    assert Policy.load(tmp_path / "a/policy.json").epochs == 8
    assert result.trainings <= 8


@pytest.mark.parametrize("name", names())
def test_every_algorithm_survives_members_without_a_finite_score(name):
    search = make(name, epochs=8, population=8, ready=2)
    play(search, lambda asked: np.where(asked.member % 3 == 1, np.nan, asked.weights[:, 0]))
    assert all(np.isfinite(told.score).any() for told in search.history)


@pytest.mark.parametrize("name", names())
def test_a_population_of_one_is_searched_or_refused(name):
    refused = ""
    try:
        search = make(name, population=1, epochs=4)
    except RequestError as error:
        refused = str(error)
    if refused:
        assert re.search(r"at least \d members|at least \d trainings", refused)
    else:
        assert play(search, lambda asked: np.zeros(asked.size))


def test_the_grid_of_two_tasks_is_the_usual_one():
    (asked,) = play(make("grid", tasks=("a", "b"), population=9), lambda asked: np.zeros(asked.size))
    assert asked.weights[:, 0].tolist() == pytest.approx([k / 10 for k in range(1, 10)])


def test_the_grid_of_three_tasks_is_as_fine_as_the_budget_allows_and_tilted_by_the_centre():
    search = make("grid", population=12, center=(1.0, 10.0, 100.0))
    (asked,) = play(search, lambda asked: np.zeros(asked.size))
    assert asked.size == 10
    plain = asked.weights / search.setting.space.center_point
    plain /= plain.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(plain * 6, np.round(plain * 6), atol=1e-9)
    assert make("grid", population=1).points.tolist() == [pytest.approx([1 / 3] * 3)]


def test_the_grid_refuses_what_it_cannot_search():
    with pytest.raises(RequestError, match="2 or 3 weights, not 4"):
        make("grid", tasks=("a", "b", "c", "d"))
    grouped = Setting(Space(("a", "b", "c", "d"), groups=(("a", "b"),)), epochs=4)
    assert create("grid", grouped).points.shape[1] == 3
    ranged = Setting(Space(("a", "b"), also={"lr": scalarize.search.Range(0.0, 1.0)}), epochs=4)
    with pytest.raises(RequestError, match="weights alone"):
        create("grid", ranged)


def test_halving_spends_the_budget_of_n_trainings_and_keeps_the_better_half():
    search = make("halving", population=6)
    seen = play(search, lambda asked: asked.member)
    assert [(g.size, g.until_epoch, g.keep) for g in seen] == [(12, 3, True), (6, 6, True), (3, 12, False)]
    assert search.total_epochs == 6 * 12 == 12 * 3 + 6 * 3 + 3 * 6
    assert seen[1].member.tolist() == [6, 7, 8, 9, 10, 11]
    assert seen[2].parent.tolist() == seen[2].member.tolist() == [9, 10, 11]
    assert seen[2].weights.tolist() == seen[0].weights[9:].tolist()


@pytest.mark.parametrize(("epochs", "population"), [(1, 5), (2, 3), (3, 7), (5, 1), (10, 4), (13, 9)])
def test_halving_never_exceeds_the_budget(epochs, population):
    search = make("halving", epochs=epochs, population=population)
    play(search, lambda asked: asked.member)
    assert search.total_epochs <= epochs * population
    assert search.history[-1].generation.until_epoch == epochs


def test_non_domination_then_crowding_then_failures():
    metrics = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.5, 0.5], [0.6, 0.35], [np.nan, 5.0]])
    assert pareto_ranks(metrics).tolist() == [1, 0, 0, 0, 0, np.inf]
    order, finite = non_dominated_order(metrics, np.arange(6))
    assert order.tolist() == [1, 2, 3, 4, 0, 5]
    assert finite.tolist() == [True] * 5 + [False]
    # 3 lies between 1 and 4: (0.6 - 0) / 1 + (1 - 0.35) / 1; 4 between 3 and 2: (1 - 0.5) + (0.5 - 0).
    assert crowding(metrics[1:5]).tolist() == [np.inf, np.inf, pytest.approx(1.25), pytest.approx(1.0)]


def test_pareto_ranks_agree_with_the_definition():
    metrics = np.random.default_rng(0).integers(0, 6, (60, 3)).astype(float)

    def dominated(i, among):
        return any((metrics[j] >= metrics[i]).all() and (metrics[j] > metrics[i]).any() for j in among)

    left, expected, rank = set(range(60)), np.zeros(60), 0
    while left:
        front = {i for i in left if not dominated(i, left)}
        expected[list(front)] = rank
        left, rank = left - front, rank + 1
    assert pareto_ranks(metrics).tolist() == expected.tolist()


class TwoGoals(Stationary):
    """Two tasks in conflict: more weight for one is a better metric of that one and a worse one of the other."""

    tasks = ("a", "b")
    first = last = (0.5, 0.5)

    def growth(self, weights, epoch):
        return np.sqrt(weights)


def test_mopbt_returns_a_front_with_a_policy_a_point(tmp_path):
    result = scalarize.search(TwoGoals, algorithm="mopbt", epochs=12, population=12, out=tmp_path)
    stored = sorted((tmp_path / "front").iterdir())
    assert [Policy.load(path) for path in stored] == list(result.front)
    points = np.array([list(p.provenance["found"]["metrics"].values()) for p in result.front])
    assert len(points) >= 6
    assert moocore.is_nondominated(points, maximise=True, keep_weakly=True).all()
    assert result.to_dict()["front"] == [str(path) for path in stored]
    assert result.front[0] == result.policy


def test_mopbt_dominates_more_than_pbt_which_crowds_at_one_point():
    """The hypervolume of the last generation, reference point (0.2, 0.2) fixed beforehand; mean of 10 seeds."""
    volumes = {}
    for name in ("mopbt", "pbt"):
        found = [
            toy_problems.play(make(name, tasks=("a", "b"), epochs=24, seed=s), TwoGoals)[-1].metrics for s in range(10)
        ]
        volumes[name] = np.mean([moocore.hypervolume(m, ref=[0.2, 0.2], maximise=True) for m in found])
    assert volumes["mopbt"] > volumes["pbt"]


def test_mopbt_refuses_more_tasks_than_can_be_ranked():
    with pytest.raises(RequestError, match="at most 255 tasks, not 256"):
        make("mopbt", tasks=tuple(f"t{i}" for i in range(256)))


def test_mfpbt_sub_populations_compare_at_their_own_intervals():
    search = make("mfpbt", population=12, epochs=24, ready=3)
    assert [rows.tolist() for rows in search.groups] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    seen = play(search, lambda asked: asked.member)
    for asked in seen[1:]:
        moved = {k for k, rows in enumerate(search.groups) for r in rows if asked.parent[r] != r}
        allowed = {k for k, interval in enumerate((1, 2, 4)) if asked.index % interval == 0}
        assert moved == allowed


def test_mfpbt_takes_from_the_hasty_the_state_alone_and_from_the_patient_the_weights_too():
    hyper = {"factors": (1.0,), "resample": 0.0}
    search = make("mfpbt", population=8, epochs=24, ready=1, hyper=hyper)
    first = search.ask()
    for score in ([9.0, 8, 1, 0, 5, 4, 3, 2], [9.0, 8, 1, 0, 5, 4, 3, 2]):
        search.tell(np.tile(np.array(score)[:, None], 3), score)
        asked = search.ask()
    assert asked.parent[:2].tolist() == [0, 1]
    assert asked.parent[7] in (0, 1)
    assert asked.weights[7].tolist() in (first.weights[4].tolist(), first.weights[5].tolist())
    search = make("mfpbt", population=8, epochs=24, ready=1, hyper=hyper)
    search.ask()
    score = [9.0, 8, 1, 0, 15, 14, 13, 12]
    search.tell(np.tile(np.array(score)[:, None], 3), score)
    asked = search.ask()
    assert asked.parent[3] in (4, 5)
    assert asked.weights[3].tolist() == first.weights[asked.parent[3]].tolist()


def test_mfpbt_refuses_intervals_that_do_not_increase():
    with pytest.raises(RequestError, match="increasing"):
        make("mfpbt", hyper={"intervals": (2, 2)})
