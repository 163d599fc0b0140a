"""Seeds derived from seeds: every random stream has a name, and none depends on the length of another."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from scalarize.utils.errors import ScalarizeWarning

if TYPE_CHECKING:
    import torch

_INSIDE: list[int] = []  # threads whose learners draw from the global generators now
# Threads share torch's streams: who seeds them holds this until they are restored. A child process has its own.
_LOCKS = [threading.RLock()]
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _LOCKS.__setitem__(0, threading.RLock()))


def derive(*parts: int | str) -> int:
    """Derive a 63-bit seed from the given parts; it is the same on every machine.

    >>> derive(0, "epoch", 1) == derive(0, "epoch", 1) != derive(0, "epoch", 2)
    True
    """
    text = "\x1f".join(f"{type(p).__name__}:{p}" for p in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


@contextlib.contextmanager
def fork_rng(seed: int, devices: Sequence[torch.device] = ()) -> Iterator[None]:
    """Seed torch's random streams inside the block and restore them afterwards: the CPU's and those of CUDA devices.

    Threads share the streams, so only one of them is inside at a time.

    ``torch.manual_seed`` is avoided: it seeds every device and, if CUDA is not initialised, queues the call together
    with its stack trace, which costs more than a step of a small model and is never freed.

    Args:
        seed: seed of every stream inside the block.
        devices: devices in use; those that are not CUDA devices are ignored. Default: none.
    """
    with _LOCKS[0], forked(seed, devices):
        yield


@contextlib.contextmanager
def forked(seed: int, devices: Sequence[torch.device] = ()) -> Iterator[None]:
    """Do what :func:`fork_rng` does, while other threads may do the same: for code of a user, which may wait for them.

    Args:
        seed: seed of every stream inside the block.
        devices: as there.
    """
    import torch

    on_cuda = [d for d in devices if d.type == "cuda"]
    with torch.random.fork_rng(on_cuda):
        torch.default_generator.manual_seed(seed)
        for device in on_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


@contextlib.contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Seed the global generators of torch, numpy and Python inside the block, and restore them afterwards.

    Threads share these generators. Learners may wait for threads of their own, so that no lock could keep others out:
    a ScalarizeWarning says that two are inside.
    """
    import numpy as np
    import torch

    here = threading.get_ident()
    if any(thread != here for thread in _INSIDE):
        warnings.warn(
            "searches in several threads share the global generators: a learner that draws from them trains otherwise "
            "each time; use processes",
            ScalarizeWarning,
            stacklevel=3,
        )
    _INSIDE.append(here)
    plain, arrays = random.getstate(), np.random.get_state()
    try:
        with forked(seed, [torch.device("cuda", k) for k in range(torch.cuda.device_count())]):
            np.random.seed(seed % 2**32)
            random.seed(seed)
            yield
    finally:
        random.setstate(plain)
        np.random.set_state(arrays)
        _INSIDE.remove(here)
