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


@pytest.mark.parametrize("rates", [(0.001, 0.01, 0.1), (0.001, 0.01), (0.01, 0.1)])
def test_a_claim_on_a_best_rate_at_the_edge_is_not_supported(rates: tuple[float, ...], tmp_path: Path) -> None:
    found = [
        {"method": f"uniform@{name}", "group": None, "seed": seed, "rate": 0.01, "test": {"a": value}}
        | {"average": value + 0.001 * seed, "validation": value, "diverged": []}
        for seed in range(3)
        for name, value in (("hard", 0.5), ("mmoe", 0.6 + 0.0001 * seed))
    ]
    setting = page.Setting("rand-hie", "none", ("hard", "mmoe"), ("uniform",), 1, {}, rates)
    lines = page.on_trial({"rand-hie": (setting, found)})
    said = "supported." if len(rates) == 3 else "undecided (the best learning rate of uniform@hard, uniform@mmoe is"
    assert lines[0].startswith(f"- mmoe is better than hard sharing, rand-hie: {said}")


def test_the_page_shows_what_the_benchmark_printed(tmp_path: Path) -> None:
    assert "Not measured yet: `python benchmarks/sharing_cost.py`." in page.page(tmp_path)
    (tmp_path / "cost.txt").write_text("hard  1.0\n")
    assert page.page(tmp_path).endswith("```text\nhard  1.0\n```\n")
