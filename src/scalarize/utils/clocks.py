"""The clock by which the cost of a computation is measured."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch


def clock_of(device: torch.device) -> Callable[[], float]:
    """Return CPU seconds of this process on a CPU, whose cores others may use as well, and otherwise wall time."""
    return time.process_time if device.type == "cpu" else time.perf_counter
