"""PBT: who is replaced by whom, how it explores, and that it comes closer to known best weights than random search."""

import numpy as np
import pytest
import scipy.stats

import scalarize
from scalarize.search import Range, Setting, Space, create, lineage, toy_problems
from scalarize.utils.errors import RequestError

TASKS = ("a", "b", "c")


def make(epochs=12, population=10, algorithm="pbt", **settings):
    also = settings.pop("also", {})
    hyper = {k: settings.pop(k) for k in ("factors", "resample") if k in settings}
    space = Space(TASKS, center=(0.7, 0.2, 0.1), also=also)
    return create(algorithm, Setting(space, epochs=epochs, population=population, **settings), **hyper)


def tell(search, score):
    score = np.asarray(score, dtype=float)
    return search.tell(np.tile(score[:, None], (1, 3)), score)


def test_the_worst_are_replaced_by_the_best_and_only_they_move():
    search = make(resample=0.0)
    first = search.ask()
    tell(search, np.arange(10))
    second = search.ask()
    assert second.parent[:4].tolist() != [0, 1, 2, 3]
    assert set(second.parent[:4]) <= {6, 7, 8, 9}
    assert second.parent[4:].tolist() == [4, 5, 6, 7, 8, 9]
    assert second.weights[4:].tolist() == first.weights[4:].tolist()
    for row in range(4):
        ratio = second.weights[row] / first.weights[second.parent[row]]
        allowed = ratio / ratio.max()
        assert all(np.isclose(x, [1.0, 0.8 / 1.2]).any() for x in allowed)


def test_donors_are_drawn_uniformly_from_the_best():
    counts = np.zeros(10)
    for seed in range(300):
        search = make(seed=seed)
        search.ask()
        tell(search, np.arange(10))
        np.add.at(counts, search.ask().parent[:4], 1)
    assert counts[:6].sum() == 0
    assert scipy.stats.chisquare(counts[6:]).pvalue > 0.001


def test_resampling_draws_anew_around_the_centre():
    search = make(resample=1.0, population=200, epochs=6)
    search.ask()
    tell(search, np.arange(200))
    moved = np.log(search.ask().weights[:80] / [0.7, 0.2, 0.1])
    moved -= moved.mean(axis=1, keepdims=True)
    assert moved.std() == pytest.approx(0.7 * np.sqrt(2 / 3), rel=0.15)
    assert np.abs(moved.mean(axis=0)).max() < 0.2


def test_non_finite_scores_rank_last_and_are_replaced_whatever_the_quantile():
    search = make(quantile=0.1)
    search.ask()
    tell(search, [np.nan, np.inf, -np.inf, 3, 4, 5, 6, 7, 8, 9])
    assert search.ask().parent.tolist() == [9, 9, 9, 3, 4, 5, 6, 7, 8, 9]


def test_a_population_without_any_finite_score_goes_on_unchanged():
    search = make(epochs=6)
    first = search.ask()
    tell(search, np.full(10, np.nan))
    second = search.ask()
    assert second.parent.tolist() == list(range(10))
    assert second.weights.tolist() == first.weights.tolist()


def test_nothing_is_replaced_after_the_last_epoch_and_states_are_kept_only_where_needed():
    search = make(epochs=8, ready=3)
    seen = []
    while (asked := search.ask()) is not None:
        seen.append((asked.until_epoch, asked.keep))
        tell(search, np.arange(10))
    assert seen == [(3, True), (6, True), (8, False)]


def test_extras_are_copied_perturbed_and_stay_in_range():
    search = make(also={"lr": Range(1e-3, 1e-2, True)}, epochs=30, ready=1, resample=0.0)
    values = []
    while (asked := search.ask()) is not None:
        values.append(asked.extras["lr"])
        tell(search, -np.abs(np.log(asked.extras["lr"] / 8e-3)))
    assert np.array(values).min() >= 1e-3
    assert np.array(values).max() <= 1e-2
    assert np.abs(np.log(values[-1] / 8e-3)).min() < 0.05


def test_decisions_depend_on_history_alone():
    search, again = make(seed=3), make(seed=3)
    for _ in range(3):
        assert search.ask().weights.tolist() == again.ask().weights.tolist()
        tell(search, np.arange(10) % 7)
        again.restore(search.history)
    assert search.propose(search.history).parent.tolist() == again.ask().parent.tolist()


@pytest.mark.parametrize("hyper", [{"factors": ()}, {"factors": (0.0, 1.2)}, {"resample": 1.5}, {"population": 1}])
def test_impossible_hyper_parameters_are_refused(hyper):
    with pytest.raises(RequestError):
        make(**hyper)


@pytest.mark.parametrize("name", ["stationary", "changing"])
def test_closer_to_the_best_weights_than_random_search_at_equal_budget(name):
    """20 seeds, paired: both begin with the same weights and train the same number of epochs."""
    problem = toy_problems.PROBLEMS[name](0)
    distances = {"pbt": [], "random": []}
    for seed in range(20):
        for algorithm, found in distances.items():
            search = create(algorithm, Setting(Space(problem.tasks), epochs=12, seed=seed))
            history = toy_problems.play(search, toy_problems.PROBLEMS[name])
            assert sum(lineage.epochs_trained(history, told.generation).sum() for told in history) == 12 * 12
            found.append(problem.distance(lineage.trace(history, *lineage.best(history), problem.tasks, 12, {})))
    nearer = np.array(distances["random"]) - np.array(distances["pbt"])
    assert nearer.mean() > 0
    assert scipy.stats.ttest_1samp(nearer, 0.0, alternative="greater").pvalue < 0.05


def test_a_search_in_memory_is_the_search_on_disk():
    result = scalarize.search(toy_problems.Noisy, epochs=12, population=6, seed=4)
    setting = Setting(Space(toy_problems.Noisy.tasks), epochs=12, population=6, seed=4)
    history = toy_problems.play(create("pbt", setting), toy_problems.Noisy)
    assert [lineage.lineage_rows(told) for told in history] == [lineage.lineage_rows(told) for told in result.history]
