"""The Trainer of Hugging Face with a Balancer ends where a training by hand with reference gradients ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("accelerate")
transformers = pytest.importorskip("transformers")

import stacks_hand as hand  # noqa: E402
import stacks_loops as loops  # noqa: E402

import scalarize  # noqa: E402
from scalarize.integrations import BalancedTrainer, BalancedTrainerMixin  # noqa: E402
from scalarize.utils.errors import RequestError  # noqa: E402

# What other projects warn about themselves is theirs to mend.
pytestmark = pytest.mark.filterwarnings("default")

CHECKED = [
    ("Trainer, max_grad_norm=1", "nash-mtl", "representation"),
    ("Trainer, its default optimiser adamw_torch_fused", "pcgrad", "parameters"),
    ("Trainer, accumulation 2 over 5 batches (last window shorter)", "famo", "parameters"),
    ("Trainer, accumulation 2 over 5 batches (last window shorter)", "mgda", "parameters"),
    ("Trainer, bf16", "cagrad", "parameters"),
    ("Trainer, gradient_checkpointing", "imtl-g", "parameters"),
    ("Trainer, resume_from_checkpoint", "famo", "parameters"),
    ("Trainer, resume_from_checkpoint", "uncertainty", "parameters"),
]


@pytest.mark.parametrize(("name", "method", "level"), CHECKED, ids=lambda x: str(x))
def test_the_parameters_end_where_the_reference_ends(name: str, method: str, level: str) -> None:
    loop, tolerance = loops.LOOPS[name]
    assert loop(method, level) < tolerance


def test_schedule_free_optimisers_are_put_into_training_mode() -> None:
    pytest.importorskip("schedulefree")
    loop, tolerance = loops.LOOPS["Trainer, schedule_free_sgd"]
    assert loop("pcgrad", "parameters") < tolerance


def arguments(folder: Path, **more: Any) -> Any:
    usual = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "max_steps": 2, "save_strategy": "no"}
    return transformers.TrainingArguments(str(folder), per_device_train_batch_size=4, **usual | more)


def data() -> list[dict[str, torch.Tensor]]:
    batch = hand.batches(1)[0]
    return [{k: v[i] for k, v in batch.items()} for i in range(hand.ROWS)]


def test_losses_and_weights_of_the_tasks_are_logged(tmp_path: Path) -> None:
    net = hand.Net()
    settings = arguments(tmp_path, logging_steps=1)
    trainer = BalancedTrainer(net, settings, train_dataset=data(), balancer=loops.balancer(net, "mgda", "parameters"))
    trainer.train()
    first = trainer.state.log_history[0]
    by_task = [first[f"loss/{task}"] for task in "abc"]
    assert first["loss"] == pytest.approx(sum(by_task), rel=1e-3)
    assert sum(first[f"weight/{task}"] for task in "abc") == pytest.approx(1, abs=1e-4)


def test_a_function_makes_the_balancer_of_each_model(tmp_path: Path) -> None:
    made = []

    def make(model: torch.nn.Module) -> scalarize.Balancer:
        made.append(model)
        return loops.balancer(model, "pcgrad", "parameters")

    trainer = BalancedTrainer(args=arguments(tmp_path), model_init=hand.Net, train_dataset=data(), balancer=make)
    trainer.train()
    trainer.train()
    assert len(made) == 2
    assert made[0] is not made[1]
    assert trainer.balancer.shared[0] is trainer.model.enc[0].weight


def test_the_epoch_is_told_to_the_method(tmp_path: Path) -> None:
    net = hand.Net()
    balancer = loops.balancer(net, "dwa", "parameters")
    settings = arguments(tmp_path, max_steps=-1, num_train_epochs=3)
    BalancedTrainer(net, settings, train_dataset=data(), balancer=balancer).train()
    assert balancer.epoch == 2


def test_a_checkpoint_without_the_methods_state_is_said(tmp_path: Path) -> None:
    net = hand.Net()
    settings = arguments(tmp_path, save_strategy="steps", save_steps=1, max_steps=1)
    BalancedTrainer(net, settings, train_dataset=data(), balancer=loops.balancer(net, "famo", "parameters")).train()
    (tmp_path / "checkpoint-1" / "balancer.pt").unlink()
    again = BalancedTrainer(net, settings, train_dataset=data(), balancer=loops.balancer(net, "famo", "parameters"))
    with pytest.warns(UserWarning, match="has no balancer.pt"):
        again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))


def test_outputs_without_losses_are_refused_in_one_line(tmp_path: Path) -> None:
    class Without(hand.Net):
        def forward(self, x: Any, y: Any, c: Any) -> dict[str, Any]:
            return {"loss": super().forward(x, y, c)["loss"]}

    net = Without()
    balancer = loops.balancer(net, "mgda", "parameters")
    trainer = BalancedTrainer(net, arguments(tmp_path), train_dataset=data(), balancer=balancer)
    with pytest.raises(RequestError, match="override compute_losses"):
        trainer.train()


def test_an_overridden_hook_makes_the_losses(tmp_path: Path) -> None:
    class Mine(BalancedTrainer):
        def compute_losses(self, model: torch.nn.Module, inputs: dict[str, Any]) -> Any:
            out = model(**inputs)
            return {"a": out["losses"]["a"], "b": None, "c": out["losses"]["c"]}

    net = hand.Net()
    trainer = Mine(net, arguments(tmp_path), train_dataset=data(), balancer=loops.balancer(net, "mgda", "parameters"))
    trainer.train()
    assert trainer.used is not None
    assert trainer.used.weights is not None
    assert trainer.used.weights.isnan().tolist() == [False, True, False]


class Counting(transformers.Trainer):
    """As the Trainers of TRL: its steps open contexts and count, and its loss is the policy's."""

    entered = 0

    def training_step(self, *arguments: Any, **options: Any) -> Any:
        self.entered += 1
        return super().training_step(*arguments, **options)

    def compute_loss(self, model: torch.nn.Module, inputs: Any, *_: Any, **__: Any) -> Any:
        return model(**inputs)["losses"]["a"]


