"""Random streams that begin from a seed and leave no trace."""

from __future__ import annotations

import torch

from scalarize.utils.seeds import derive, fork_rng


def test_a_seed_is_a_name_of_its_parts() -> None:
    assert derive(0, "epoch", 1) == derive(0, "epoch", 1)
    assert len({derive(0, "epoch", 1), derive(0, "epoch1"), derive("0", "epoch", 1), derive(1, "epoch", 0)}) == 4


def test_a_stream_begins_from_its_seed_and_the_one_around_goes_on() -> None:
    torch.manual_seed(3)
    plain = torch.rand(4)
    torch.manual_seed(3)
    first = torch.rand(2)
    with fork_rng(7):
        inside = torch.rand(3)
    assert torch.equal(torch.cat([first, torch.rand(2)]), plain)
    torch.manual_seed(7)
    assert torch.equal(inside, torch.rand(3))


def test_nothing_is_kept_for_devices_that_are_not_there() -> None:
    waiting = len(torch.cuda._queued_calls)
    for seed in range(3):
        with fork_rng(seed, [torch.device("cpu")]):
            pass
    assert len(torch.cuda._queued_calls) == waiting
