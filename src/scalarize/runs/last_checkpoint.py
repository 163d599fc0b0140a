"""The checkpoint from which an interrupted training goes on, and the files that a finished one leaves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scalarize.learners.base import RunLearner
from scalarize.methods import Method
from scalarize.runs.directory import Records
from scalarize.runs.model_selection import Selection
from scalarize.utils import digests, files
from scalarize.utils.errors import RequestError
from scalarize.utils.manifest import Manifest

LAST = "checkpoints/last.pt"
RECORDS = "records.jsonl"


class LastCheckpoint:
    """The states of one training on disk, each listed in the run's manifest with the request and seed that wrote it.

    Args:
        out: the run's directory, claimed.
        seed: of the training.
        log: its records.
    """

    def __init__(self, out: Path, seed: int, log: Records) -> None:
        self.kept, self.log = Manifest(out), log
        self.by = {"request": self.kept.request, "seed": seed}

    def go_on(self, learner: RunLearner, method: Method, chosen: Selection, epochs: int) -> tuple[float, float]:
        """Load the checkpoint, if there is one, and drop the records after it.

        Args:
            learner: a fresh one.
            method: the training's.
            chosen: what is selected so far, empty.
            epochs: of the training.

        Returns:
            The seconds until then, and those of training alone; 0 for a training that begins.

        Raises:
            RequestError: the checkpoint or the records before it are not what this run wrote, or are damaged.
        """
        path = self.kept.place(LAST)
        if not path.exists():
            if RECORDS in self.kept.files:
                self.kept.check_replaceable(RECORDS)
            self.kept.grown(RECORDS, digests.of(b""), 0)
            self.kept.save()
            self.log.truncate(0)
            return 0.0, 0.0
        content = files.read_bytes(path)
        adopted = self.kept.files.get(LAST, {}).get("by") == {"adopted": True}
        self.kept.check(LAST, content, None if adopted else self.by)
        if RECORDS in self.kept.files:
            self.kept.read(RECORDS)
        found = files.load_tensors(path, content)
        try:
            learner.load_state_dict(found["learner"])
            if not 0 <= learner.epoch <= epochs:
                raise ValueError(f"it is of epoch {learner.epoch}, the run has {epochs}")
            learner.use(method)
            chosen.load_state_dict(found["selection"])
            seconds, trained, length = float(found["seconds"]), float(found["trained"]), max(0, int(found["bytes"]))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, RuntimeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise RequestError(f"{path}: no checkpoint of this run: {type(error).__name__}: {reason}") from None
        if length > self.log.size():
            raise RequestError(f"{self.log.path}: is cut short: rows before the checkpoint are missing: restore it")
        self._list_records(length)
        self.log.truncate(length)
        return seconds, trained

    def save(self, state: Mapping[str, Any], chosen: Selection, trained: float, seconds: float) -> None:
        """Replace the checkpoint.

        Args:
            state: of the learner.
            chosen: what is selected so far.
            trained: seconds of training alone.
            seconds: since the training began.
        """
        content: dict[str, Any] = {"learner": state, "selection": chosen.state_dict(), "trained": trained}
        content |= {"seconds": seconds, "bytes": self.log.size()}
        self.kept.grown(RECORDS, self.log.digest(), self.log.size())
        self.kept.write(LAST, files.tensor_bytes(content), self.by, lasting=True)

    def keep(self, name: str, state: Mapping[str, Any]) -> None:
        """Write a state that stays, such as ``selected``."""
        self.kept.write(f"checkpoints/{name}.pt", files.tensor_bytes(dict(state)), self.by)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write the result, and remove the checkpoint."""
        self.kept.note(RECORDS, self.log.digest(), self.log.size())
        self.kept.write_json("result.json", result)
        forget_last(self.kept)

    def _list_records(self, length: int) -> None:
        """List the records up to the checkpoint, before those after it are dropped."""
        self.kept.grown(RECORDS, self.log.digest_of(length), length)
        self.kept.save()


def forget_last(kept: Manifest) -> None:
    """Remove the checkpoint of a finished training, which a crash may have left.

    Args:
        kept: the run's manifest.
    """
    if LAST in kept.files and kept.delete(LAST):
        kept.sweep()
        kept.save()
