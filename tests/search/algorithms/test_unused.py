"""An algorithm names the settings that it does not read, so that nobody gives them in vain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scalarize.search import Setting, Space
from scalarize.search.algorithms import registry
from scalarize.search.sampling import Spread


@pytest.mark.parametrize("name", [n for n in registry.names() if n not in ("bo", "pb2")])  # these need a package
def test_its_decisions_depend_on_every_other_setting_and_on_none_of_these(name: str) -> None:
    plain: dict[str, Any] = {"epochs": 12, "population": 12}
    other: dict[str, Any] = {"ready": 2, "quantile": 0.2, "spread": Spread(width=1.5)}

    def decisions(**changed: Any) -> list[Any]:
        algorithm = registry.create(name, Setting(Space(("a", "b")), **plain, **changed))
        found = []
        while (asked := algorithm.ask()) is not None:
            found.append((asked.until_epoch, asked.weights.tolist(), asked.parent.tolist()))
            algorithm.judge = lambda metrics: np.asarray(metrics.mean(axis=1))
            algorithm.tell(asked.weights, asked.weights @ [1.0, 0.2])
        return found

    usual = decisions()
    read = {key for key, value in other.items() if decisions(**{key: value}) != usual}
    assert set(other) - read == set(registry.get(name).unused)
