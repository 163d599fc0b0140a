"""A crew of processes: what they return, what they do not survive, and what is left of them."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from scalarize.utils.errors import DivergedError, RequestError, RunError
from scalarize.utils.workers.crew import WORTH_IT, Crew
from scalarize.utils.workers.job import Job, LostJobError
from utils.workers.jobs import Die, Double, Environment, Fail, Hang, Peculiar, Setup, Speak, Sum

TESTS = Path(__file__).parents[2]


@pytest.fixture
def crew(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Crew]]:
    """``crew(n)``: a crew whose workers do all jobs, however small."""
    monkeypatch.syspath_prepend(str(TESTS))
    made: list[Crew] = []

    def make(size: int, **more: Any) -> Crew:
        made.append(Crew(more.pop("places", [{}] * size), **more))
        made[-1].expected = lambda: 10 * WORTH_IT
        return made[-1]

    yield make
    for one in made:
        one.close()


def results(crew: Crew, jobs: Sequence[Job]) -> list[Any]:
    """Values or errors, in the order of the jobs."""
    tickets = [crew.submit(job) for job in jobs]
    ended = {ticket: value if error is None else error for ticket, value, error in (crew.next() for _ in jobs)}
    return [ended[ticket] for ticket in tickets]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(true: Callable[[], bool]) -> None:
    """Wait for what must come; a test that never sees it ends by its time limit."""
    while not true():
        time.sleep(0.01)


def test_jobs_are_done_by_other_processes_and_return_their_values(crew: Any) -> None:
    found = results(crew(2), [Job(str(k), Double(k)) for k in range(20)])
    assert [value for value, _ in found] == [2 * k for k in range(20)]
    processes = {process for _, process in found}
    assert len(processes) <= 2
    assert os.getpid() not in processes


def test_a_small_set_is_done_here_and_no_process_begins() -> None:
    crew = Crew([{}] * 4)
    found = results(crew, [Job(str(k), Double(k)) for k in range(3)])
    assert {process for _, process in found} == {os.getpid()}
    assert not crew.desk.begun


def test_one_worker_is_this_process(crew: Any) -> None:
    assert {process for _, process in results(crew(1), [Job("a", Double(1), units=1e9)])} == {os.getpid()}


def test_one_place_on_a_device_is_a_process_that_sees_this_device(crew: Any) -> None:
    found = results(crew(1, places=[{"CUDA_VISIBLE_DEVICES": "3"}]), [Job("a", Environment("CUDA_VISIBLE_DEVICES"))])
    assert found == ["3"]
    assert os.environ.get("CUDA_VISIBLE_DEVICES") != "3"


def test_every_place_has_its_own_surroundings(crew: Any, tmp_path: Path) -> None:
    places = [{"CUDA_VISIBLE_DEVICES": name} for name in ("0", "1", "0", "1")]
    team = crew(4, places=places)
    for k in range(4):
        team.submit(Job(str(k), Hang(tmp_path / str(k))))
    while len(list(tmp_path.glob("[0-9]"))) < 4:
        team.desk.turn(0.05)
    seen = [worker.surroundings["CUDA_VISIBLE_DEVICES"] for worker in team.desk.processes.workers]
    assert sorted(seen) == ["0", "0", "1", "1"]


def test_workers_share_a_setup(crew: Any) -> None:
    team = crew(2, setup="here", packed=lambda: pickle.dumps("there"))
    assert results(team, [Job("a", Setup())]) == ["there"]


def test_what_a_job_emits_is_heard_in_order(crew: Any) -> None:
    heard: list[tuple[str, str, int]] = []
    team = crew(2, listener=lambda job, kind, content: heard.append((job.name, kind, content)))
    results(team, [Job("a", Speak())])
    assert heard == [("a", "word", k) for k in range(3)]


@pytest.mark.parametrize(
    ("fail", "kind", "words"),
    [
        (Fail(DivergedError, ("step 3",)), DivergedError, "step 3"),
        (Fail(RequestError, ("`out`: no",)), RequestError, "no"),
        (Fail(KeyError, ("x",)), KeyError, "x"),
        (Fail(Peculiar, (1, 2)), RunError, "Peculiar: 1 and 2"),
        (Fail(SystemExit, (3,)), RunError, "SystemExit"),
    ],
)
def test_errors_travel(crew: Any, fail: Fail, kind: type, words: str) -> None:
    (found, value) = results(crew(2), [Job("fails", fail), Job("works", Double(1))])
    assert type(found) is kind
    assert words in str(found)
    assert value[0] == 2


def test_a_job_whose_process_dies_is_begun_once_more(crew: Any, tmp_path: Path) -> None:
    assert results(crew(2), [Job("dies", Die(tmp_path, 1)), Job("works", Double(1))])[0] == "alive"


def test_a_job_that_takes_its_process_with_it_twice_is_named_and_the_others_are_done(crew: Any, tmp_path: Path) -> None:
    lost, *others = results(crew(2), [Job("dies", Die(tmp_path, 9)), *(Job(str(k), Double(k)) for k in range(5))])
    assert isinstance(lost, LostJobError)
    assert "dies: the process that ran it ended 2 times" in str(lost)
    assert [value for value, _ in others] == [0, 2, 4, 6, 8]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_coordinating_job_has_its_jobs_done_by_workers(crew: Any) -> None:
    jobs = [Job(f"sum {k}", Sum((1, 2, k)), coordinates=True) for k in range(3)]
    (*sums, alone) = results(crew(2), [*jobs, Job("alone", Double(8))])
    assert [total for total, _ in sums] == [6, 8, 10]
    assert alone[0] == 16


def test_the_error_of_a_coordinated_job_ends_its_coordinator(crew: Any) -> None:
    found, other = results(crew(2), [Job("sum", Sum((1, 2), failing=True), coordinates=True), Job("alone", Double(8))])
    assert isinstance(found, DivergedError)
    assert other[0] == 16


def test_the_longest_goes_first_by_the_last_known_cost(crew: Any) -> None:
    begun: list[str] = []
    team = crew(2, places=[{"A_PLACE": "1"}])  # one worker
    team.desk.changed = lambda job, begins: begun.append(job.name) if begins else None
    team.costs.note(Job("", print, key="slow"), 100.0)
    jobs = [Job("a", Double(1), units=3), Job("b", Double(1), units=2), Job("c", Double(1), units=4, key="slow")]
    results(team, jobs)
    assert begun == ["c", "a", "b"]


def test_jobs_are_forgotten(crew: Any, tmp_path: Path) -> None:
    team = crew(2)
    hanging = team.submit(Job("hangs", Hang(tmp_path / "mark"), units=9))
    waiting = [team.submit(Job(str(k), Double(k))) for k in range(3)]
    while not (tmp_path / "mark").exists():
        team.desk.turn(0.05)
    process = int((tmp_path / "mark").read_text())
    team.cancel([hanging, waiting[2]])
    until(lambda: not alive(process))
    assert {team.next()[0] for _ in range(2)} == set(waiting[:2])
    assert results(team, [Job("later", Double(7))])[0][0] == 14


def test_a_job_that_has_ended_unheard_is_forgotten_too(crew: Any, tmp_path: Path) -> None:
    team = crew(2)
    first, second = (team.submit(Job(str(k), Double(k))) for k in range(2))
    while len(team.desk.ended) < 2:
        team.desk.turn(0.05)
    team.cancel([first])
    assert team.next()[0] == second
    assert results(team, [Job("later", Double(7))])[0][0] == 14


def test_a_death_of_the_template_is_no_end(crew: Any, tmp_path: Path) -> None:
    team = crew(2)
    assert results(team, [Job("first", Double(1))])[0][0] == 2
    team.desk.processes._template.kill()
    team.desk.processes._template.wait()
    assert results(team, [Job("dies", Die(tmp_path, 1)), Job("a", Double(2)), Job("b", Double(3))])[0] == "alive"


def test_a_template_that_dies_but_has_not_ended_is_no_end(crew: Any, tmp_path: Path) -> None:
    team = crew(2)
    assert results(team, [Job("first", Double(1))])[0][0] == 2
    real = team.desk.processes._template

    class Dying:
        """Its sockets are closed, and the system does not yet say that it has ended."""

        def poll(self) -> None:
            return None

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    real.kill()
    real.wait()
    team.desk.processes._template = Dying()
    assert results(team, [Job("dies", Die(tmp_path, 1)), Job("a", Double(2)), Job("b", Double(3))])[0] == "alive"


def test_nothing_is_left_of_a_closed_crew(crew: Any, tmp_path: Path) -> None:
    team = crew(2)
    for k in range(2):
        team.submit(Job(str(k), Hang(tmp_path / str(k))))
    while len(list(tmp_path.glob("[0-9]"))) < 2:
        team.desk.turn(0.05)
    processes = [int((tmp_path / str(k)).read_text()) for k in range(2)]
    assert all(alive(process) for process in processes)
    team.close()
    until(lambda: not any(alive(process) for process in processes))


DRIVER = """
import sys
from pathlib import Path
from scalarize.utils.workers.crew import Crew
from scalarize.utils.workers.job import Job
from utils.workers.jobs import Hang
crew = Crew([{}] * 2)
crew.expected = lambda: 1e9
for k in range(2):
    crew.submit(Job(str(k), Hang(Path(sys.argv[1]) / str(k))))
crew.next()
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_the_process_that_they_work_for(end: int, tmp_path: Path) -> None:
    paths = os.pathsep.join([str(TESTS.parent / "src"), str(TESTS)])
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(tmp_path)], env=os.environ | {"PYTHONPATH": paths})
    until(lambda: len(list(tmp_path.glob("[0-9]"))) == 2)
    processes = [int((tmp_path / str(k)).read_text()) for k in range(2)]
    assert all(alive(process) for process in processes)
    driver.send_signal(end)
    assert driver.wait() != 0
    until(lambda: not any(alive(process) for process in processes))
    assert not any(alive(process) for process in processes)


def test_next_without_a_job_is_an_error(crew: Any) -> None:
    with pytest.raises(ValueError, match="no job"):
        crew(2).next()
