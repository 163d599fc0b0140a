"""The page on architectures times methods: made of what is finished, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import load

page = load("results/sharing.py")


def tiny(name: str, sharing: tuple[str, ...], methods: tuple[str, ...]):
    settings = {"batch_size": 4096, "model.widths": [4]}
    return page.Setting(name, "tiny", sharing, methods, 1, settings, (0.01,))


@pytest.mark.slow
def test_the_page_has_rows_and_verdicts_of_finished_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"rand-hie": tiny("rand-hie", ("hard", "mmoe"), ("uniform", "inverse-constant"))}
    settings["rand-hie-sites"] = tiny("rand-hie-sites", ("hard", "mmoe"), ("uniform",))
    monkeypatch.setattr(page, "SETTINGS", settings)
    page.run(tmp_path, ["rand-hie:0", "rand-hie:1"], 10, None)
    text = page.page(tmp_path)
    assert "2 seeds of 5; `run` makes the others, an *illustration*" in text
    assert "None: no data set has three seeds yet." in text
    assert "Not run yet: `scalarize compare rand-hie-sites" in text
    page.run(tmp_path, ["rand-hie:2"], 10, None)
    text = page.page(tmp_path)
    assert "3 seeds of 5" in text
    assert "mmoe is better than hard sharing, rand-hie: " in text
    assert "inverse-constant is better than uniform weights, rand-hie: " in text
    assert "nan" not in text


def test_no_comparison_is_begun_when_the_time_is_over(tmp_path: Path) -> None:
    page.run(tmp_path, ["rand-hie:0"], 0, None)
    assert not list(tmp_path.iterdir())


def test_the_commands_are_those_of_the_command_line() -> None:
    for setting in page.SETTINGS.values():
        assert setting.command.startswith(f"scalarize compare {'--csv ' if setting.is_table else ''}{setting.name}")
        assert f"--sharing {','.join(setting.sharing)}" in setting.command
