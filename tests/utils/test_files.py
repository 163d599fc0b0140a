"""Only regular files of a stated size are read: pipes, devices and files without end are one line."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scalarize.utils import files
from scalarize.utils.errors import RequestError, RunError

READERS: list[Callable[[Path], Any]] = [
    files.read_bytes,
    files.read_json,
    files.read_yaml,
    files.read_lines,
    files.load_tensors,
]


@pytest.mark.parametrize("read", READERS)
def test_what_is_no_regular_file_is_refused(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        before = os.getcwd()
        os.chdir(tmp_path)  # the name of a socket is short
        try:
            listener.bind("socket")
        finally:
            os.chdir(before)
        (tmp_path / "link").symlink_to("/dev/zero")
        for name in ("pipe", "socket", "link"):
            with pytest.raises(RequestError, match=f"{name}: is no regular file, but a pipe, a device or a socket"):
                read(tmp_path / name)
    (tmp_path / "loop").symlink_to("loop")
    for path, reason in (
        (tmp_path / "absent", "no such file"),
        (tmp_path, "is a directory"),
        (tmp_path / "loop", "Too many levels"),
        (tmp_path / ("n" * 300), "File name too long"),
        (tmp_path / "a\0b", "null"),
    ):
        with pytest.raises(RequestError, match=reason):
            read(path)


@pytest.mark.parametrize("read", READERS)
def test_a_file_without_end_is_refused(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    path = tmp_path / "holes"
    path.touch()
    os.truncate(path, 2**40)
    with pytest.raises(RequestError, match=r"has 1,099,511,627,776 bytes; at most [\d,]+ are read"):
        read(path)


def test_a_line_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "holes"
    path.write_bytes(b'{"a": 1}\n')
    os.truncate(path, 2**29)
    with pytest.raises(RequestError, match="holds a line of more than 4,194,304 bytes"):
        files.read_lines(path)


def test_nobody_waits_for_a_pipe_that_nobody_reads(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "records.jsonl")
    with pytest.raises(RunError, match="cannot write"):
        files.append_lines(tmp_path / "records.jsonl", [{}])
    os.mkfifo(tmp_path / ".lock")
    with pytest.raises(RequestError, match="cannot be written"), files.lock(tmp_path):
        pass
