"""The clock by which the cost of a computation is measured."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch


def clock_of(device: torch.device) -> Callable[[], float]:
    """Return the clock of computations on ``device``.

    Args:
        device: where the computation runs.

    Returns:
        A function that returns seconds since a moment of its own. On a CPU, whose cores others may use as well, they
        are the CPU seconds of this process; otherwise wall time, read once the device has done all that it was given:
        a GPU returns from a call before the work is done.
    """
    if device.type == "cpu":
        return time.process_time

    def when_done() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return when_done
