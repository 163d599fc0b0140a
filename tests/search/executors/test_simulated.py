"""The simulation agrees with what can be computed by hand, and the learner is one."""

from __future__ import annotations

import numpy as np
import pytest

import scalarize
from scalarize.learners.supervised import Learner
from scalarize.search.executors.simulated import Cluster, SimulatedLearner, SimulatedSchedule, Timing, simulate

EVEN = Timing(epoch=100.0, evaluation=0.0, checkpoint=0.0, jitter=0.0, straggling=0.0)
SURE = Cluster(nodes=5, slots=2, failures=1e12)


def plan(**changes):
    base = {"members": 10, "generations": 4, "ready": 3, "decision": 0.0, "timing": EVEN, "cluster": SURE}
    return SimulatedSchedule(**{**base, **changes})


def test_even_trainings_lose_nothing():
    found = simulate(plan())
    assert found.hours == pytest.approx(4 * 300 / 3600)
    assert (found.busy, found.barrier, found.lost) == (pytest.approx(1.0), 0.0, 0)


def test_waves_saving_and_decisions_add_up():
    assert simulate(plan(members=15)).hours == pytest.approx(2 * 4 * 300 / 3600)
    slow = simulate(
        plan(timing=Timing(100.0, 0.0, 50.0, 0.0, 0.0), cluster=Cluster(5, 2, 1e12, write=10.0), decision=7.0)
    )
    # Ten checkpoints of 50 MB one after another, and a decision between generations.
    assert slow.saving == pytest.approx(50.0)
    assert slow.hours == pytest.approx((4 * (300 + 50) + 3 * 7) / 3600)
    assert slow.traffic == pytest.approx(0.5)


def test_a_generation_lasts_as_long_as_its_slowest_and_lag_lets_others_go_on():
    uneven = plan(timing=Timing(100.0, 0.0, 0.0, jitter=0.3, straggling=0.0))
    durations = np.random.default_rng(0)
    slowest = sum(uneven.timing.draw(durations, 3, 10).max() for _ in range(4))
    hours = [simulate(uneven, lag).hours for lag in (0, 1, 4)]
    assert hours[0] == pytest.approx(slowest / 3600)
    assert hours[0] > hours[1] >= hours[2]
    draws = np.random.default_rng(0)
    alone = sum(uneven.timing.draw(draws, 3, 10) for _ in range(4))
    assert hours[2] <= alone.max() / 3600 + 1e-9  # slots are taken by whoever is ready


def test_failures_repeat_trainings():
    failing = simulate(plan(generations=50, cluster=Cluster(5, 2, failures=2.0, recovery=60.0)))
    sure = simulate(plan(generations=50))
    assert failing.lost > 5
    assert failing.hours > sure.hours
    assert failing.busy < 1.0


def test_learner_is_searched_like_any_other_in_simulated_time():
    learner = SimulatedLearner(seed=3, ballast=1.0)
    assert isinstance(learner, Learner)
    result = scalarize.search(SimulatedLearner, epochs=6, population=4, ready=3)
    assert SimulatedLearner(0).value(result.policy) > 0.5
    learner.train(result.policy, 3)
    assert 3 * 200 * 0.7 < learner.seconds < 2.5 * 3 * 220
    state = learner.state_dict()
    assert state["ballast"].element_size() * state["ballast"].numel() == 2**20
    again = SimulatedLearner(seed=4)
    again.load_state_dict(state)
    assert (again.epoch, again.seconds) == (3, learner.seconds)
