"""The example of a user's own training code runs, and shows what its text says."""

import importlib.util
import math
from pathlib import Path

import torch

import scalarize

PATH = Path(__file__).resolve().parents[2] / "examples" / "own_learner.py"


def load():
    spec = importlib.util.spec_from_file_location("own_learner", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_finds_a_policy_for_a_plain_loop(capsys):
    torch.set_num_threads(1)
    fixed, found = load().main()
    assert found.score > fixed["uniform"]
    assert found.policy.tasks == ("small", "middle", "large")
    assert found.configurations > 8
    assert found.trainings == 8
    assert "best of the search" in capsys.readouterr().out


def test_it_is_a_learner_and_continues_exactly():
    example = load()
    whole, first, second = (example.MyTraining(seed=3) for _ in range(3))
    assert isinstance(whole, scalarize.Learner)
    policy = scalarize.Policy.constant(example.centre(), epochs=4)
    whole.train(policy, 4)
    first.train(policy, 2)
    second.load_state_dict(first.state_dict())
    second.train(policy, 4)
    assert second.evaluate("validation") == whole.evaluate("validation")
    assert all(math.isfinite(x) for x in whole.evaluate("validation").values())
