"""A signed page or policy is replaced as long as nobody changes it, and nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scalarize.utils import signed
from scalarize.utils.errors import RequestError

TEXT = f"<p>ü \udcff</p>\n<!-- {signed.BLANK} -->\n"


def test_what_was_signed_is_replaced_until_it_is_changed(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    signed.write(page, TEXT)
    written = page.read_bytes()
    signed.write(page, TEXT)
    assert page.read_bytes() == written
    for changed in (b"", b"mine", written.replace(b"<p>", b"<q>"), written + b" ", written.replace(b"sha256:", b"")):
        page.write_bytes(changed)
        with pytest.raises(RequestError, match=r"page\.html: was not written by this command, or was changed"):
            signed.write(page, TEXT)
        assert page.read_bytes() == changed


def test_links_and_folders_are_not_replaced(tmp_path: Path) -> None:
    mine = signed.write(tmp_path / "mine.html", TEXT)
    os.symlink(mine, tmp_path / "link.html")
    (tmp_path / "folder.html").mkdir()
    for name in ("link.html", "folder.html"):
        with pytest.raises(RequestError, match="was not written by this command"):
            signed.write(tmp_path / name, TEXT)


def test_leftovers_of_the_dead_are_swept_and_of_nobody_else(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    gone = tmp_path / f".page.html.{dead.pid}.part"
    others = [tmp_path / f".page.html.{os.getpid()}.part", tmp_path / ".page.html.x.part", tmp_path / ".other.1.part"]
    for path in (gone, *others):
        path.touch()
    signed.write(tmp_path / "page.html", TEXT)
    assert not gone.exists()
    assert all(path.exists() or path.name.endswith(f".{os.getpid()}.part") for path in others)
