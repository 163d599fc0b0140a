"""Searches over Ray workers give the bytes of a search in one process, whatever dies on the way."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
import torch

import scalarize
from scalarize.search.executors import ray_start
from scalarize.search.executors.ray_executor import RayExecutor
from scalarize.utils.errors import RequestError, RunError
from scalarize.weights.policy import Policy

pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


class TwoTasks:
    """A small real training: one layer, two regressions; weights matter and so does every random draw.

    ``marks`` (a directory): each training leaves a file named by its process, and those of slow ones take ``pause``.
    """

    tasks = ("a", "b")

    def __init__(self, seed, marks=None, pause=0.0):
        self.seed, self.epoch, self.marks, self.pause = seed, 0, marks, pause
        self.model = torch.nn.Linear(64, 2, bias=False)
        with torch.no_grad():
            self.model.weight.copy_(self._draw(-1, 2, 64) / 8)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9)

    def _draw(self, epoch, *shape):
        return torch.randn(*shape, generator=torch.Generator().manual_seed(hash((self.seed, epoch)) % 2**31))

    def train(self, policy: Policy, until_epoch: int) -> None:
        if self.marks is not None:
            (Path(self.marks) / f"{os.getpid()}-{time.monotonic_ns()}").touch()
            time.sleep(self.pause)
        for epoch in range(self.epoch, until_epoch):
            x = self._draw(epoch, 32, 64)
            error = self.model(x) - torch.stack([x.sin().sum(1), x.cos().sum(1)], dim=1)
            loss = (error**2).mean(0) @ torch.tensor(policy.weights_at(epoch), dtype=torch.float32)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        self.epoch = until_epoch

    def evaluate(self, split):
        x = torch.randn(256, 64, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            error = self.model(x) - torch.stack([x.sin().sum(1), x.cos().sum(1)], dim=1)
        return dict(zip(self.tasks, (-(error**2).mean(0)).tolist(), strict=True))

    def state_dict(self):
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "epoch": self.epoch}

    def load_state_dict(self, state):
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]


class Broken(TwoTasks):
    """Its training raises, or ends its process."""

    how = "raise"

    def train(self, policy, until_epoch):
        if self.how == "raise":
            raise RunError("the data is gone")
        os._exit(1)


@pytest.fixture(autouse=True)
def by_value():
    """Workers cannot import the tests: what they need of this module travels with the factory."""
    import sys

    ray = ray_start.load()
    module = sys.modules[__name__]
    ray.cloudpickle.register_pickle_by_value(module)
    yield
    ray.cloudpickle.unregister_pickle_by_value(module)


@pytest.fixture(scope="module")
def shared_ray():
    """One Ray for the tests that need no faults; two slots."""
    started = ray_start.start(None, cpus=2)
    yield
    if started:
        ray_start.stop()


def search(out, executor=None, factory=TwoTasks, **settings):
    torch.set_num_threads(1)
    scalarize.search(factory, epochs=6, population=4, ready=2, seed=1, out=out, executor=executor, **settings)
    return (out / "policy.json").read_bytes(), (out / "lineage.jsonl").read_bytes()


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return search(tmp_path_factory.mktemp("local") / "out")


@pytest.mark.parametrize("through", ["objects", pytest.param("directory", marks=pytest.mark.slow)])
def test_two_workers_give_the_bytes_of_one_process(shared_ray, tmp_path, expected, through):
    assert search(tmp_path / "out", RayExecutor(TwoTasks, workers=2, through=through)) == expected


@pytest.mark.slow
def test_workers_keep_states_behind_a_url(shared_ray, tmp_path, expected):
    executor = RayExecutor(TwoTasks, workers=2, through="directory")
    assert search(tmp_path / "out", executor, checkpoints=f"file://{tmp_path}/states") == expected
    assert [path for path in (tmp_path / "states").rglob("*") if path.is_file()] == []


@pytest.mark.slow
def test_search_begun_in_one_process_goes_on_over_workers(shared_ray, tmp_path, expected):
    out = tmp_path / "out"
    done = []

    def stop(progress):
        done.append(progress)
        if progress.generation == 1 and len(done) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(out, progress=stop)
    assert search(out, RayExecutor(TwoTasks, workers=2), resume=True) == expected


def test_what_a_learner_raises_is_raised_here(shared_ray, tmp_path):
    with pytest.raises(RunError, match="the data is gone"):
        search(tmp_path / "out", RayExecutor(Broken, workers=2), factory=Broken)


@pytest.mark.slow
def test_training_that_always_ends_its_worker_ends_the_search(shared_ray, tmp_path):
    class Fatal(Broken):
        how = "exit"

    with pytest.raises(RunError, match="3 workers were lost"):
        search(tmp_path / "out", RayExecutor(Fatal, workers=1), factory=Fatal)


def test_killed_worker_changes_nothing(shared_ray, tmp_path, expected):
    marks = tmp_path / "marks"
    marks.mkdir()

    def slow(seed):
        return TwoTasks(seed, marks=str(marks), pause=0.3)

    killed = []

    def kill():
        while len(list(marks.iterdir())) < 6:
            time.sleep(0.02)
        killed.append(int(max(marks.iterdir(), key=lambda p: p.stat().st_mtime_ns).name.split("-")[0]))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    result = search(tmp_path / "out", RayExecutor(slow, workers=2), factory=slow)
    killer.join()
    assert len(list(marks.iterdir())) > 12  # a training was done twice
    assert killed[0] != os.getpid()
    assert result == expected


def test_without_a_barrier_nothing_is_lost_and_its_events_give_its_bytes(shared_ray, tmp_path):
    out = tmp_path / "out"
    found = search(out, RayExecutor(TwoTasks, workers=2), asynchronous=True)
    (out / "policy.json").unlink()
    (out / "lineage.jsonl").unlink()
    assert search(out, resume=True, asynchronous=True) == found


@pytest.mark.slow
def test_lost_node_changes_nothing(tmp_path, expected):
    """Three nodes of one worker each; one is killed in the middle of a generation."""
    if ray_start.load().is_initialized():
        ray_start.stop()
    from ray.cluster_utils import Cluster

    marks = tmp_path / "marks"
    marks.mkdir()

    def slow(seed):
        return TwoTasks(seed, marks=str(marks), pause=1.0)

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    removed = []

    def remove():
        while len(list(marks.iterdir())) < 6:
            time.sleep(0.02)
        cluster.remove_node(nodes[0], allow_graceful=False)
        removed.append(len(list(marks.iterdir())))

    remover = threading.Thread(target=remove)
    remover.start()
    try:
        executor = RayExecutor(slow, workers=3, address=cluster.address)
        result = search(tmp_path / "out", executor, factory=slow)
        remover.join()
    finally:
        ray_start.stop()
        cluster.shutdown()
    assert removed
    assert removed[0] < 12 < len(list(marks.iterdir()))  # in the middle, and what was lost was trained again
    assert result == expected


def test_impossible_requests_are_refused():
    for wrong in ({"workers": 0}, {"threads_per_member": 0}, {"gpus_per_member": -1.0}, {"through": "pigeon"}):
        with pytest.raises(RequestError):
            RayExecutor(TwoTasks, **wrong)
