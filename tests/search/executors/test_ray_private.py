"""The Ray that a search starts on this machine lets nobody else in, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scalarize.search.executors import ray_private, ray_start
from scalarize.search.executors.ray_executor import RayExecutor
from scalarize.search.toy_problems import Stationary
from scalarize.utils.errors import RequestError

pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
VARIABLES = (ray_private.MODE, ray_private.PATH, ray_private.TOKEN, ray_private.CLUSTER)
CALL = [sys.executable, "-c", "from scalarize.cli import main; main()"]
SEARCH = ["search", "--csv", "mine.csv", "--targets", "a,b", "--epochs", "6", "--population", "4", "--ready", "2"]
STRANGER = """
import os, sys
import grpc
ask = grpc.insecure_channel(sys.argv[1]).unary_unary("/ray.rpc.NodeInfoGcsService/GetAllNodeInfo")
token = sys.stdin.read()
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
for metadata in ((), (("authorization", "Bearer " + "0" * 64),), (("authorization", "Bearer " + token),)):
    try:
        ask(b"", timeout=30, metadata=metadata)
        print("in")
    except grpc.RpcError as error:
        print(error.code().name)
for look in (lambda: os.listdir(sys.argv[2]), lambda: open(sys.argv[2] + "/token").read()):
    try:
        print(look())
    except PermissionError:
        print("not allowed")
"""


def home_token() -> Path:
    return Path.home() / ".ray" / "auth_token"


def test_a_token_that_the_user_names_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray_start.stop()  # as it reads its token anew
    monkeypatch.setenv(ray_private.PATH, str(tmp_path / "mine"))
    own = ray_private.prepare()
    try:
        assert os.environ[ray_private.PATH] == str(tmp_path / "mine")
        assert not (own.folder / "token").exists()
    finally:
        own.close()
    assert not own.folder.exists()


def test_what_a_killed_process_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray_start.stop()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own = ray_private.prepare()
    left = own.folder.with_name(f"{ray_private.PREFIX}left")
    (left / "ray").mkdir(parents=True)
    foreign = tmp_path / "other"
    foreign.mkdir()
    (tmp_path / f"{ray_private.PREFIX}link").symlink_to(foreign)
    ray_private.prepare().close()
    assert not left.exists()
    assert own.folder.exists()  # its process holds it
    assert foreign.exists()
    own.close()


@pytest.fixture(scope="module")
def private() -> Iterator[ray_private.PrivateRay]:
    ray_start.stop()
    known = home_token().exists(), {key: os.environ.get(key) for key in VARIABLES}
    assert ray_start.start(None, cpus=1)
    (own,) = ray_start._STARTED
    yield own
    ray_start.stop()
    assert not own.folder.exists()
    assert (home_token().exists(), {key: os.environ.get(key) for key in VARIABLES}) == known


def test_its_files_are_its_own(private: ray_private.PrivateRay) -> None:
    assert private.folder.stat().st_mode & 0o777 == 0o700
    token = private.folder / "token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert len(token.read_text()) == 64
    assert (private.folder / "ray").is_dir()


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux")
def test_it_listens_on_loopback_alone(private: ray_private.PrivateRay) -> None:
    own = {os.getpid()}
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    while more := {child for child, parent in parents.items() if parent in own} - own:
        own |= more
    sockets = set()
    for process in own:
        for number in Path(f"/proc/{process}/fd").glob("*"):
            try:
                sockets.add(os.readlink(number))
            except OSError:
                continue
    loopback = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    listening = [row[1].partition(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]
    assert len(listening) >= 4  # those of the control store, the node and this process among them
    assert set(listening) <= loopback


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can be another user")
def test_another_user_is_refused_without_the_token(private: ray_private.PrivateRay) -> None:
    pytest.importorskip("grpc")
    address = ray_start.load().get_runtime_context().gcs_address
    token = (private.folder / "token").read_text()
    words = [sys.executable, "-c", STRANGER, address, str(private.folder)]
    said = subprocess.run(words, input=token, capture_output=True, text=True, timeout=120, cwd="/", check=True).stdout
    assert said.splitlines() == ["UNAUTHENTICATED", "UNAUTHENTICATED", "in", "not allowed", "not allowed"]


def test_it_keeps_the_handler_of_sigterm(private: ray_private.PrivateRay) -> None:
    assert signal.getsignal(signal.SIGTERM) is ray_private._end
    with pytest.raises(SystemExit) as stop:
        ray_private._end(signal.SIGTERM, None)
    assert stop.value.code == 143


def test_states_in_memory_are_refused_before_anything_is_trained(
    private: ray_private.PrivateRay, tmp_path: Path
) -> None:
    import scalarize

    executor = RayExecutor(Stationary, workers=1, through="directory")
    with pytest.raises(RequestError, match="workers do not see the memory of this process"):
        scalarize.search(Stationary, epochs=4, executor=executor, checkpoints="memory://x", out=tmp_path / "s")


def start(place: Path, *words: str, **surroundings: str) -> Any:
    rows = "".join(f"{k % 2},{k * 7 % 10 / 3},{k * 3 % 11}\n" for k in range(60))
    (place / "mine.csv").write_text("a,b,x\n" + rows)
    return subprocess.Popen(
        [*CALL, *SEARCH, *words],
        cwd=place,
        env=os.environ | {"TMPDIR": "/tmp"} | surroundings,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for_a_checkpoint(process: Any, out: Path) -> None:
    while not list(out.rglob("member-*.pt")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def left_by(process: Any) -> list[Path]:
    return [
        p for p in Path("/tmp").glob(f"{ray_private.PREFIX}*") if str(process.pid) in "".join(map(str, p.rglob("*")))
    ]


@pytest.mark.slow
def test_a_search_that_is_asked_to_end_ends_with_a_line_and_leaves_nothing(tmp_path: Path) -> None:
    process = start(tmp_path, "--ray-address", "local", "--workers", "2", "--out", "s")
    wait_for_a_checkpoint(process, tmp_path / "s")
    assert left_by(process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert err.splitlines()[-1].startswith("scalarize: interrupted; what is finished is kept, go on with: scalarize")
    assert not left_by(process)


@pytest.mark.slow
def test_a_driver_that_is_killed_goes_on_with_another_number_of_workers(tmp_path: Path) -> None:
    whole = start(tmp_path, "--out", "whole", SCALARIZE_WORKERS="1")
    assert whole.wait(timeout=300) == 0
    process = start(tmp_path, "--ray-address", "local", "--workers", "2", "--out", "s")
    wait_for_a_checkpoint(process, tmp_path / "s")
    process.kill()
    process.communicate()
    again = start(tmp_path, "--ray-address", "local", "--workers", "1", "--out", "s", "--resume")
    _, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    for name in ("policy.json", "lineage.jsonl"):
        assert (tmp_path / "s" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not left_by(process)
