"""The cores and devices of this machine, divided into places for one training each."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from scalarize.utils.errors import RequestError

VISIBLE = "CUDA_VISIBLE_DEVICES"


def cores() -> int:
    """Return how many cores this process may use: of its affinity, and of the quota of its container."""
    able = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(able, int(_quota() or able)))


def _quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Return the cores that the process's container may use, None if it has no limit."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((root / name).read_text() for name in names).split()
            return float(quota) / float(period) if float(quota) > 0 else None
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return None


def memory(root: Path = Path("/")) -> tuple[int, int] | None:
    """Return the bytes of memory that are free, and those that this process holds; None if that cannot be known."""
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
        held = int((root / "proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, StopIteration):
        return None
    with contextlib.suppress(OSError, ValueError):  # a container may have less; without a limit it says "max"
        group = root / "sys/fs/cgroup"
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        free = min(free, max(0, limit - used))
    return free, held


def release() -> None:
    """Give memory that is no longer used back to the system, where the C library can (glibc)."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def places(
    workers: int | None,
    threads: int = 1,
    devices: Sequence[int] | None = None,
    share: float = 1.0,
    environment: Mapping[str, str] = os.environ,
) -> list[dict[str, str]]:
    """Divide the machine into places for one training each.

    Args:
        workers: how many; None: one a device (or a share of one) if there are devices, else all cores divided by
            ``threads``.
        threads: of a training.
        devices: numbers of the accelerators to use, as torch counts them; None or none: the cores alone.
        share: of a device for a training; above 1, whole devices a training.
        environment: in which the processes begin.

    Returns:
        For each place the environment variables of its process: the devices that it sees. Places are spread over the
        devices before any has two.

    Raises:
        RequestError: a number is out of range, or the devices have no room for so many.

    >>> places(3)
    [{}, {}, {}]
    >>> [place["CUDA_VISIBLE_DEVICES"] for place in places(None, devices=[0, 3], share=0.5, environment={})]
    ['0', '3', '0', '3']
    """
    if workers is not None and workers < 1:
        raise RequestError(f"`workers` must be at least 1, got {workers}")
    if not devices:
        return [{} for _ in range(max(1, cores() // max(1, threads)) if workers is None else workers)]
    if len(set(devices)) < len(devices) or min(devices) < 0:
        raise RequestError(f"`devices` must name each device once, by its number, got {', '.join(map(str, devices))}")
    if not share > 0 or (share > 1 and share != int(share)):
        raise RequestError(f"a training takes a share of a device in (0, 1], or whole devices, got {share:g}")
    seen = [name.strip() for name in environment.get(VISIBLE, "").split(",") if name.strip()]
    if seen and max(devices) >= len(seen):
        raise RequestError(f"`devices` {max(devices)}: {VISIBLE}={environment[VISIBLE]} leaves {len(seen)} of them")
    named = [seen[k] if seen else str(k) for k in devices]
    whole = max(1, int(share))
    groups = [",".join(named[k : k + whole]) for k in range(0, len(named) - whole + 1, whole)]
    slots = groups * max(1, int(1 / share + 1e-9))
    if not groups or (workers or 0) > len(slots):
        raise RequestError(
            f"`workers` {workers or 1}: {len(devices)} devices have room for {len(slots)} at {share:g} of one each"
        )
    return [{VISIBLE: name} for name in (slots if workers is None else slots[:workers])]
