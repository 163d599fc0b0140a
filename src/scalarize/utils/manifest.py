"""The manifest of a run directory: every file that the run reads back, its digest, and what wrote it.

A digest is written before its file, beside that of the file before: so at any moment of a crash the file on disk is one
of the two. What is not listed was not written by the run: it is neither believed, nor replaced, nor deleted.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scalarize.utils import digests, documents, files
from scalarize.utils import manifest_entries as entries
from scalarize.utils.errors import RequestError
from scalarize.utils.manifest_entries import Entry

FILE = "manifest.json"
_CHANGED = "it differs from what was written: restore it (without it the files are taken as they are)"
_PROGRESS = "progress.json"  # which is read by others alone, and so not listed
FORMAT = "scalarize-manifest/1"
EARLIER = "made by an earlier version, which kept no digests: its files are taken as they are"
_REMEDY = "restore it, or start anew in another `out`"
_PART = re.compile(r"\.(.+)\.\d+\.part")


class Manifest:
    """The files of one directory, by their paths in it (or whole paths and URLs, if they lie elsewhere).

    Only the holder of the directory's lock changes it.

    Args:
        directory: the run's.

    Attributes:
        there: True if the directory has a manifest.
        request: names the request of the run.
        files: an entry a file: ``digest`` (None: it is being written), ``before``: the digest of the content that it
            replaces, ``size`` in bytes, ``by``: what wrote it; ``grows``: more may follow after that many bytes.

    Raises:
        RequestError: the manifest is damaged.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.path = self.directory / FILE
        self.request: str | None = None
        self.files: dict[str, Entry] = {}
        self._rows: dict[str, tuple[Entry, str]] = {}
        self._known: dict[str, tuple[int, ...]] = {}  # what the file system says of files whose content is known
        self.there = os.path.lexists(self.path)
        if self.there:
            self._read()

    def _read(self) -> None:
        wrong = RequestError(f"{self.path}: is damaged: {_CHANGED}")
        try:
            written = files.read_bytes(self.path)
            content = documents.from_json(written, str(self.path))
            self.request, self.files = content["request"], content["files"]
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
            raise wrong from None
        if content.get("format") != FORMAT or not entries.is_signed(written):
            raise wrong

    # --- looking ----------------------------------------------------------------------------------------------------
    def place(self, name: str) -> Path:
        """Return the path of a listed file."""
        return self.directory / name

    def digest(self, name: str) -> str | None:
        """Return the digest of a file; None if it is not listed, or being written."""
        return self.files.get(name, {}).get("digest")  # type: ignore[no-any-return]

    def check(self, name: str, content: bytes, by: Mapping[str, Any] | None = None) -> None:
        """Check that a file is the one that the run wrote; every file is, without a manifest.

        Args:
            name: of the file.
            content: of the file, as it was read.
            by: what must have written it. Default: anything of this run.

        Raises:
            RequestError: it is not; the message says what it is, and what can be done.
        """
        if not self.there:
            return
        entry = self.files.get(name)
        if entry is None:
            raise RequestError(f"{self._shown(name)}: was not written by this run: move it away")
        if not entries.fits(entry, content):
            raise RequestError(f"{self._shown(name)}: is not what this run wrote: {self._reason(name, content)}")
        if by is not None and dict(by) != (wrote := entry.get("by")):
            found, asked = entries.words(wrote), entries.words(by)
            raise RequestError(f"{self._shown(name)}: was written by {found}, not by {asked}: {_REMEDY}")
        self._remember(name)

    def read(self, name: str, by: Mapping[str, Any] | None = None) -> bytes:
        """Return the content of a file, checked. Raises RequestError that names a missing or other one."""
        content = files.read_bytes(self.place(name))
        self.check(name, content, by)
        return content

    def _reason(self, name: str, content: bytes) -> str:
        other = next((n for n, e in self.files.items() if n != name and content and entries.fits(e, content)), None)
        it = (
            "it is empty" if not content else "it was damaged or changed" if other is None else f"it is that of {other}"
        )
        return f"{it}; {_REMEDY}"

    def _shown(self, name: str) -> str:
        return name if "://" in name else str(self.place(name))

    def owns(self, name: str) -> bool:
        """Return True if a regular file is there and is what the run wrote."""
        entry, path = self.files.get(name), self.place(name)
        seen = entries.seen(path)
        if entry is None or seen is None:
            return False
        if seen != self._known.get(name):
            try:
                if not entries.fits(entry, path.read_bytes()):
                    return False
            except OSError:
                return False
        return True

    def check_replaceable(self, *names: str) -> None:
        """Raise RequestError that names a file which is there and was not written by the run."""
        for name in names:
            if os.path.lexists(self.place(name)) and not self.owns(name) and not self._being_written(name):
                raise RequestError(
                    f"{self.place(name)}: was not written by this run, which would replace it: move it away, or choose "
                    "another `out`"
                )

    def _being_written(self, name: str) -> bool:
        return name in self.files and self.digest(name) is None and entries.seen(self.place(name)) is not None

    # --- changing ---------------------------------------------------------------------------------------------------
    def begin(self, request: str | None) -> None:
        """Begin the manifest of a new run; it is written with the first file."""
        self.request, self.files, self.there = request, {}, True

    def adopt(self, request: str | None, names: Iterable[str]) -> None:
        """Begin the manifest of a directory that has none: these files are taken as they are."""
        self.begin(request)
        for name in names:
            if entries.seen(self.place(name)) is not None:
                content = self.place(name).read_bytes()
                self.files[name] = {"digest": digests.of(content), "size": len(content), "by": {"adopted": True}}
        self.save()

    def note(self, name: str, digest: str | None, size: int = 0, by: Mapping[str, Any] | None = None) -> None:
        """List a file as it is now, or as one that is being written; :meth:`save` makes that last."""
        self.files[name] = {"digest": digest, "size": size} | ({"by": dict(by)} if by else {})
        self._remember(name)

    def grown(self, name: str, digest: str, size: int) -> None:
        """List a file to which rows are appended, up to ``size`` bytes; :meth:`save` makes that last."""
        self.files[name] = {"digest": digest, "size": size, "grows": True}

    def write(self, name: str, content: bytes, by: Mapping[str, Any] | None = None, sync: bool = True) -> Path:
        """List a file, and replace it.

        Args:
            name: of the file.
            content: of the file.
            by: what writes it. Default: the run.
            sync: wait for the disk.

        Returns:
            Its path.

        Raises:
            RequestError: a file is there that the run did not write.
            RunError: it cannot be written.
        """
        if not self.there:
            self.begin(None)
        self.check_replaceable(name)
        if self._is_there(name, content):
            return self.place(name)
        entry: Entry = {"digest": digests.of(content), "size": len(content)} | ({"by": dict(by)} if by else {})
        self.files[name] = entry | self._before(name)
        self.save()
        path = files.write_bytes(self.place(name), content, sync)
        self.files[name] = entry
        self._remember(name)
        return path

    def _before(self, name: str) -> Entry:
        """Return what an entry says of the file that is there, of the two that it may be after a crash."""
        held, path = self.files.get(name), self.place(name)
        if held is None or held["digest"] is None or entries.seen(path) is None:
            return {}
        if "before" in held and not digests.matches(path.read_bytes(), held["digest"]):
            return {"before": held["before"], "size_before": held["size_before"]}
        return {"before": held["digest"], "size_before": held["size"]}

    def _is_there(self, name: str, content: bytes) -> bool:
        entry = self.files.get(name)
        if entry is None or entry.get("before") is not None or entries.seen(self.place(name)) is None:
            return False
        return len(content) == entry["size"] and digests.of(content) == self.digest(name)

    def write_json(self, name: str, content: Any) -> Path:
        """List a file, and replace it by ``content`` as JSON; see :meth:`write`."""
        return self.write(name, (documents.to_json(content, indent=1) + "\n").encode(errors="backslashreplace"))

    def delete(self, name: str) -> bool:
        """Delete a file if it is what the run wrote; return False if it stays."""
        gone = not os.path.lexists(self.place(name))
        if gone or self.owns(name) or self._being_written(name):
            self.place(name).unlink(missing_ok=True)
            self.files.pop(name, None)
            self._known.pop(name, None)
            return True
        return False

    def sweep(self) -> None:
        """Delete what a crash left of listed files that were being written."""
        for folder in {self.place(name).parent for name in [*self.files, FILE] if "://" not in name}:
            own = {Path(name).name for name in self.files} | {FILE, _PROGRESS}
            for path in folder.glob(".*.part") if folder.is_dir() else ():
                found = _PART.fullmatch(path.name)
                if found is not None and found[1] in own and entries.seen(path) is not None:
                    path.unlink(missing_ok=True)

    def save(self) -> None:
        """Replace ``manifest.json``."""
        head = f'{{"format": {json.dumps(FORMAT)}, "request": {json.dumps(self.request)}, "files": {{'
        text = "\n".join([head, ",\n".join(self._row(name, entry) for name, entry in self.files.items()), "}"])
        files.write_bytes(self.path, entries.signed(text.encode()), sync=False)

    def _row(self, name: str, entry: Entry) -> str:
        """Return an entry as text, which is made once."""
        made = self._rows.get(name)
        if made is None or made[0] is not entry:
            made = self._rows[name] = (entry, f"{json.dumps(name)}: {json.dumps(entry)}")
        return made[1]

    def _remember(self, name: str) -> None:
        seen = None if "://" in name else entries.seen(self.place(name))
        if seen is not None:
            self._known[name] = seen
