"""The trials: kills of every kind of command, damage of a search and of a training."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import scalarize
from faults import damaging, killing, scenes
from scalarize.runs import train as trainings
from scalarize.runs.request import TrainRequest
from scalarize.search.toy_problems import Noisy

Make = Callable[[Path], Callable[[], Any]]


class Stop(Exception):
    """The crash."""


def stop_after(count: int) -> Callable[[Any], None]:
    """A listener that crashes at the so manieth event."""
    seen = []

    def tell(event: Any) -> None:
        seen.append(event)
        if len(seen) == count:
            raise Stop

    return tell


def kills(found: Path) -> dict[str, Make]:
    """What is killed, by name.

    Args:
        found: where a finished search is made for those that go on from one.
    """
    made: dict[str, Make] = {
        f"search, {name}": functools.partial(scenes.toy, algorithm=name) for name in scalarize.search.names()
    }
    made["search without a barrier"] = functools.partial(scenes.toy, asynchronous=True)
    for name, words in scenes.COMMANDS.items():
        made[f"scalarize {name}"] = functools.partial(scenes.with_words, words=words)
    made["scalarize retrain"] = lambda p: scenes.after_search(p, _search(found), "retrain", "o", "--resume")
    made["scalarize report"] = lambda p: scenes.after_search(p, _search(found), "report", "o")
    return made


def _search(found: Path) -> Path:
    if not (found / "o").exists():
        found.mkdir(parents=True)
        assert killing.in_child(scenes.command(found, *scenes.COMMANDS["search"]), found)[0] == 0
    return found


def damaged_search(place: Path, bits: int, **asked: Any) -> killing.Trials:
    """Damage a search on a toy problem, whose second generation is under way."""

    def go(out: Path, seed: int = 0, **more: Any) -> Any:
        return scalarize.search(Noisy, **scenes.SMALL, **asked, seed=seed, out=out, resume=True, **more)

    def products(out: Path) -> list[bytes]:
        return [(out / name).read_bytes() for name in ("lineage.jsonl", "policy.json")]

    for out, seed in ((place / "o", 1), (place / "p", 0), (place / "whole", 0)):
        with contextlib.suppress(Stop):
            go(out, seed, **({} if out.name == "whole" else {"progress": stop_after(6)}))
    known, others = damaging.snapshot(place / "p"), _moved(place / "o", place / "p")
    wanted, again = products(place / "whole"), functools.partial(go, place / "p")
    return damaging.damage_everything("search", place / "p", known, others, again, products, wanted, bits)


def damaged_training(place: Path, bits: int) -> killing.Trials:
    """Damage a training whose second epoch is under way."""
    (place / "mine.csv").write_text(scenes.TABLE)

    def go(out: Path, seed: int = 0, say: Any = None) -> None:
        small = {"model.width": 8, "model.members": 1}
        asked = {"csv": str(place / "mine.csv"), "targets": ("a", "b"), "epochs": 2, "settings": small}
        with _each_epoch(), contextlib.redirect_stderr(io.StringIO()):
            trainings.train(TrainRequest(**asked, method="uncertainty", seed=seed), out, "scalarize train", True, say)

    def products(out: Path) -> dict[str, Any]:
        found = scenes.products(out)
        found["result.json"].pop("out")
        return found

    for out, seed in ((place / "o", 1), (place / "p", 0), (place / "whole", 0)):
        with contextlib.suppress(Stop):
            go(out, seed, None if out.name == "whole" else stop_after(1))
    known, others = damaging.snapshot(place / "p"), _moved(place / "o", place / "p")
    assert place / "p" / "checkpoints" / "last.pt" in known
    wanted, again = products(place / "whole"), functools.partial(go, place / "p")
    return damaging.damage_everything("training", place / "p", known, others, again, products, wanted, bits)


def _moved(source: Path, target: Path) -> damaging.Files:
    return {target / p.relative_to(source): content for p, content in damaging.snapshot(source).items()}


@contextlib.contextmanager
def _each_epoch() -> Iterator[None]:
    """Let trainings write a checkpoint each epoch."""
    before, trainings.CHECKPOINT_SECONDS = trainings.CHECKPOINT_SECONDS, 0.0
    try:
        yield
    finally:
        trainings.CHECKPOINT_SECONDS = before
