"""Random streams that begin from a seed and leave no trace."""

from __future__ import annotations

import os
import threading

import pytest
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_process_that_is_forked_while_another_thread_seeds_can_seed_itself() -> None:
    inside, done = threading.Event(), threading.Event()

    def hold() -> None:
        with fork_rng(0):
            inside.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(60)
    child = os.fork()
    if child == 0:
        threading.Timer(20, os._exit, [1]).start()  # it hangs
        with fork_rng(1):
            os._exit(0)
    status = os.waitpid(child, 0)[1]
    done.set()
    thread.join()
    assert status == 0
