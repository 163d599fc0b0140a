"""A learner whose state cannot be read back, or restores searched numbers, is told at its first training."""

from __future__ import annotations

import collections
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import scalarize
from scalarize.search.executors import states
from scalarize.search.toy_problems import Stationary
from scalarize.utils.errors import RequestError

ASKED: dict[str, Any] = {"epochs": 4, "population": 3, "ready": 2}
READ_BACK = [
    {"a": [1, 2.5, "x", None, True, b"x", 1j, (1, {"b": torch.zeros(2)})]},
    {"m": torch.nn.Linear(2, 2).state_dict(), "n": torch.nn.Parameter(torch.zeros(1))},
    {"size": torch.Size([1]), "kind": torch.float32, "device": torch.device("cpu"), "of": collections.OrderedDict(a=1)},
    {"counts": collections.Counter("abc"), "rng": random.Random(0).getstate()},
]
NOT = [
    ({"rng": np.random.RandomState(0).get_state()}, r"state_dict\(\)\['rng'\]\[1\] is of type numpy.ndarray"),
    ({"x": {"y": [np.float64(1.0)]}}, r"\['x'\]\['y'\]\[0\] is of type numpy.float64"),
    ({"at": Path("x")}, r"\['at'\] is of type pathlib"),
    ({"d": {np.int64(1): 2}}, r"\['d'\], its key .* is of type numpy.int64"),
    ({"seen": collections.defaultdict(list)}, r"\['seen'\] is of type collections.defaultdict"),
    (None, r"state_dict\(\) returned NoneType"),
    ([], r"state_dict\(\) returned list"),
]


@pytest.mark.parametrize("state", READ_BACK)
def test_states_that_are_read_back(state: dict[str, Any], tmp_path: Path) -> None:
    assert states.check(state) is state
    torch.save(state, tmp_path / "state.pt")
    torch.load(tmp_path / "state.pt", weights_only=True)


@pytest.mark.parametrize(("state", "message"), NOT)
def test_states_that_are_not(state: Any, message: str, tmp_path: Path) -> None:
    trained = []

    class Mine(Stationary):
        def train(self, policy: Any, until_epoch: int) -> None:
            trained.append(until_epoch)
            super().train(policy, until_epoch)

        def state_dict(self) -> Any:
            return state

    with pytest.raises(RequestError, match=message):
        scalarize.search(Mine, out=tmp_path / "s", **ASKED)
    assert trained == []
    if isinstance(state, dict):  # nobody goes on from a member of a random search, so its state is not asked for
        scalarize.search(Mine, algorithm="random", epochs=2, population=2)


class Optimised(Stationary):
    """Its optimiser is restored whole; ``again`` sets the searched number after that."""

    again = False

    def __init__(self, seed: int, lr: float = 0.1) -> None:
        super().__init__(seed)
        self.lr = lr
        self.optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        super().load_state_dict({k: v for k, v in state.items() if k != "optimizer"})
        if self.again:
            self.optimizer.param_groups[0]["lr"] = self.lr


def test_a_learner_that_trains_with_its_parents_number() -> None:
    also = {"lr": "log:1e-3:1e-1"}
    with pytest.raises(
        RequestError, match=r"trained with lr=[\d.e-]+, its parent's, not with [\d.e-]+: load_state_dict"
    ):
        scalarize.search(Optimised, also=also, **ASKED)

    class Mended(Optimised):
        again = True

    assert scalarize.search(Mended, also=also, **ASKED).generations == 2

    class Scheduled(Optimised):
        def train(self, policy: Any, until_epoch: int) -> None:
            self.optimizer.param_groups[0]["lr"] = self.lr * 0.5**until_epoch
            super().train(policy, until_epoch)

    assert scalarize.search(Scheduled, also=also, **ASKED).generations == 2
