"""Real parallel text that is on most machines: messages of programs and their translations, from gettext catalogues.

This is not WMT: the messages of software are short and by many authors. Training sets have the proportions of Xin et
al. (2022, table 1) at one thousandth, smaller if fewer pairs are found. Texts stay under the licences of their
packages.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scalarize.utils import files
from scalarize.utils.errors import RequestError, RunError, unknown_name_error
from scalarize.workloads.datasets import catalogues, manifest, messages, parallel

SIZES = {"fr": 40_853, "zh": 25_986, "de": 4_549, "ro": 610}  # of the training sets
LOCALES = {"fr": "fr", "zh": "zh_CN", "de": "de", "ro": "ro"}
HELD_OUT = {"validation": 5, "test": 5}  # percent of the English messages
NAMES = ("iso_",)  # catalogues of proper names alone
FOLDER = "gettext"
PLACE = Path("usr/share/locale")
REMEDY = "run `scalarize data get gettext`"
Pairs = dict[str, str]


def get(root: Path, options: Mapping[str, Any]) -> Path:
    """Build ``root/gettext`` from the catalogues of this machine.

    Raises RequestError for unknown options, RunError if a package cannot be fetched.

    Args:
        root: the data root.
        options: ``packages``, names of Debian packages separated by commas, whose catalogues are fetched as well but
            not installed; ``locale``, a folder instead of /usr/share/locale.
    """
    for name in options:
        if name not in ("packages", "locale", "accept_licence"):
            raise unknown_name_error("setting", name, ("packages", "locale"), where=" in `settings`")
    asked = [p.strip() for p in str(options.get("packages", "")).split(",") if p.strip()]
    with tempfile.TemporaryDirectory() as place:
        fetched = {package: fetch(package, Path(place)) for package in asked}
        folders = {"": Path(str(options.get("locale", "/" / PLACE)))}
        folders |= {f"{package}:": path.parent / PLACE for package, path in fetched.items()}
        return build(folders, root / FOLDER, {path.stem: manifest.sha256(path) for path in fetched.values()})


def build(locales: Mapping[str, Path], folder: Path, fetched: Mapping[str, str]) -> Path:
    """Read ``locales`` (prefix in the manifest -> folder), clean, split, and write tables and, last, ``manifest.json``.

    ``fetched`` maps packages that are not installed to their SHA-256. Raises RequestError if a language has no pairs.
    """
    with manifest.replacing(folder) as place:
        languages: dict[str, Any] = {}
        read: dict[str, Path] = {}
        written: dict[str, str] = {}
        for language, name in LOCALES.items():
            paths = catalogues_of(locales, name)
            pairs, left_out, refused = gather(paths.values(), language)
            if not pairs:
                where = next(iter(locales.values())) / name
                raise RequestError(
                    f"{where}: no messages in its catalogues: name packages, as in `settings` packages=inkscape"
                )
            parts = split(pairs, SIZES[language])
            for part, kept in parts.items():
                path = parallel.folder_of(place, language) / f"{part}.tsv"
                files.write_text(path, "".join(f"{s}\t{t}\n" for s, t in kept))
                written[str(path.relative_to(place))] = manifest.sha256(path)
            read |= paths
            languages[language] = {
                "pairs": len(pairs),
                **{k: len(v) for k, v in parts.items()},
                "asked": SIZES[language],
            }
            languages[language] |= {"left out": dict(left_out.most_common()), "not read": refused}
        content: dict[str, Any] = {"format": "scalarize-gettext/1", "said": summarise(languages), "files": written}
        content |= {"languages": languages, "packages": owners(list(read.values())), "fetched": dict(fetched)}
        content |= {"catalogues": {name: manifest.sha256(path) for name, path in read.items()}}
        files.write_json(place / manifest.MANIFEST, content)
    return folder


def catalogues_of(locales: Mapping[str, Path], name: str) -> dict[str, Path]:
    """Return the catalogues of locale ``name`` by their names in the manifest, without those of proper names."""
    found = ((prefix, p) for prefix, at in locales.items() for p in sorted((at / name / "LC_MESSAGES").glob("*.mo")))
    return {f"{prefix}{name}/{path.name}": path for prefix, path in found if not path.name.startswith(NAMES)}


def summarise(languages: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what was found, one line per language."""
    lines = []
    for name, found in languages.items():
        short = "" if found["train"] == found["asked"] else f", fewer than the {found['asked']} that were wanted"
        held = f"{found['validation']} to validate, {found['test']} to test on"
        lines.append(f"en-{name}: {found['train']} pairs to train on{short}, {held}")
    return lines


def gather(paths: Iterable[Path], language: str) -> tuple[Pairs, Counter[str], list[str]]:
    """Return English -> translation (the first of each message), the pairs left out by reason, and unread files."""
    pairs: Pairs = {}
    left_out: Counter[str] = Counter()
    refused = []
    for path in paths:
        try:
            found = catalogues.read(files.read_bytes(path), path.name)
        except RequestError as error:
            refused.append(str(error))
            continue
        for message, translation in found:
            kept = messages.clean(message, translation, language)
            if isinstance(kept, str):
                left_out[kept] += 1
            elif kept[0] in pairs:
                left_out["duplicates"] += 1
            else:
                pairs[kept[0]] = kept[1]
    return pairs, left_out, refused


def split(pairs: Pairs, size: int) -> dict[str, list[tuple[str, str]]]:
    """Split the pairs, with at most ``size`` to train on.

    A hash of the English message's letters decides, so a message is in the same split in all languages, as are those
    that differ in case, punctuation and placeholders only.
    """
    parts: dict[str, list[tuple[str, str]]] = {name: [] for name in parallel.SPLITS}
    for source, target in sorted(pairs.items(), key=lambda pair: (_rank(pair[0]), pair[0])):
        at, part = _rank(messages.key(source)) % 100, "train"
        for name, percent in HELD_OUT.items():
            if 0 <= at < percent:
                part = name
            at -= percent
        parts[part].append((source, target))
    return parts | {"train": parts["train"][:size]}


def _rank(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def owners(paths: Sequence[Path]) -> dict[str, str]:
    """Return the installed Debian packages (with versions) that the files belong to; empty if there is no dpkg."""
    try:
        asked = subprocess.run(["dpkg", "-S", *map(str, paths)], capture_output=True, text=True, check=False)
        names = sorted({line.partition(":")[0] for line in asked.stdout.splitlines() if ": " in line})
        if not names:
            return {}
        form = "${Package}\t${Version}\n"
        told = subprocess.run(["dpkg-query", "-W", "-f", form, *names], capture_output=True, text=True, check=False)
    except OSError:
        return {}
    return {name: version for name, _, version in (line.partition("\t") for line in told.stdout.splitlines())}


def fetch(package: str, place: Path) -> Path:
    """Fetch the file of a Debian package and unpack it in a folder of ``place``; nothing is installed."""
    folder = place / package
    folder.mkdir()
    try:
        for words in (["apt-get", "download", package], ["dpkg-deb", "-x", "", "."]):
            given = [w or next(folder.glob("*.deb")).name for w in words]
            done = subprocess.run(given, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                reason = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
                raise RunError(f"{' '.join(given)} failed: {reason}")
    except FileNotFoundError:
        raise RequestError(f"`settings` packages={package} runs `apt-get download`: there is no apt-get here") from None
    return next(folder.glob("*.deb"))
