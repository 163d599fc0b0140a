"""``scalarize.search.check``: each broken promise of a learner is found, on plain loops, scikit-learn and Lightning."""

from __future__ import annotations

import importlib.util
import itertools
import uuid
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scalarize.search import check, search
from scalarize.utils.errors import RequestError, RunError
from scalarize.weights.policy import Policy

spec = importlib.util.spec_from_file_location("own_learner", Path(__file__).parents[2] / "examples" / "own_learner.py")
assert spec is not None
assert spec.loader is not None
own_learner = importlib.util.module_from_spec(spec)
spec.loader.exec_module(own_learner)
Good: Any = own_learner.MyTraining
LR = {"lr": "log:1e-3:1e-1"}


class SeedIgnored(Good):
    def __init__(self, seed: int, lr: float = 1e-2) -> None:
        super().__init__(0, lr)


class WeightsIgnored(Good):
    def train(self, policy: Policy, until_epoch: int) -> None:
        super().train(Policy.constant(dict.fromkeys(self.tasks, 1.0)), until_epoch)


class NumberIgnored(Good):
    def __init__(self, seed: int, lr: float = 1e-2) -> None:
        super().__init__(seed)


class NumberOfTheDonor(Good):
    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.optimizer.load_state_dict(state["optimizer"])


class NotCounted(Good):
    def train(self, policy: Policy, until_epoch: int) -> None:
        super().train(policy, until_epoch)
        self.epoch = 0


class NotRestored(Good):
    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.epoch = 0


class ModelNotRestored(Good):
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch = state["epoch"]


class OptimizerNotRestored(Good):
    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=self.lr)


class NamedAnew(OptimizerNotRestored):
    """Keeps a name of its own, which no comparison may take for noise."""

    def __init__(self, seed: int, lr: float = 1e-2) -> None:
        super().__init__(seed, lr)
        self.run = uuid.uuid4().hex

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "run": self.run}


class OwnGenerator(Good):
    """Draws from a generator that begins again with every learner, so a restored one meets the same batches again."""

    def __init__(self, seed: int, lr: float = 1e-2) -> None:
        super().__init__(seed, lr)
        self.draw = np.random.default_rng(seed)

    def train(self, policy: Policy, until_epoch: int) -> None:
        while self.epoch < until_epoch:
            self.seed = int(self.draw.integers(1000))
            super().train(policy, self.epoch + 1)


class Anew(Good):
    """Makes a new model in each call of train, as ``fit`` of scikit-learn's and skorch's estimators does."""

    def train(self, policy: Policy, until_epoch: int) -> None:
        self.model = Good(self.seed).model
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=self.lr)
        super().train(policy, until_epoch)


class Changing(Good):
    def evaluate(self, split: str) -> dict[str, float]:
        with torch.no_grad():
            self.model[0].bias += 1e-3
        return dict(super().evaluate(split))


class NotRepeatable(Good):
    def __init__(self, seed: int, lr: float = 1e-2) -> None:
        super().__init__(int(np.random.default_rng().integers(2**31)), lr)


class TaskForgotten(Good):
    def evaluate(self, split: str) -> dict[str, float]:
        return {"small": super().evaluate(split)["small"]}


class NothingSaved(Good):
    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch}


class OneEpochACall(Good):
    def train(self, policy: Policy, until_epoch: int) -> None:
        super().train(policy, self.epoch + 1)
        self.epoch = until_epoch


class UntilIsMore(Good):
    """Takes ``until_epoch`` as the number of further epochs."""

    def train(self, policy: Policy, until_epoch: int) -> None:
        super().train(policy, self.epoch + until_epoch)


class UntilIsMoreAndHidden(UntilIsMore):
    def train(self, policy: Policy, until_epoch: int) -> None:
        super().train(policy, until_epoch)
        self.epoch = until_epoch


class FirstWeightsOnly(Good):
    def train(self, policy: Policy, until_epoch: int) -> None:
        super().train(Policy.constant(dict(zip(self.tasks, policy.weights_at(0), strict=True))), until_epoch)


class NewOptimizerACall(Good):
    def train(self, policy: Policy, until_epoch: int) -> None:
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=self.lr)
        super().train(policy, until_epoch)


class NumberKeptAndIgnored(NumberIgnored):
    def __init__(self, seed: int, lr: float = 1e-2) -> None:
        super().__init__(seed)
        self.told = lr

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "settings": {"lr": self.told}}


class SeedOfTheDonor(Good):
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "seed": self.seed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.seed = state["seed"]


class NotANumber(Good):
    def evaluate(self, split: str) -> dict[str, float]:
        return {**super().evaluate(split), "middle": float("nan")}


class NothingReturned(Good):
    def evaluate(self, split: str) -> dict[str, float]:
        return None  # type: ignore[return-value]


