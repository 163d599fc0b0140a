"""Message catalogues: read as the standard library does, cleaned, and split so that no English message leaks."""

from __future__ import annotations

import gettext as standard
import io
import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from scalarize.utils.errors import RequestError, RunError
from scalarize.workloads.datasets import catalogues, gettext, manifest, messages, parallel

HEADER = "Content-Type: text/plain; charset={}\nPlural-Forms: nplurals=2; plural=n != 1;\n"


def compiled(entries: Mapping[str, str], charset: str = "UTF-8", order: str = "<") -> bytes:
    """A catalogue as msgfmt writes it: header, two tables of (length, start), then the texts."""
    content = {"": HEADER.format(charset), **entries}
    pairs = [(k.encode(charset), content[k].encode(charset)) for k in sorted(content)]
    count = len(pairs)
    start, body, tables = 28 + 16 * count, b"", [b"", b""]
    for side in (0, 1):
        for pair in pairs:
            tables[side] += struct.pack(f"{order}2I", len(pair[side]), start + len(body))
            body += pair[side] + b"\0"
    head = struct.pack(f"{order}7I", catalogues.MAGIC, 0, count, 28, 28 + 8 * count, 0, 0)
    return head + tables[0] + tables[1] + body


ENTRIES = {
    "Open the file": "Ouvrir le fichier",
    "menu\x04Close": "Fermer",
    "%d file\0%d files": "%d fichier\0%d fichiers",
}


@pytest.mark.parametrize("order", ["<", ">"])
def test_catalogues_are_read_as_the_standard_library_reads_them(order: str) -> None:
    content = compiled(ENTRIES, order=order)
    found = dict(catalogues.read(content, "x.mo"))
    theirs = standard.GNUTranslations(io.BytesIO(content))
    assert found["Open the file"] == theirs.gettext("Open the file")
    assert found["Close"] == theirs.pgettext("menu", "Close")
    assert found["%d file"] == theirs.ngettext("%d file", "%d files", 1)
    assert len(found) == 3


def test_other_encodings_and_damage_are_refused_by_name() -> None:
    with pytest.raises(RequestError, match=r"x\.mo: its encoding is ISO-8859-1"):
        catalogues.read(compiled({"a": "é"}, "ISO-8859-1"), "x.mo")
    lying = compiled({"a": "é"}, "ISO-8859-1").replace(b"charset=ISO-8859-1", b"charset=UTF-8     ")
    with pytest.raises(RequestError, match=r"x\.mo: is not UTF-8, as it says"):
        catalogues.read(lying, "x.mo")
    for content in (b"", b"no catalogue at all, but long enough", compiled(ENTRIES)[:-30]):
        with pytest.raises(RequestError, match=r"x\.mo: damaged"):
            catalogues.read(content, "x.mo")


@pytest.mark.parametrize(
    ("message", "translation", "language", "kept"),
    [
        ("_Open the file", "_Ouvrir le fichier", "fr", ("Open the file", "Ouvrir le fichier")),
        ("Open _File", "打开文件(_F)", "zh", ("Open File", "打开文件")),
        ("<b>Open</b>\n  a file", "<b>Ouvrir</b>\n un fichier", "fr", ("Open a file", "Ouvrir un fichier")),
        ("cannot open %s", "impossible d'ouvrir %s", "fr", ("cannot open %s", "impossible d'ouvrir %s")),
        ("cannot open %s", "impossible d'ouvrir", "fr", "placeholders"),
        ("%s by %d", "%d par %s", "fr", ("%s by %d", "%d par %s")),
        ("<b>Open</b> it", "L'ouvrir", "fr", "tags"),
        ("a &amp; b together", "a &amp; b ensemble", "fr", "tags"),
        ("Pri_nt it", "_Imprimer", "fr", "accelerators"),
        ("see iso_639 there", "voir iso_639 là-bas", "fr", ("see iso_639 there", "voir iso_639 là-bas")),
        ("%s: %d", "%s : %d", "fr", "length"),
        ("Open this file for me now please", "Oui", "fr", "ratio"),
        ("GNU Readline", "GNU readline", "fr", "untranslated"),
        ("Open the file", "Откройте файл", "fr", "script"),
        ("Open the file", "Open the thing", "zh", "script"),
    ],
)
def test_pairs_are_cleaned(message: str, translation: str, language: str, kept: Any) -> None:
    assert messages.clean(message, translation, language) == kept


