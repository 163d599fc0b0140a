"""Other people's loops in two processes: right, or refused."""

from __future__ import annotations

import pytest

pytest.importorskip("accelerate")
pytest.importorskip("lightning")
pytest.importorskip("transformers")

import stacks_processes

NAMES = [name for name in stacks_processes.NAMES if any(x in name for x in ("Trainer", "Lightning", "accelerate"))]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_two_processes_end_where_one_ends_by_hand(name: str) -> None:
    methods, levels = ["uniform", "famo", "mgda"], ["parameters", "representation"]
    ((_, found),) = stacks_processes.outcomes([name], methods, levels)
    for level in levels:
        for method in methods:
            told = found[level][method]
            if (method, level) == ("mgda", "representation") and "find_unused_parameters=True" in name:
                assert told[0] == "RequestError", told
                assert "find_unused_parameters=False" in told[1]
            else:
                assert isinstance(told, float), f"{level}, {method}: {told}"
                assert told < stacks_processes.NAMES[name]
