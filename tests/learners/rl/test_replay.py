"""The replay: rings that forget, rewards as they were and as they are drawn, a state that goes on exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scalarize.learners.rl.replay import Replay, Transitions
from scalarize.utils.errors import RequestError

T, D, A = 2, 3, 1


def fill(replay: Replay, rewards: np.ndarray, first: int = 0) -> None:
    """One transition a task for each row of ``rewards`` (N, T); what is observed counts up."""
    for k, row in enumerate(rewards, start=first):
        seen = torch.full((T, 1, D), float(k))
        one = torch.zeros(T, 1, dtype=torch.bool)
        replay.add(Transitions(seen, torch.zeros(T, 1, A), torch.tensor(row)[:, None], seen + 1, one))


def rewards(n: int) -> np.ndarray:
    return np.random.default_rng(0).normal([1.0, 50.0], [0.5, 20.0], (n, T))


@pytest.mark.parametrize("n", [5, 8, 21])
def test_a_ring_keeps_the_last_and_knows_their_deviation(n: int) -> None:
    replay, given = Replay(T, 8, D, A), rewards(n)
    fill(replay, given)
    kept = given[-8:]
    assert replay.size == len(kept)
    assert replay.deviations().numpy() == pytest.approx(kept.std(axis=0), rel=1e-9)
    drawn = replay.sample(4000, torch.Generator().manual_seed(0))
    assert drawn.observations.dtype == drawn.rewards.dtype == torch.float32
    assert set(drawn.observations[0, :, 0].tolist()) == set(range(n - len(kept), n))
    assert torch.equal(drawn.successors, drawn.observations + 1)
    place = drawn.observations[:, :, 0].long().numpy()
    wanted = np.stack([given[place[t], t] for t in range(T)]) / kept.std(axis=0)[:, None]
    assert drawn.rewards.numpy() == pytest.approx(wanted, rel=1e-5)


def test_the_largest_return_is_of_all_rewards_seen_and_of_their_scale_now() -> None:
    given = rewards(12)
    given[0] = [9.0, 900.0]  # leaves the ring
    ring, raw = Replay(T, 8, D, A), Replay(T, 8, D, A, "none")
    for replay in (ring, raw):
        fill(replay, given)
    assert raw.largest_returns(0.9).numpy() == pytest.approx([90.0, 9000.0])
    assert ring.largest_returns(0.9).numpy() == pytest.approx([90.0, 9000.0] / given[-8:].std(axis=0))
    again = Replay(T, 8, D, A)
    again.load_state_dict(ring.state_dict())
    assert torch.equal(again.largest_returns(0.9), ring.largest_returns(0.9))
    older = {key: value for key, value in ring.state_dict().items() if key != "largest"}
    again.load_state_dict(older)  # of a version that kept none: the largest one held
    assert again.largest_returns(0.9).numpy() == pytest.approx(10 * given[-8:].max(axis=0) / given[-8:].std(axis=0))


def test_the_two_older_ways_of_scaling_rewards() -> None:
    given = rewards(30)
    raw = Replay(T, 40, D, A, "none")
    fill(raw, given)
    drawn = raw.sample(500, torch.Generator().manual_seed(0))
    place = drawn.observations[1, :, 0].long().numpy()
    assert drawn.rewards[1].numpy() == pytest.approx(given[place, 1], rel=1e-6)
    moving = Replay(T, 40, D, A, "moving-average", rate=0.1)
    fill(moving, given)
    mean, variance, wanted = np.zeros(T), np.ones(T), []
    for row in given:  # Sodhani et al. 2021, written slowly
        mean = 0.9 * mean + 0.1 * row
        variance = 0.9 * variance + 0.1 * (row - mean) ** 2
        wanted.append(row / (np.sqrt(variance) + 1e-8))
    drawn = moving.sample(500, torch.Generator().manual_seed(0))
    place = drawn.observations[1, :, 0].long().numpy()
    assert drawn.rewards[1].numpy() == pytest.approx(np.array(wanted)[place, 1], rel=1e-5)


def test_rewards_that_are_all_alike_are_left_alone() -> None:
    replay = Replay(T, 8, D, A)
    fill(replay, np.full((5, T), 3.0))
    assert replay.sample(3, torch.Generator().manual_seed(0)).rewards.unique().tolist() == [3.0]


@pytest.mark.parametrize("n", [5, 13])
def test_a_state_goes_on_exactly(n: int) -> None:
    first, given = Replay(T, 8, D, A, "moving-average"), rewards(20)
    fill(first, given[:n])
    second = Replay(T, 8, D, A, "moving-average")
    second.load_state_dict(first.state_dict())
    for replay in (first, second):
        fill(replay, given[n:], first=n)
    a, b = (r.sample(50, torch.Generator().manual_seed(1)) for r in (first, second))
    assert torch.equal(a.rewards, b.rewards)
    assert torch.equal(a.observations, b.observations)
    with pytest.raises(RequestError, match="no ring of 7"):
        Replay(T, 7, D, A).load_state_dict(first.state_dict())
