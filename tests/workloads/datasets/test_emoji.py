"""Reading the npm packages: every mode of picture, groups that do not leak, damage that is named."""

from __future__ import annotations

import io
import json
import stat
import tarfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from scalarize.utils.errors import RequestError, RunError
from scalarize.workloads.datasets import emoji, manifest

ENTRIES = [
    ("1F600", "Smileys & Emotion", "face-smiling", ""),
    ("1F44D", "People & Body", "hand-fingers-closed", "1F3FB 1F3FF"),
    ("1F3C3", "People & Body", "person-activity", "1F3FB"),
    ("1F3C3-200D-2640-FE0F", "People & Body", "person-activity", "1F3FB"),
    ("1F46B", "People & Body", "family", "1F3FB-1F3FF 1F3FC-1F3FC"),
    ("1F1F3-1F1F4", "Flags", "country-flag", ""),
    ("1F1E7-1F1FB", "Flags", "country-flag", ""),
    ("1F3FB", "Component", "skin-tone", ""),
]
SAME = {"1F1E7-1F1FB": "1F1F3-1F1F4"}  # an island's flag looks like its country's


def write_package(folder: Path, vendor: str, seed: int = 0, faces: int = 0) -> Path:
    """A package in the published layout, with a few emoji of all modes and ``faces`` more."""
    table = []
    path = folder / f"emoji-datasource-{vendor}-{emoji.VERSION}.tgz"
    with tarfile.open(path, "w:gz") as archive:

        def add(name: str, content: bytes) -> None:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))

        more = [(f"{0x1F601 + k:X}", "Smileys & Emotion", "face-smiling", "") for k in range(faces)]
        for position, (unified, category, subcategory, tones) in enumerate([*ENTRIES, *more]):
            forms = {}
            for tone in ["", *tones.split()]:
                code = f"{unified}-{tone}" if tone else unified
                colour = hash_colour(SAME.get(unified, unified) + tone, seed)
                mode = ("RGBA", "LA", "P")[position % 3]
                image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
                image.paste((*colour, 255), (8, 8, 56, 56))
                picture = io.BytesIO()
                (image if mode == "RGBA" else image.convert(mode)).save(picture, "png")
                add(f"package/img/{vendor}/64/{code.lower()}.png", picture.getvalue())
                forms[tone] = {"unified": code, "image": f"{code.lower()}.png"}
            entry = {**forms.pop(""), "category": category, "subcategory": subcategory}
            table.append(entry | ({"skin_variations": forms} if forms else {}))
        table.append({"unified": "1F9FF", "image": "1f9ff.png", "category": "Objects", "subcategory": "x"})  # not drawn
        add("package/emoji.json", json.dumps(table).encode())
        add("package/img/other/64/1f600.png", b"not read")
    return path


def hash_colour(name: str, seed: int) -> tuple[int, int, int]:
    value = sum((k + 3) * ord(c) for k, c in enumerate(name)) + 977 * seed
    return value % 251, value * 7 % 253, value * 13 % 255


@pytest.fixture
def built(tmp_path: Path) -> Path:
    packages = {v: write_package(tmp_path, v, k) for k, v in enumerate(emoji.FREE)}
    emoji.build(packages, tmp_path / "emoji")
    return tmp_path / "emoji"


def test_pictures_of_all_modes_become_rgb_on_white(tmp_path: Path) -> None:
    read = emoji.read_package(write_package(tmp_path, "google"), "google")
    assert read["images"].shape == (len(ENTRIES) + 6, 3, 64, 64)
    assert read["images"].dtype == torch.uint8
    assert (read["images"][:, :, 0, 0] == 255).all()
    assert torch.tensor(hash_colour("1F600", 0)).equal(read["images"][0, :, 32, 32].int().to(torch.int64))
    gray = read["images"][1, :, 32, 32]
    assert (gray == gray[0]).all()
    assert (gray < 255).all()
    assert read["tones"].tolist() == [0, 0, 1, 5, 0, 1, 0, 1, 0, 6, 2, 0, 0, 0]