FOUND = [
    (SeedIgnored, "another seed makes no difference"),
    (WeightsIgnored, "the weights of the policy make no difference"),
    (NumberIgnored, "lr makes no difference: 0.001 and 0.1 train alike"),
    (NumberOfTheDonor, "after load_state_dict the donor's lr holds"),
    (NotCounted, r"epoch is 0 after train\(policy, 1\)"),
    (NotRestored, "epoch is 0 after load_state_dict of a state of epoch 1"),
    (ModelNotRestored, "ends elsewhere than one that was never stopped"),
    (OptimizerNotRestored, "ends elsewhere than one that was never stopped"),
    (NamedAnew, "ends elsewhere than one that was never stopped"),
    (OwnGenerator, "ends elsewhere than one that was never stopped"),
    (OneEpochACall, r"train\(policy, 2\) trains no further"),
    (UntilIsMore, r"epoch is 3 after train\(policy, 2\)"),
    (UntilIsMoreAndHidden, r"train\(policy, 2\) ends elsewhere"),
    (FirstWeightsOnly, "weights of later epochs make no difference"),
    (NewOptimizerACall, r"train\(policy, 2\) ends elsewhere"),
    (NumberKeptAndIgnored, "lr makes no difference"),
    (SeedOfTheDonor, "a clone with another seed goes on like its donor"),
    (NotANumber, "gives middle the metric nan"),
    (NothingReturned, "returns NoneType, not {task: number}"),
    (Anew, "training begins anew in each call of train"),
    (Changing, "changes the learner's state"),
    (NotRepeatable, "two trainings with the same seed end differently"),
    (TaskForgotten, "gives no metric of middle; .*gives no metric of large"),
    (NothingSaved, r"state_dict\(\) is the same before and after an epoch"),
]


def test_a_sound_learner_passes() -> None:
    report = check(Good, also=LR, strict=True)
    assert report.ok
    assert str(report) == "the learner is as a search needs it (18 epochs trained)"


@pytest.mark.parametrize(("learner", "line"), FOUND, ids=[cls.__name__ for cls, _ in FOUND])
def test_a_broken_promise_is_named(learner: Any, line: str) -> None:
    assert not check(learner, also=LR).ok
    with pytest.raises(RunError, match=line):
        check(learner, also=LR, strict=True)


@pytest.mark.parametrize(("learner", "after"), [(NotCounted, r"train\(policy, 1\)"), (NotRestored, "load_state_dict")])
def test_a_search_refuses_epochs_that_are_not_counted(learner: Any, after: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=f"epoch is 0 after {after}"):
        search(learner, epochs=3, population=4, ready=1, out=tmp_path / "search")


def test_global_generators_need_no_place_in_the_state() -> None:
    class Global(Good):  # type: ignore[misc]
        def train(self, policy: Policy, until_epoch: int) -> None:
            while self.epoch < until_epoch:
                self.seed = int(torch.randint(1000, ()))
                super().train(policy, self.epoch + 1)

    assert check(Global).ok


class Plain(Good):
    """Keeps what a state may hold in kinds of its own, warms up for an epoch, and diverges at high rates."""

    def train(self, policy: Policy, until_epoch: int) -> None:
        while self.epoch < until_epoch:
            if self.lr >= 0.1:
                raise FloatingPointError("diverged")
            weights = policy.weights_at(self.epoch) if self.epoch else np.ones(3) / 3  # even in the warm-up
            super().train(Policy.constant(dict(zip(self.tasks, weights, strict=True))), self.epoch + 1)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "range": (0, 1), "seed": self.seed, "counts": OrderedDict(a=1)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        assert {state["range"]: 1} == {(0, 1): 1}
        state["counts"].move_to_end("a")


class Rounded(Good):
    """Adds the samples of a batch in another order in every training, as a GPU does; a bias before batch norm has no
    gradient but rounding, of which Adam makes whole steps."""

    made = itertools.count()

    def __init__(self, seed: int, lr: float = 1e-2) -> None:
        super().__init__(seed, lr)
        torch.manual_seed(seed)
        hidden = [torch.nn.Linear(10, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU()]
        self.model = torch.nn.Sequential(*hidden, torch.nn.Linear(8, 3))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=lr)
        self.mixed = torch.Generator().manual_seed(next(self.made))

    def train(self, policy: Policy, until_epoch: int) -> None:
        self.model.train()
        while self.epoch < until_epoch:
            weights = torch.tensor(policy.weights_at(self.epoch), dtype=torch.float32)
            for batch in torch.randperm(800, generator=torch.Generator().manual_seed(self.epoch)).split(100):
                batch = batch[torch.randperm(100, generator=self.mixed)]
                losses = ((self.model(own_learner.X[batch]) - own_learner.Y[batch]) ** 2).mean(dim=0)
                self.optimizer.zero_grad()
                (weights * losses).sum().backward()
                self.optimizer.step()
            self.epoch += 1

    def evaluate(self, split: str) -> dict[str, float]:
        self.model.eval()
        return dict(super().evaluate(split))