def words(count: int, ending: str) -> dict[str, str]:
    """Messages of distinct letters and their "translations"."""
    names = [f"{chr(97 + k % 26)}{chr(97 + k // 26 % 26)}{chr(97 + k // 676)}" for k in range(count)]
    return {f"open {n} now": f"{ending} {n} {ending}" for n in names}


@pytest.fixture
def locales(tmp_path: Path) -> Path:
    """A tree like /usr/share/locale: the same messages in four languages, one catalogue that is not UTF-8."""
    endings = {"fr": "ouvre", "zh": "打开打开打开打开", "de": "auf", "ro": "deschide"}
    for language, name in gettext.LOCALES.items():
        folder = tmp_path / "locale" / name / "LC_MESSAGES"
        folder.mkdir(parents=True)
        (folder / "a.mo").write_bytes(compiled(words(700 if language == "ro" else 400, endings[language])))
        (folder / "b.mo").write_bytes(compiled({"open aaa now": f"{endings[language]} again"}))
        (folder / "iso_639.mo").write_bytes(compiled({"Aari": "aari"}))
    (tmp_path / "locale/fr/LC_MESSAGES/old.mo").write_bytes(compiled({"a word": "été"}, "ISO-8859-1"))
    return tmp_path / "locale"


def test_a_build_leaks_nothing_and_says_what_it_found(
    locales: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    answer = command("data", "get", "gettext-fr-ro", "--set", f"locale={locales}")
    assert answer.status == 0, answer.err
    folder = tmp_path / "data" / "gettext"
    told = json.loads((folder / "manifest.json").read_text())
    assert told["languages"]["fr"]["left out"] == {"duplicates": 1}
    assert told["languages"]["fr"]["not read"] == ["old.mo: its encoding is ISO-8859-1, not UTF-8"]
    assert "fr/iso_639.mo" not in told["catalogues"]
    assert told["languages"]["ro"]["train"] == 610
    short = told["languages"]["fr"]["train"]
    assert 300 < short < 400
    assert f"en-fr: {short} pairs to train on, fewer than the 40853 that were wanted" in answer.err
    sides: dict[str, str] = {}
    for language in gettext.SIZES:
        for part in parallel.SPLITS:
            pairs = list(parallel.pairs(folder / f"en-{language}", language, part))
            assert pairs, (language, part)
            for source, _ in pairs:
                assert sides.setdefault(messages.key(source), part) == part
    path = folder / "en-fr/train.tsv"
    assert told["files"]["en-fr/train.tsv"] == manifest.sha256(path)


def test_near_duplicates_stay_together() -> None:
    pairs = {"Cannot open '%s'": "a", "cannot open %s!": "b", "cannot open": "c"}
    parts = gettext.split(pairs, 10)
    assert sorted(map(len, parts.values())) == [0, 0, 3]


def test_what_cannot_be_had_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RequestError, match="did you mean 'packages'"):
        gettext.get(tmp_path, {"package": "inkscape"})
    with pytest.raises(RequestError, match="no messages"):
        gettext.get(tmp_path, {"locale": str(tmp_path)})
    tool = tmp_path / "apt-get"
    tool.write_text("#!/bin/sh\necho 'E: Unable to locate package' $2 >&2\nexit 100\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match="download nosuch failed: E: Unable to locate package nosuch"):
        gettext.get(tmp_path, {"packages": "nosuch"})
    tool.unlink()
    with pytest.raises(RequestError, match="no apt-get here"):
        gettext.get(tmp_path, {"packages": "nosuch"})
