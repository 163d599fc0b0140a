"""The directory of a search, which can be resumed after a crash at any moment.

``search.json``: the request. ``decisions.jsonl``: the generation in progress, replaced in one step before its training
starts; its first line holds the length and SHA-256 of the lineage so far. ``lineage.jsonl``: the finished generations.
``manifest.json``: the digests of all files, without which none is believed, replaced or deleted.
``checkpoints/``: one file per finished job, of the generation in progress and of the parents it continues; or
``checkpoints.json``: the place of a folder elsewhere that no other search writes to.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import uuid
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scalarize.search import lineage
from scalarize.search.algorithms.base import Generation, GenerationResult
from scalarize.search.executors import storage
from scalarize.search.state_files import States
from scalarize.utils import digests, documents, files, manifest
from scalarize.utils.errors import RequestError, RunError, ScalarizeWarning
from scalarize.utils.manifest import Manifest

FORMAT = "scalarize-search/1"
OWN = (
    *("search.json", "lineage.jsonl", "policy.json", "decisions.jsonl", "events.jsonl"),
    *("timings.jsonl", "checkpoints.json"),
)
_BESIDE = ("config.yaml", "table.json", "result.json")
_FOLDER = re.compile(r"[0-9a-f]{32}")


class Journal:
    """Reads and writes the directory; ``history`` and ``asked`` are its content when it was opened.

    JSON writes and reads floats exactly, so a history that is read back leads to the same decisions.
    """

    def __init__(self, out: Path, checkpoints: str | None = None) -> None:
        self.out, self._given = out, None if checkpoints is None else storage.resolve(checkpoints)
        self._root = str(out / "checkpoints")
        self.lineage, self.decisions = out / "lineage.jsonl", out / "decisions.jsonl"
        self.kept = Manifest(out)
        self.states = States(self.kept, self._root)
        self.history: list[GenerationResult] = []
        self.asked: Generation | None = None
        self._hash, self._length = hashlib.sha256(), 0

    # --- request --------------------------------------------------------------------------------------------------
    def refuse_overwrite(self) -> None:
        """Raise RequestError if the directory holds a search, or checkpoints of unknown origin."""
        held = [name for name in OWN if os.path.lexists(self.out / name)]
        if held:
            raise RequestError(
                f"{self.out}: already holds a search ({held[0]}): continue it with `resume`, or choose another `out`"
            )
        if (self.out / "checkpoints").exists():  # the search would take them for its own and delete them
            raise RequestError(
                f"{self.out}: already holds checkpoints that are not this search's: choose another `out`"
            )

    def open(self, request: Mapping[str, Any], decided: bool = True) -> None:
        """Begin the search, or read the one that is there.

        Raises RequestError if it has another request or is damaged.

        Args:
            request: plain data that must be equal when a search is resumed.
            decided: read its decisions too; a search without a barrier keeps them in a file of its own.
        """
        path = self.out / "search.json"
        wanted = {"format": FORMAT, "request": json.loads(json.dumps(request))}
        self.kept = Manifest(self.out)
        if path.exists():
            if self.kept.there:
                self.kept.read("search.json")
            held = files.read_json(path)
            difference = _difference(held, wanted)
            if difference:
                raise RequestError(f"{self.out}: holds another search: {difference}; choose another `out`")
            self._settle(begun=True)
            if not self.kept.there:
                self._adopt()
            self._check_products()
            self.kept.sweep()
            if decided:
                self._read()
            else:
                self.kept.check_replaceable("lineage.jsonl")
        else:
            self.refuse_overwrite()
            self.kept.sweep()
            if not self.kept.there:
                self.kept.begin(digests.of(json.dumps(wanted).encode())[7:15])
            self._check_products()
            self._settle(begun=False)
            self.kept.write_json("search.json", wanted)

    def _adopt(self) -> None:
        """List what an earlier version left, which listed nothing."""
        warnings.warn(f"{self.out}: {manifest.EARLIER}", ScalarizeWarning, stacklevel=4)
        names = [n for n in (*OWN, *_BESIDE) if (self.out / n).exists()]
        fronts = [p.relative_to(self.out).as_posix() for p in self.out.glob("front/policy-*.json")]
        held = files.read_json(self.out / "search.json")
        self.kept.adopt(digests.of(json.dumps(held).encode())[7:15], [*names, *fronts, *self.states.lying_about()])

    def _check_products(self) -> None:
        """Raise RequestError before anything is trained, if the result would replace what the search did not write."""
        fronts = [p.relative_to(self.out).as_posix() for p in self.out.glob("front/policy-*.json")]
        self.kept.check_replaceable("policy.json", "result.json", *fronts)
        timings = self.out / "timings.jsonl"  # a cut one costs seconds that are counted, nothing else
        listed = self.kept.files.get("timings.jsonl")
        if listed is not None and timings.exists() and timings.stat().st_size >= listed["size"]:
            self.kept.read("timings.jsonl")

    def _settle(self, begun: bool) -> None:
        """Fix the place of the checkpoints as the search begins, so that none is lost or taken from another search."""
        path = self.out / "checkpoints.json"
        held = files.read_json(path) if path.exists() else None
        if held is not None:
            if self.kept.there:
                self.kept.read("checkpoints.json")
            own = isinstance(held, dict) and isinstance(held.get("place"), str)
            if not own or not _FOLDER.fullmatch(str(held.get("folder"))):
                raise RequestError(f"{path}: names no folder of a search: restore it, or start anew in another `out`")
        if begun and held is None and self._given is not None:
            raise RequestError(f"{self.out}: its checkpoints lie in it, not at {self._given}: leave `checkpoints` out")
        if held is not None and self._given is not None and held["place"] != self._given:
            raise RequestError(f"{self.out}: its checkpoints lie at {held['place']}, not at {self._given}")
        if held is None and self._given is not None:
            held = {"place": self._given, "folder": uuid.uuid4().hex}
            self.kept.write_json("checkpoints.json", held)
        if held is not None:
            self._root = f"{storage.resolve(held['place'])}/{held['folder']}"
        self.states = States(self.kept, self._root)

    # --- reading --------------------------------------------------------------------------------------------------
    def _read(self) -> None:
        if not self.decisions.exists():
            if self.lineage.exists():
                raise RequestError(f"{self.decisions}: is missing: the search cannot be continued")
            return
        self.kept.read("decisions.jsonl")
        head, *rows = files.read_lines(self.decisions) or [{}]
        try:
            if head["decisions_sha256"] != _digest(rows):
                raise ValueError("it differs from what the search wrote")
            length, digest, keep = int(head["lineage_bytes"]), str(head["lineage_sha256"]), bool(head["keep"])
            self.asked = lineage.generation_from(rows, keep) if rows else None
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise RequestError(f"{self.decisions}: is damaged: {error}") from None
        content = files.read_bytes(self.lineage, files.RECORDS) if self.lineage.exists() else b""
        if hashlib.sha256(content[:length]).hexdigest() != digest:
            files.read_lines(self.lineage)  # raises an error that names the damaged line, if one cannot be read
            raise RequestError(f"{self.lineage}: is damaged: it differs from what the search wrote")
        try:
            rows = [documents.from_json(line, "a line") for line in content[:length].splitlines()]
            for _, group in itertools.groupby(rows, key=lambda row: row["generation"]):
                self.history.append(lineage.result_from(list(group)))
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise RequestError(f"{self.lineage}: is damaged: {error}") from None
        self._count(content[:length])
        if len(content) > length:
            # Rows of the generation in progress are covered by no hash yet; its checkpoints are all there.
            self._list_lineage()
            self.kept.save()
            os.truncate(self.lineage, length)

    def rewind(self, generation: int) -> None:
        """Forget what was found from this generation on.

        Raises RequestError if the search has not come so far.
        """
        if not 0 <= generation <= len(self.history):
            raise RequestError(f"`from_generation` {generation}: choose a generation from 0 to {len(self.history)}")
        self.history, self.asked = self.history[:generation], None
        rows = [row for result in self.history for row in lineage.lineage_rows(result)]
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        self._hash, self._length = hashlib.sha256(), 0
        self._count(content)
        self.decide(None)  # the lineage is vouched for up to here, and cut there
        if self.lineage.exists():
            os.truncate(self.lineage, self._length)

    def _count(self, content: bytes) -> None:
        self._hash.update(content)
        self._length += len(content)

    # --- writing --------------------------------------------------------------------------------------------------
    def decide(self, generation: Generation | None) -> None:
        """Write the next decision before any of it is trained; None: the search is over.

        Raises RequestError if files are in its way that the search did not write.
        """
        head = {
            "keep": generation is not None and generation.keep,
            "lineage_bytes": self._length,
            "lineage_sha256": self._hash.hexdigest(),
        }
        rows = [] if generation is None else lineage.decision_rows(generation)
        head["decisions_sha256"] = _digest(rows)
        if generation is not None:
            self.states.plan(generation.index, generation.member.tolist())
        self._list_lineage()
        self.kept.write("decisions.jsonl", "".join(json.dumps(row) + "\n" for row in [head, *rows]).encode())

    def _list_lineage(self) -> None:
        self.kept.grown("lineage.jsonl", f"sha256:{self._hash.hexdigest()}", self._length)

    def finish(self, result: GenerationResult) -> None:
        """Append a finished generation to the lineage."""
        content = "".join(json.dumps(row) + "\n" for row in lineage.lineage_rows(result)).encode()
        try:
            with open(self.lineage, "ab") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
        except OSError as error:
            raise RunError(f"cannot write {self.lineage}: {error.strerror or error}") from error
        self._count(content)

    def rewrite(self, history: Sequence[GenerationResult]) -> None:
        """Replace the lineage by ``history``, for a search that keeps its decisions elsewhere."""
        rows = [row for result in history for row in lineage.lineage_rows(result)]
        self.kept.write("lineage.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())


def _digest(rows: list[dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _difference(held: Any, wanted: Any, where: str = "") -> str:
    """Return the first difference between two requests in words; empty if they are equal."""
    if isinstance(held, dict) and isinstance(wanted, dict):
        parts: Iterable[str] = (
            _difference(held.get(key, "nothing"), wanted.get(key, "nothing"), f"{where}.{key}" if where else key)
            for key in dict.fromkeys([*held, *wanted])
        )
        return next((part for part in parts if part), "")
    if held == wanted:
        return ""
    return f"{where.removeprefix('request.')} was {json.dumps(held)[:200]}, now {json.dumps(wanted)[:200]}"