def test_the_file_loads_without_code_and_its_manifest_says_where_it_is_from(built: Path) -> None:
    content = torch.load(built / emoji.FILE, weights_only=True)
    assert list(content) == ["google", "twitter"]
    written = json.loads((built / "manifest.json").read_text())
    assert written["sha256"] == manifest.sha256(built / emoji.FILE)
    for source, vendor in zip(written["sources"], emoji.FREE, strict=True):
        assert source["sha256"] == manifest.sha256(built.parent / f"emoji-datasource-{vendor}-{emoji.VERSION}.tgz")
        assert source["licence"] == {"images": emoji.LICENCES[vendor], "metadata": "MIT"}
        assert source["images"] == len(ENTRIES) + 6


def test_tones_genders_vendors_and_equal_pictures_are_one_group(built: Path) -> None:
    content = manifest.load(built, emoji.FILE, "")
    google, twitter = emoji.groups(list(content.values()), 2)
    assert torch.equal(google, twitter)
    by_base = dict(zip(content["google"]["bases"], google.tolist(), strict=True))
    assert by_base["1F1E7-1F1FB"] == by_base["1F1F3-1F1F4"]
    assert len(set(google.tolist())) == 6  # face, thumb, runner of either gender, couple, flag, tone
    assert [google[k].item() for k in (4, 5)] == [google[k].item() for k in (6, 7)]


@pytest.mark.parametrize(
    ("unified", "base"),
    [
        ("1F468-1F3FB-200D-1F4BB", "1F9D1-1F4BB"),
        ("1F469-1F4BB", "1F9D1-1F4BB"),
        ("1F3C3-200D-2642-FE0F-200D-27A1-FE0F", "1F3C3"),
        ("2640-FE0F", "2640-FE0F"),
        ("0023-FE0F-20E3", "0023-20E3"),
    ],
)
def test_base_names(unified: str, base: str) -> None:
    assert emoji.base_name(unified) == base


def test_a_damaged_package_is_named(tmp_path: Path) -> None:
    path = write_package(tmp_path, "google")
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(RequestError, match=r"emoji-datasource-google-16\.0\.0\.tgz"):
        emoji.read_package(path, "google")
    with tarfile.open(path, "w:gz"):
        pass
    with pytest.raises(RequestError, match=r"expected package/emoji\.json and package/img/google/64"):
        emoji.read_package(path, "google")


@pytest.mark.parametrize("damage", ["missing", "manifest", "truncated", "changed"])
def test_a_damaged_cache_is_named_with_its_remedy(built: Path, damage: str) -> None:
    path = built / emoji.FILE
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "manifest":
        (built / "manifest.json").write_text("{")
    elif damage == "truncated":
        path.write_bytes(content[:-100])
    else:
        path.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    named = "manifest.json" if damage == "manifest" else str(path)
    with pytest.raises(RequestError, match=named):
        manifest.load(built, emoji.FILE, emoji.REMEDY)


def fake_npm(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    script = folder / "bin" / "npm"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")


@pytest.mark.parametrize("accepted", [False, True])
def test_get_packs_what_the_licences_allow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accepted: bool) -> None:
    for k, vendor in enumerate((*emoji.FREE, *emoji.RESTRICTED)):
        monkeypatch.setitem(emoji.SHA256, vendor, manifest.sha256(write_package(tmp_path, vendor, k)))
    body = f'name=$(echo "$2" | sed "s/@/-/"); cp "{tmp_path}/$name.tgz" .; echo "$2" >> "{tmp_path}/asked"'
    fake_npm(tmp_path, monkeypatch, body)
    path = emoji.get(tmp_path / "root", {"accept_licence": accepted})
    vendors = (*emoji.FREE, *emoji.RESTRICTED) if accepted else emoji.FREE
    assert list(torch.load(path, weights_only=True)) == list(vendors)
    assert (tmp_path / "asked").read_text().split() == [f"emoji-datasource-{v}@16.0.0" for v in vendors]


def test_get_refuses_what_is_not_the_published_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_package(tmp_path, "google")
    fake_npm(tmp_path, monkeypatch, f"cp {tmp_path}/*google*.tgz .")
    with pytest.raises(RunError, match="not the published package"):
        emoji.get(tmp_path / "root", {})
    assert not (tmp_path / "root").exists()


def test_get_says_why_npm_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_npm(tmp_path, monkeypatch, "echo 'npm error no network' >&2; exit 1")
    with pytest.raises(RunError, match=r"npm pack emoji-datasource-google@16\.0\.0 failed: npm error no network"):
        emoji.get(tmp_path / "root", {})
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(RequestError, match="install npm"):
        emoji.get(tmp_path / "root", {})
