"""The same emoji drawn by several vendors: npm packages emoji-datasource-* 16.0.0 as one file of tensors."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scalarize.utils.errors import RequestError, RunError
from scalarize.workloads.datasets import images, manifest

VERSION = "16.0.0"
FILE = f"emoji-{VERSION}.pt"
FREE = ("google", "twitter")
RESTRICTED = ("apple", "facebook")
LICENCES = {
    "google": "Noto Emoji, Apache-2.0",
    "twitter": "Twemoji, CC-BY-4.0",
    "apple": "copyright Apple Inc., not licensed for commercial usage",
    "facebook": "copyright Facebook, Inc., no clear licence",
}
SHA256 = {
    "google": "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
    "twitter": "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
    "apple": "b34d1665e136f163b0d4433318df151895b785186e8c729b2211b43017945075",
    "facebook": "017038cf5a4e7fcf03dd9133cbed43d4c281c4b3ce7b927c7160261b92b8821e",
}
TONES = ("none", "light", "medium-light", "medium", "medium-dark", "dark", "mixed")
REMEDY = "run `scalarize data get emoji`"
_TONE_CODES = ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")
# variation selector, joiner, female and male sign, arrow "facing right": they vary a base emoji
_MODIFIERS = {"FE0F", "200D", "2640", "2642", "27A1", *_TONE_CODES}
_PERSONS = {"1F468", "1F469", "1F9D1"}  # man, woman, person


def get(root: Path, options: Mapping[str, Any]) -> Path:
    """Fetch the packages with ``npm pack`` and write ``root/emoji/emoji-16.0.0.pt`` and ``manifest.json``.

    The option ``accept_licence`` adds the vendors whose licences restrict use. Raises RequestError without npm,
    RunError if a package cannot be fetched or is not the published one.
    """
    vendors = (*FREE, *RESTRICTED) if options.get("accept_licence") else FREE
    with tempfile.TemporaryDirectory() as folder:
        packages = {vendor: fetch(vendor, Path(folder)) for vendor in vendors}
        return build(packages, root / "emoji")


def fetch(vendor: str, folder: Path) -> Path:
    """Fetch a vendor's package file into ``folder``, and verify it by its SHA-256."""
    package = f"emoji-datasource-{vendor}"
    try:
        done = subprocess.run(
            ["npm", "pack", f"{package}@{VERSION}", "--silent"], cwd=folder, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise RequestError(
            "`scalarize data get emoji` runs `npm pack`, and there is no npm here: install npm"
        ) from None
    path = folder / f"{package}-{VERSION}.tgz"
    if done.returncode or not path.is_file():
        reason = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise RunError(f"npm pack {package}@{VERSION} failed: {reason}")
    if (found := manifest.sha256(path)) != SHA256[vendor]:
        raise RunError(f"{package}@{VERSION}: SHA-256 is {found}, expected {SHA256[vendor]}: not the published package")
    return path


def build(packages: Mapping[str, Path], folder: Path) -> Path:
    """Write the tensor file and the manifest of ``packages`` (vendor -> .tgz) into ``folder``."""
    tensors: dict[str, Any] = {}
    sources = []
    for vendor, path in packages.items():
        tensors[vendor] = read_package(path, vendor)
        count = len(tensors[vendor]["images"])
        sources.append(
            {
                "package": f"emoji-datasource-{vendor}@{VERSION}",
                "sha256": manifest.sha256(path),
                "images": count,
                "licence": {"images": LICENCES[vendor], "metadata": "MIT"},
            }
        )
    return manifest.write(folder, FILE, tensors, {"format": "scalarize-emoji/1", "sources": sources})


def read_package(path: Path, vendor: str) -> dict[str, Any]:
    """Read one package: images (N, 3, 64, 64) uint8 on white, and N each of bases, tones, categories, subcategories.

    Raises RequestError that names the package if it is damaged or of an unexpected layout.
    """
    prefix = f"package/img/{vendor}/64/"
    drawn: dict[str, Tensor] = {}
    table = None
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                wanted = member.name.startswith(prefix) or member.name == "package/emoji.json"
                if not wanted or (handle := archive.extractfile(member)) is None:
                    continue
                if member.name.startswith(prefix):
                    drawn[member.name.removeprefix(prefix)] = images.decode(handle.read(), f"{path}:{member.name}")
                else:
                    table = json.load(handle)
    except (OSError, EOFError, tarfile.TarError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: cannot be read as the npm package of {vendor}: {error}") from None
    if table is None or not drawn:
        raise RequestError(f"{path}: expected package/emoji.json and {prefix}*.png in it")
    rows = [
        (drawn[form["image"]], base_name(entry["unified"]), tone_of(tones), entry["category"], entry["subcategory"])
        for entry in table
        for tones, form in {"": entry, **(entry.get("skin_variations") or {})}.items()
        if form["image"] in drawn
    ]
    pictures, bases, tones, categories, subcategories = zip(*rows, strict=True)
    return {
        "images": torch.stack(pictures),
        "bases": list(bases),
        "tones": torch.tensor(tones),
        "categories": list(categories),
        "subcategories": list(subcategories),
    }


def base_name(unified: str) -> str:
    """Return the base emoji of a code-point sequence: without tone, gender and direction, which only vary its drawing.

    >>> base_name("1F468-1F3FB-200D-1F4BB"), base_name("1F9D1-200D-1F4BB"), base_name("1F3C3-1F3FB-200D-2640-FE0F")
    ('1F9D1-1F4BB', '1F9D1-1F4BB', '1F3C3')
    """
    codes = [c for c in unified.upper().split("-") if c not in _MODIFIERS]
    kept = ["1F9D1" if c in _PERSONS else c for c in codes]
    return "-".join(kept) or unified.upper()


def tone_of(codes: str) -> int:
    """Return the index into ``TONES`` of a skin variation's key, such as "1F3FB" or "1F3FB-1F3FF"; "" has none."""
    found = set(re.findall("|".join(_TONE_CODES), codes))
    if not found:
        return 0
    return 1 + _TONE_CODES.index(found.pop()) if len(found) == 1 else TONES.index("mixed")


def groups(vendors: Sequence[Mapping[str, Any]], free: int) -> list[Tensor]:
    """Return the group (N,) int64 of each vendor's samples: those of one base emoji share a number, over all vendors.

    Base emoji that one of the first ``free`` vendors draws with the very same pixels (a runner and a man running, the
    flags of Norway and of its islands) are one group too. Further vendors do not change the groups of the others.
    """
    parent: dict[str, str] = {}

    def find(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for vendor in vendors[:free]:
        seen: dict[bytes, str] = {}
        for picture, base in zip(vendor["images"], vendor["bases"], strict=True):
            low, high = sorted((find(base), find(seen.setdefault(picture.numpy().tobytes(), base))))
            parent[high] = low
    roots = [[find(base) for base in vendor["bases"]] for vendor in vendors]
    number = {name: k for k, name in enumerate(sorted({r for names in roots for r in names}))}
    return [torch.tensor([number[r] for r in names]) for names in roots]
