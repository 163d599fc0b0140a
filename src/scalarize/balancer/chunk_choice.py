"""The number of rows that one backward makes: as given, or the fastest in the first steps that fits into memory."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from scalarize.utils.errors import RequestError

SEVERAL = 8
TRIALS = 3  # steps with each number; the first of them is no measurement
GAIN = 0.95  # a larger number takes more memory: it is chosen if it takes less than this share of the time
SHARE = 0.5  # of the memory at hand


class ChunkChoice:
    """The choice among 1, 8 and all T rows at once, by wall time; ``given`` as a number ends it before it begins.

    Each number is tried in three steps. One that does not fit into half of the memory at hand is not tried, one that
    the model does not allow (``torch.vmap``) is left out.
    """

    def __init__(self, given: int | str) -> None:
        self.chosen: int | None = None if given == "auto" else int(given)
        self._times: dict[int, list[float]] = {}
        self._bytes: float | None = None  # memory of the backward of one row

    def make(self, n_tasks: int, device: torch.device, rows: Callable[[int, bool], None]) -> None:
        """Make the rows of a step.

        Args:
            n_tasks: T.
            device: of the gradients.
            rows: makes them, given how many at a time, and True if the graph is to be kept.
        """
        if self.chosen is not None:
            rows(self.chosen, False)
            return
        chunk = self._next(n_tasks, device)
        if chunk is None:
            self.chosen = self._best()
            rows(self.chosen, False)
            return
        try:
            with self._measured(chunk, device), warnings.catch_warnings():
                if chunk > 1:  # torch tells of operators that it takes one by one: the clock sees them
                    warnings.simplefilter("ignore")
                rows(chunk, chunk > 1)
        except (RequestError, torch.OutOfMemoryError):
            if chunk == 1:
                raise
            self._times[chunk] = [float("inf")] * TRIALS
            rows(1, False)

    def _next(self, n_tasks: int, device: torch.device) -> int | None:
        """Return the number of rows to try in this step; None if all have been tried."""
        for chunk in sorted({1, min(SEVERAL, n_tasks), n_tasks}):
            fits = chunk == 1 or (self._bytes or 0.0) * chunk < SHARE * memory_at_hand(device)
            if fits and len(self._times.get(chunk, ())) < TRIALS:
                return chunk
        return None

    def _best(self) -> int:
        best, least = 1, float("inf")
        for chunk, times in sorted(self._times.items()):
            if min(times[1:]) < GAIN * least:
                best, least = chunk, min(times[1:])
        return best

    @contextmanager
    def _measured(self, chunk: int, device: torch.device) -> Iterator[None]:
        taken = self._times.setdefault(chunk, [])
        _wait(device)
        start = time.perf_counter()
        if self._bytes is None:
            with _Memory(device) as memory:
                yield
            self._bytes = memory.total
        else:
            yield
        _wait(device)
        taken.append(time.perf_counter() - start)


def memory_at_hand(device: torch.device) -> float:
    """Return the bytes that are free on ``device``; infinite if that is not known."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(torch.cuda.mem_get_info(device)[0] + unused)
    if device.type == "cpu" and "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return float("inf")


class _Memory(TorchDispatchMode):
    """The memory that is taken within: the peak on a GPU, elsewhere the sum of all that operators make."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._device, self.total = device, 0.0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self._before = torch.cuda.memory_allocated(device)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            self.total += out.numel() * out.element_size()
        return out

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        if self._device.type == "cuda":
            self.total = float(torch.cuda.max_memory_allocated(self._device) - self._before)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
