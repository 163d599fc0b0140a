"""Places for trainings on cores and on (imagined) devices."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scalarize.utils.errors import RequestError
from scalarize.utils.workers import machine

VISIBLE = machine.VISIBLE


def test_cores_are_divided_by_the_threads_of_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 8)
    assert [len(machine.places(None, threads)) for threads in (1, 2, 3, 16)] == [8, 4, 2, 1]
    assert machine.places(5, threads=8) == [{}] * 5  # what is asked for is had


@pytest.mark.parametrize(
    ("devices", "share", "named"),
    [
        ((0, 1, 3), 1.0, ["0", "1", "3"]),
        ((0, 3), 0.5, ["0", "3", "0", "3"]),
        ((2,), 1 / 3, ["2", "2", "2"]),
        ((0, 1, 2, 3), 2.0, ["0,1", "2,3"]),
        ((0, 1, 2), 2.0, ["0,1"]),
    ],
)
def test_trainings_are_spread_over_devices(devices: tuple[int, ...], share: float, named: list[str]) -> None:
    assert [place[VISIBLE] for place in machine.places(None, 1, devices, share, {})] == named
    fewer = machine.places(1, 1, devices, share, {})
    assert [place[VISIBLE] for place in fewer] == named[:1]


def test_numbers_count_among_the_devices_that_this_process_sees() -> None:
    seen = {VISIBLE: "4,5,7"}
    assert [place[VISIBLE] for place in machine.places(None, 1, (0, 2), 1.0, seen)] == ["4", "7"]
    with pytest.raises(RequestError, match=r"`devices` 3: CUDA_VISIBLE_DEVICES=4,5,7 leaves 3"):
        machine.places(None, 1, (3,), 1.0, seen)


@pytest.mark.parametrize(
    ("workers", "devices", "share", "said"),
    [
        (0, None, 1.0, "at least 1"),
        (3, (0, 1), 1.0, "2 devices have room for 2 at 1 of one each"),
        (1, (0,), 2.0, "1 devices have room for 0 at 2 of one each"),
        (None, (0, 0), 1.0, "each device once"),
        (None, (0,), -1.0, "share of a device"),
        (None, (0, 1, 2), 1.5, "share of a device"),
    ],
)
def test_what_does_not_fit_is_refused(
    workers: int | None, devices: tuple[int, ...] | None, share: float, said: str
) -> None:
    with pytest.raises(RequestError, match=said):
        machine.places(workers, 1, devices, share, {})


def test_memory_is_that_of_the_container(tmp_path: Path) -> None:
    assert machine.memory(tmp_path) is None
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:   5000 kB\n")
    (tmp_path / "proc/self/statm").write_text("100 3 1 1 0 1 0\n")
    page = os.sysconf("SC_PAGE_SIZE")
    assert machine.memory(tmp_path) == (5000 * 1024, 3 * page)
    (tmp_path / "sys/fs/cgroup/memory.max").write_text("max\n")
    (tmp_path / "sys/fs/cgroup/memory.current").write_text("1000\n")
    assert machine.memory(tmp_path) == (5000 * 1024, 3 * page)
    (tmp_path / "sys/fs/cgroup/memory.max").write_text("4000\n")
    assert machine.memory(tmp_path) == (3000, 3 * page)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "250000 100000\n"}, 2.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_a_container_may_have_fewer_cores_than_its_machine(
    files: dict[str, str], cores: float | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert machine._quota(tmp_path) == cores
