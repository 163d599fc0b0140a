"""The ask/tell interface: spaces, keyed randomness, generations, the registry."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalarize.search.algorithms import registry
from scalarize.search.algorithms.base import Setting, ranking
from scalarize.search.sampling import Spread, explore, generators, initial, population, training_seed
from scalarize.search.space import Range, Space, parse_also
from scalarize.utils.errors import RequestError
from scalarize.weights import simplex

TASKS = ("a", "b", "c", "d")


def test_groups_share_one_weight_and_round_trip():
    space = Space(TASKS, center=(0.1, 0.2, 0.3, 0.4), groups=(("b", "d"),))
    assert space.dimension == 3
    np.testing.assert_allclose(space.center_point, [0.1, 0.6, 0.3])
    weights = space.expand(space.center_point)
    np.testing.assert_allclose(weights, [0.1, 0.3, 0.3, 0.3])
    np.testing.assert_allclose(space.collapse(weights), space.center_point)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tasks": ()}, "at least one"),
        ({"tasks": ("a", "a")}, "distinct"),
        ({"tasks": TASKS, "center": (1.0,)}, "1 weights for 4 tasks"),
        ({"tasks": TASKS, "groups": (("a", "e"),)}, "unknown task 'e'"),
        ({"tasks": TASKS, "groups": (("a", "b"), ("b",))}, "two groups"),
        ({"tasks": TASKS, "floor": 1.0}, "floor"),
    ],
)
def test_a_damaged_space_is_refused(arguments, message):
    with pytest.raises(RequestError, match=message):
        Space(**arguments)


def test_also_is_parsed_or_refused():
    ranges = parse_also(["optimizer.lr=log:1e-4:1e-2", "drop=lin:0:0.5"])
    assert ranges["optimizer.lr"].middle == pytest.approx(1e-3)
    assert ranges["drop"].middle == 0.25
    for damaged in ("lr", "lr=log:0:1", "lr=lin:2:1", "lr=exp:1:2", "lr=log:a:b", "lr=log:1"):
        with pytest.raises(RequestError, match="lr"):
            parse_also([damaged])
    with pytest.raises(RequestError, match="twice"):
        parse_also(["lr=lin:0:1", "lr=lin:0:2"])
    with pytest.raises(RequestError, match="outside"):
        Range(0.0, 1.0, start=2.0)


@given(st.integers(0, 2**40), st.sampled_from(["lognormal", "dirichlet"]), st.floats(0.05, 3.0))
def test_every_draw_is_on_the_simplex_and_above_the_floor(seed, kind, width):
    space = Space(TASKS, center=(1.0, 10.0, 100.0, 1000.0), also={"lr": Range(1e-4, 1e-2, True)}, floor=0.05)
    spread = Spread(kind, width)
    weights, extras = population(space, spread, seed, range(8))
    for generation in range(1, 6):
        rngs = generators(seed, range(8), generation)
        weights, extras = explore(space, spread, weights, extras, rngs, (0.2, 5.0), 0.3)
        np.testing.assert_allclose(weights.sum(axis=1), 1.0)
        assert (weights >= 0.05 * space.center_point * (1 - 1e-9)).all()
        assert ((extras["lr"] >= 1e-4) & (extras["lr"] <= 1e-2)).all()


def test_weights_move_by_the_given_factors():
    space = Space(TASKS, also={"lr": Range(1e-4, 1e-2, True)})
    weights, extras = population(space, Spread(), 0, range(40))
    moved, further = explore(space, Spread(), weights, extras, generators(0, range(40), 1), (0.8, 1.2), 0.0)
    ratios = moved / weights
    found = np.round(ratios / ratios.max(axis=1, keepdims=True), 6)
    assert set(np.unique(found)) == {1.0, round(0.8 / 1.2, 6)}
    assert set(np.round(further["lr"] / extras["lr"], 6)) >= {0.8, 1.2}


def test_one_member_begins_exactly_at_the_centre():
    space = Space(TASKS, center=(0.001, 0.009, 0.09, 0.9), also={"lr": Range(1e-4, 1e-2, True, start=3e-3)})
    weights, extras = population(space, Spread(), 3, range(5))
    assert weights[0].tolist() == simplex.normalise([0.001, 0.009, 0.09, 0.9]).tolist()
    assert extras["lr"][0] == 3e-3
    assert np.unique(weights, axis=0).shape == (5, 4)


def test_draws_are_keyed_by_seed_member_and_generation():
    space = Space(TASKS)
    together, _ = initial(space, Spread(), generators(7, range(6), 2))
    alone, _ = initial(space, Spread(), generators(7, [4], 2))
    assert together[4].tolist() == alone[0].tolist()
    keys = [(s, m, g) for s in (0, 1) for m in (0, 1) for g in (0, 1)]
    assert len({training_seed(*key) for key in keys}) == len(keys)
    assert all(0 <= training_seed(*key) < 2**63 for key in keys)


def test_a_narrower_spread_is_narrower():
    space = Space(TASKS)
    for spread in (Spread("lognormal", 0.8), Spread("dirichlet", 8.0)):
        wide, _ = initial(space, spread, generators(0, range(400), 0))
        narrow, _ = initial(space, spread.narrower(2.0), generators(0, range(400), 0))
        assert wide.std() / narrow.std() == pytest.approx(2.0, rel=0.25)


def test_ranking_puts_non_finite_scores_last_and_breaks_ties_by_member():
    assert ranking([1.0, np.nan, 2.0, 1.0, np.inf], [0, 1, 2, 3, 4]).tolist() == [2, 0, 3, 1, 4]


@pytest.mark.parametrize(
    ("quantile", "population", "exploited"), [(0.4, 12, 5), (0.01, 12, 1), (0.5, 5, 2), (0.25, 8, 2)]
)
def test_exploited_members(quantile, population, exploited):
    assert Setting(Space(TASKS), epochs=12, quantile=quantile, population=population).exploited == exploited


@pytest.mark.parametrize(
    "change", [{"quantile": 0.0}, {"quantile": 0.6}, {"population": 0}, {"ready": 0}, {"epochs": 0}, {"seed": -1}]
)
def test_a_setting_outside_its_range_is_refused(change):
    with pytest.raises(RequestError, match=next(iter(change))):
        Setting(**{"space": Space(TASKS), "epochs": 12, **change})


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(RequestError, match="did you mean 'pbt'"):
        registry.get("pbtt")
    with pytest.raises(RequestError, match="did you mean 'resample'"):
        registry.create("pbt", Setting(Space(TASKS), epochs=3), resampel=0.1)


def test_tell_refuses_what_was_not_asked():
    search = registry.create("random", Setting(Space(TASKS), epochs=3, population=2))
    with pytest.raises(RequestError, match="expects metrics"):
        search.tell(np.zeros((3, 4)), np.zeros(3))
    assert search.ask() is search.ask()
    search.tell(np.zeros((2, 4)), np.zeros(2))
    assert search.ask() is None
    with pytest.raises(RequestError, match="over"):
        search.tell(np.zeros((2, 4)), np.zeros(2))


def test_numbers_of_numpy_are_numbers():
    setting = Setting(Space(TASKS), epochs=np.int64(6), population=np.int32(4), ready=np.int16(2), seed=np.uint8(3))
    assert [type(x) for x in (setting.epochs, setting.population, setting.ready, setting.seed)] == [int] * 4
    assert setting == Setting(Space(TASKS), epochs=6, population=4, ready=2, seed=3)
