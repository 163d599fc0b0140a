"""Files that survive crashes: claims, rows, locks, checkpoints from strangers."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from scalarize.runs import policy_from_run
from scalarize.runs.directory import Records, claim, read_config
from scalarize.utils import files
from scalarize.utils.errors import RequestError, RunError


def test_claim_refuses_resumes_and_names_the_difference(tmp_path: Path) -> None:
    out = tmp_path / "r"
    assert claim(out, "train", {"a": 1}, False, "cmd") is False
    assert claim(out, "train", {"a": 1}, True, "cmd") is True
    with pytest.raises(RequestError, match="already holds a run"):
        claim(out, "train", {"a": 1}, False, "cmd")
    with pytest.raises(RequestError, match="a was 1, now 2"):
        claim(out, "train", {"a": 2}, True, "cmd")
    with pytest.raises(RequestError, match="holds a training, not a search"):
        claim(out, "search", {"a": 1}, True, "cmd")
    (tmp_path / "file").write_text("x")
    with pytest.raises(RequestError, match="is a file"):
        claim(tmp_path / "file", "train", {}, False, "cmd")


@pytest.mark.parametrize("content", ["", "- 1", "{", "format: other", "a: !!python/object:os.system x", "\x00"])
def test_a_damaged_configuration_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(RequestError, match=r"config\.yaml"):
        read_config(tmp_path)


def test_a_line_cut_short_is_left_out_and_any_other_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    files.append_lines(path, [{"a": 1}, {"a": 2}])
    with open(path, "ab") as handle:
        handle.write(b'{"a": 3')
    assert files.read_lines(path) == [{"a": 1}, {"a": 2}]
    path.write_text('{"a": 1}\nnot json\n{"a": 3}\n')
    with pytest.raises(RequestError, match="line 2"):
        files.read_lines(path)


def test_records_are_cut_back_to_a_checkpoint(tmp_path: Path) -> None:
    log = Records(tmp_path)
    log.append([{"a": 1}])
    size = log.size()
    log.append([{"a": 2}])
    log.truncate(size)
    assert log.read() == [{"a": 1}]


def test_a_second_process_is_locked_out_and_a_dead_one_is_not(tmp_path: Path) -> None:
    code = f"from scalarize.utils import files\nwith files.lock({str(tmp_path)!r}): pass"
    with files.lock(tmp_path):
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert other.returncode != 0
        assert "another process" in other.stderr
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_failed_write_leaves_the_old_file_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = files.write_text(tmp_path / "f", "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="No space left"):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


class Malicious:
    def __reduce__(self) -> Any:
        return (os.system, ("touch pwned",))


def test_a_strangers_checkpoint_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw.pt").write_bytes(pickle.dumps(Malicious()))
    torch.save({"model": Malicious()}, tmp_path / "torch.pt")
    for name in ("raw.pt", "torch.pt"):
        with pytest.raises(RequestError, match=name):
            files.load_tensors(tmp_path / name)
    assert not (tmp_path / "pwned").exists()


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    path = files.save_tensors(tmp_path / "c.pt", {"x": torch.ones(1000)})
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(RequestError, match=r"c\.pt"):
        files.load_tensors(path)


def weight_rows(values: list[list[float]], steps: int) -> list[dict[str, Any]]:
    """One row of weights at the first step of each entry's half epoch, and the losses that end an epoch."""
    rows = []
    for k, weights in enumerate(values):
        step = k * steps // 2
        rows += [
            {"step": step, "epoch": k // 2, "split": "train", "task": t, "metric": "weight", "value": w}
            for t, w in zip("ab", weights, strict=True)
        ]
    last = len(values) // 2
    end = {"step": last * steps, "epoch": last, "split": "train", "task": "a", "metric": "loss", "value": 1.0}
    return [*rows, end]


def run(tmp_path: Path, values: list[list[float]]) -> Path:
    claim(tmp_path, "train", {}, False, "cmd")
    Records(tmp_path).append(weight_rows(values, 4))
    return tmp_path


def test_a_runs_policy_averages_over_each_epoch_and_keeps_the_scale(tmp_path: Path) -> None:
    policy, clipped = policy_from_run.policy_of_run(run(tmp_path, [[1, 3], [3, 1], [6, 2], [6, 2]]))
    assert clipped == 0
    assert [s.weights for s in policy.segments] == [(0.5, 0.5), (0.75, 0.25)]
    assert [s.scale for s in policy.segments] == [4.0, 8.0]


def test_negative_weights_are_clipped_counted_and_refused_above_a_tenth(tmp_path: Path) -> None:
    policy, clipped = policy_from_run.policy_of_run(run(tmp_path / "few", [[9.5, -0.5], [9.5, -0.5]]))
    assert clipped == pytest.approx(0.05)
    assert policy.segments[0].weights == (1.0, 0.0)
    with pytest.raises(RequestError, match="misrepresent"):
        policy_from_run.policy_of_run(run(tmp_path / "many", [[8, -2], [8, -2]]))
