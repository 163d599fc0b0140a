"""The files of finished jobs, in the search's directory or elsewhere: listed in its manifest, or left alone."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from scalarize.search.executors import storage
from scalarize.search.executors.base import Job, Outcome, load_stored_outcome
from scalarize.utils import digests
from scalarize.utils.errors import RequestError
from scalarize.utils.manifest import Manifest

_OWN = re.compile(r"generation-\d{5}/member-\d{5}\.pt")


class States:
    """The states of members.

    Args:
        kept: the search's manifest.
        root: the folder in which they lie, a path or a URL.
    """

    def __init__(self, kept: Manifest, root: str) -> None:
        self.kept, self.root = kept, root

    def place(self, generation: int, member: int) -> str:
        """Return the file of a member's finished job, a path or a URL."""
        return f"{self._folder(generation)}/member-{member:05d}.pt"

    def _folder(self, generation: int) -> str:
        return f"{self.root}/generation-{generation:05d}"

    def _name(self, place: str) -> str:
        """Return the name by which the manifest lists a file."""
        inside = f"{self.kept.directory}{os.sep}"
        return place.removeprefix(inside) if not storage.is_url(place) else place

    def _listed(self) -> dict[str, str]:
        """Return the places of all files listed, by their names, but for what no search has written."""
        base = self._name(self.root) + "/"
        own = [n for n in self.kept.files if n.startswith(base) and _OWN.fullmatch(n.removeprefix(base))]
        return {name: f"{self.root}/{name.removeprefix(base)}" for name in own}

    def lying_about(self) -> list[str]:
        """Return the names of files that an earlier version left, which listed none."""
        if storage.is_url(self.root) or Path(self.root).is_symlink():
            return []
        found = [p for p in Path(self.root).glob("generation-*/member-*.pt") if not p.parent.is_symlink()]
        return [self._name(str(p)) for p in found if _OWN.fullmatch(p.relative_to(self.root).as_posix())]

    def plan(self, generation: int, members: Iterable[int]) -> None:
        """List files that are about to be written.

        Raises RequestError if one is there that the search did not write.
        """
        for place in (self.place(generation, member) for member in members):
            name = self._name(place)
            if name not in self.kept.files:
                if not storage.is_url(place) and os.path.lexists(place):
                    raise RequestError(
                        f"{place}: was not written by this search, which would replace it: move it away, or choose "
                        "another `out`"
                    )
                self.kept.note(name, None)

    def note(self, outcome: Outcome, job: Job, last: bool = False) -> None:
        """List the file of a finished job; ``last``: in the manifest on disk, too.

        Until then what the file says of itself is believed, see :mod:`scalarize.utils.seals`.
        """
        place = self.place(outcome.generation, outcome.member)
        digest, size = outcome.digest, outcome.size
        if digest is None:
            content = storage.read(place)
            digest, size = digests.of(content), len(content)
        name = self._name(place)
        if self.kept.digest(name) != digest:
            self.kept.note(name, digest, size, job.by)
        if last:
            self.kept.save()

    def digest(self, generation: int, member: int) -> str | None:
        """Return the digest of a member's file; None if it has not been written completely."""
        return self.kept.digest(self._name(self.place(generation, member)))

    def is_whole(self, generation: int, member: int) -> bool:
        """Return True if a member's file is there, as it was written."""
        digest = self.digest(generation, member)
        try:
            return digest is not None and digests.matches(storage.read(self.place(generation, member)), digest)
        except RequestError:
            return False

    def stored(self, job: Job) -> Outcome | None:
        """Return the outcome of a job that an earlier call stored completely; None if it must be trained."""
        return load_stored_outcome(job, self.digest(job.generation, job.member))

    def prune(self, whole: Collection[int] = (), parents: Collection[str] = ()) -> None:
        """Delete every file listed, except those of the generations ``whole`` and the files ``parents``."""
        kept = tuple(f"{self._folder(generation)}/" for generation in whole)
        folders = set()
        for name, place in self._listed().items():
            if place in parents or (kept and place.startswith(kept)):
                continue
            folders.add(place.rpartition("/")[0])
            if storage.is_url(place):
                storage.remove(place)
                del self.kept.files[name]
            else:
                self.kept.delete(name)
        for folder in folders:
            storage.remove_empty(folder)
        if not whole and not parents:
            storage.remove_empty(self.root)
            self.kept.save()