def test_the_steps_and_the_loss_of_another_trainer_are_kept(tmp_path: Path) -> None:
    class Mine(BalancedTrainerMixin, Counting):
        def compute_losses(self, model: torch.nn.Module, inputs: dict[str, Any]) -> Any:
            out = model(**inputs)
            return {"a": self.compute_loss(model, inputs), "b": out["losses"]["b"], "c": out["losses"]["c"]}

    def end(kind: Any) -> Any:
        torch.manual_seed(0)
        net = hand.Net()
        settings = arguments(tmp_path, gradient_accumulation_steps=2)
        trainer = kind(net, settings, train_dataset=data(), balancer=loops.balancer(net, "mgda", "parameters"))
        trainer.train()
        assert "backward" not in vars(trainer.accelerator)
        return trainer, [p.detach() for p in net.parameters()]

    (counting, mine), (_, usual) = end(Mine), end(BalancedTrainer)
    assert counting.entered == 4
    assert all(torch.equal(p, q) for p, q in zip(mine, usual, strict=True))


@pytest.mark.parametrize("with_backward", [True, False])
def test_a_trainer_that_makes_its_loss_elsewhere_is_refused(tmp_path: Path, with_backward: bool) -> None:
    class Alone(transformers.Trainer):
        def training_step(self, model: torch.nn.Module, inputs: Any, *_: Any, **__: Any) -> Any:
            loss = model(**inputs)["losses"]["a"]
            if with_backward:
                self.accelerator.backward(loss)
            else:
                loss.backward()
            return loss.detach()

    class Mine(BalancedTrainerMixin, Alone):
        pass

    net = hand.Net()
    trainer = Mine(net, arguments(tmp_path), train_dataset=data(), balancer=loops.balancer(net, "mgda", "parameters"))
    with pytest.raises(RequestError, match="makes its loss or backward itself"):
        trainer.train()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: setattr(t.args, "_n_gpu", 2), "nn.DataParallel splits the losses"),
        (lambda t: setattr(t.args, "optim", "adalomo"), "LOMO steps inside backward"),
        (lambda t: setattr(t, "compute_loss_func", print), "compute_loss_func= makes one loss"),
        (lambda t: setattr(t.args, "label_smoothing_factor", 0.1), "label_smoothing_factor= smooths a loss"),
    ],
)
def test_loops_that_run_backward_themselves_are_refused(tmp_path: Path, change: Any, said: str) -> None:
    net = hand.Net()
    balancer = loops.balancer(net, "mgda", "parameters")
    trainer = BalancedTrainer(net, arguments(tmp_path), train_dataset=data(), balancer=balancer)
    change(trainer)
    with pytest.raises(RequestError, match=said):
        trainer.training_step(net, {})


def test_another_thing_than_a_balancer_is_refused() -> None:
    with pytest.raises(RequestError, match="must be a Balancer or a function"):
        BalancedTrainer(hand.Net(), balancer="mgda")