@pytest.mark.parametrize("learner", [Plain, Rounded])
def test_sound_learners_of_other_kinds_pass(learner: Any) -> None:
    assert check(learner, also={"lr": "log:1e-3:1e-1"}).lines == ()


class Regressors:
    """scikit-learn's stochastic gradient descent, one model a task, whose weight is that of its samples."""

    tasks = ("a", "b")
    kept = ("coef_", "intercept_", "t_")  # the last is the number of updates, by which its learning rate falls

    def __init__(self, seed: int, alpha: float = 1e-4) -> None:
        from sklearn.linear_model import SGDRegressor

        self.models = {task: SGDRegressor(alpha=alpha, random_state=seed) for task in self.tasks}
        self.seed, self.epoch = seed, 0
        draw = np.random.default_rng(0)
        self.x = draw.normal(size=(200, 5))
        self.y = {task: self.x @ draw.normal(size=5) + draw.normal(size=200) for task in self.tasks}

    def train(self, policy: Policy, until_epoch: int) -> None:
        for epoch in range(self.epoch, until_epoch):
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.x))
            for task, weight in zip(self.tasks, policy.reorder(self.tasks).weights_at(epoch), strict=True):
                weights = np.full(len(order), weight)
                self.models[task].partial_fit(self.x[order], self.y[task][order], sample_weight=weights)
        self.epoch = until_epoch

    def evaluate(self, split: str) -> dict[str, float]:
        return {task: float(model.score(self.x, self.y[task])) for task, model in self.models.items()}

    def state_dict(self) -> dict[str, Any]:
        own = {t: [np.asarray(getattr(m, k, 0.0)).tolist() for k in self.kept] for t, m in self.models.items()}
        return {"epoch": self.epoch, "models": own}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch = state["epoch"]
        for task, model in self.models.items():
            for key, value in zip(self.kept, state["models"][task], strict=True):
                setattr(model, key, np.array(value) if key != "t_" else value)


class UpdatesForgotten(Regressors):
    kept = ("coef_", "intercept_")


def test_a_learner_of_scikit_learn_passes_if_it_keeps_the_number_of_updates() -> None:
    assert check(Regressors, also={"alpha": "log:1e-4:1e-1"}).lines == ()
    assert "never stopped" in str(check(UpdatesForgotten))


@pytest.mark.filterwarnings("default")
def test_a_module_of_lightning_whose_optimiser_has_a_rate_of_its_own_is_found() -> None:
    lightning = pytest.importorskip("lightning.pytorch")

    class Module(lightning.LightningModule):  # type: ignore[misc,name-defined]
        def __init__(self, fixed: bool, lr: float) -> None:
            super().__init__()
            self.model, self.fixed, self.lr = torch.nn.Linear(10, 3), fixed, lr
            self.weights = torch.ones(3)

        def training_step(self, batch: Any, index: int) -> Any:
            return (self.weights * ((self.model(batch[0]) - batch[1]) ** 2).mean(dim=0)).sum()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.01 if self.fixed else self.lr)

    class Trained(Good):  # type: ignore[misc]
        fixed = False

        def __init__(self, seed: int, lr: float = 1e-2) -> None:
            torch.manual_seed(seed)
            self.seed, self.epoch, self.module = seed, 0, Module(self.fixed, lr)
            self.model = self.module.model

        def train(self, policy: Policy, until_epoch: int) -> None:
            for epoch in range(self.epoch, until_epoch):
                self.module.weights = torch.tensor(policy.weights_at(epoch), dtype=torch.float32)
                draw = torch.Generator().manual_seed(1000 * epoch + self.seed)
                data = torch.utils.data.TensorDataset(own_learner.X[:800], own_learner.Y[:800])
                loader = torch.utils.data.DataLoader(data, 100, shuffle=True, generator=draw)
                quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
                lightning.Trainer(max_epochs=1, accelerator="cpu", enable_model_summary=False, **quiet).fit(
                    self.module, loader
                )
            self.epoch = until_epoch

        def state_dict(self) -> dict[str, Any]:
            return {"epoch": self.epoch, "model": self.model.state_dict()}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.epoch = state["epoch"]
            self.model.load_state_dict(state["model"])

    class Fixed(Trained):
        fixed = True

    assert check(Trained, also=LR).lines == ()
    assert "lr makes no difference" in str(check(Fixed, also=LR))
