"""Tables on the command line: splits, domains, the table's fingerprint, and what is said before training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

SMALL = ("--set", "model.width=8", "--set", "model.members=2", "--set", "model.depth=1")
OWN = ("--csv", "mine.csv", "--targets", "price,sold", "--epochs", 2, *SMALL)


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(60), 5)
    x = rng.normal(size=300)
    found = pd.DataFrame(
        {
            "x": x,
            "shop": rng.choice(["north", "south"], 300),
            "person_id": person,
            "day": pd.date_range("2020-01-01", periods=300).astype(str),
            "part": rng.permutation(["train"] * 180 + ["validation"] * 60 + ["test"] * 60),
            "price": 50_000 + 9_000 * x + rng.normal(size=300),
            "sold": np.where(x + rng.normal(size=300) > 0, "yes", "no"),
        }
    )
    found.to_csv(tmp_path / "mine.csv", index=False)
    return found


@pytest.mark.parametrize("command_name", ["train", "search", "compare"])
def test_every_command_says_first_what_it_understood(command: Any, frame: pd.DataFrame, command_name: str) -> None:
    more = {
        "search": ("--population", 2, "--algorithm", "random"),
        "compare": ("--methods", "uniform", "--seeds", 1),
    }.get(command_name, ())
    answer = command(command_name, *OWN, *more, "--out", "r")
    assert answer.status == 0, answer.err
    lines = answer.err.splitlines()
    assert lines[0].startswith("mine.csv: 300 rows, split at random, stratified, 60/20/20")
    assert lines[1].startswith("target price: regression, ")
    assert lines[2].startswith("target sold: binary (no, yes), ")
    assert lines[3].startswith("inputs: x, shop")
    assert "--groups person_id" in answer.err


def test_a_search_says_its_weights_in_both_units(command: Any, frame: pd.DataFrame) -> None:
    answer = command("search", *OWN, "--population", 2, "--ready", 1, "--out", "s")
    assert "weights at the end, of losses of targets in standard units: price 0." in answer.out
    raw = next(line for line in answer.out.splitlines() if line.startswith("for losses of the raw targets:"))
    weights = json.loads(Path("s/policy.json").read_text())["segments"][-1]["weights"]
    price = float(raw.split("price ")[1].split(",")[0])
    assert price == pytest.approx(weights[0] / frame["price"].std() ** 2, rel=0.25)


def test_groups_of_rows_and_tasks_that_share_a_weight_are_two_things(command: Any, frame: pd.DataFrame) -> None:
    words = ("search", *OWN, "--domain", "shop", "--population", 2, "--algorithm", "random")
    both = ("--groups", "person_id", "--group", "price on north,price on south")
    answer = command(*words, *both, "--out", "s")
    assert answer.status == 0, answer.err
    assert "whole groups of 'person_id'" in answer.err
    weights = json.loads(Path("s/policy.json").read_text())["segments"][-1]["weights"]
    assert weights[0] == pytest.approx(weights[1])
    assert weights[0] != pytest.approx(weights[2])
    assert "groups:" in Path("s/config.yaml").read_text()


# --- splits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--groups", "person_id"), "whole groups of 'person_id'"),
        (("--time", "day"), "by time, in the order of 'day'"),
        (("--split-column", "part"), "as 'part' says: 180 train, 60 validation, 60 test"),
    ],
)
def test_a_split_is_what_was_asked_for(command: Any, frame: pd.DataFrame, option: tuple[str, ...], said: str) -> None:
    answer = command("train", *OWN, *option, "--out", "r")
    assert answer.status == 0, answer.err
    assert said in answer.err
    assert json.loads(Path("r/table.json").read_text())["split"]["how"] in answer.err


def test_several_splits_are_tested_with_their_overlap(command: Any, frame: pd.DataFrame) -> None:
    words = ("compare", *OWN, "--methods", "uniform,single", "--seeds", 1, "--splits", 3, "--out", "c", "--json")
    answer = command(*words)
    assert answer.status == 0, answer.err
    assert {row["splits"] for row in answer.json["rows"]} == {3}
    assert "paired over the 3 splits that both have, corrected for their overlap" in answer.json["verdicts"][0]
    page = command("report", "c")
    assert page.status == 0, page.err
    text = Path("c/report.html").read_text()
    assert text.index("What is predicted, and how well") < text.index("5 methods on")
    assert answer.json["lead"] in text


def test_splits_are_of_tables_and_not_with_a_policy_of_one(command: Any, frame: pd.DataFrame) -> None:
    assert command("search", *OWN, "--population", 2, "--algorithm", "random", "--out", "s").status == 0
    answer = command("compare", *OWN, "--methods", "policy", "--policy", "s/policy.json", "--splits", 2)
    assert answer.status == 2
    assert "the row random-search searches anew in each" in answer.err
    assert (
        "--splits is about the rows of a table"
        in command("compare", "rand-hie", "--methods", "uniform", "--splits", 2).err
    )


def test_a_target_that_no_split_can_measure_is_refused_before_training(command: Any, frame: pd.DataFrame) -> None:
    frame.assign(sold=["yes"] * 2 + ["no"] * 298).to_csv("mine.csv", index=False)
    for words in (("train",), ("search", "--population", 2), ("compare", "--methods", "uniform")):
        answer = command(words[0], *OWN, *words[1:], "--out", "r")
        assert answer.status == 2
        assert answer.err.count("\n") == 1
        assert "'sold': the test split holds only 'no'; 2 rows are 'yes' in all" in answer.err
        assert not Path("r").exists()


def test_rare_labels_are_kept_on_both_sides_of_a_search(command: Any, frame: pd.DataFrame) -> None:
    frame.assign(sold=["yes"] * 6 + ["no"] * 294).to_csv("mine.csv", index=False)
    answer = command("search", *OWN, "--population", 2, "--algorithm", "random", "--out", "s", "--json")
    assert answer.status == 0, answer.err
    assert np.isfinite(answer.json["score"])


# --- missing labels, domains ----------------------------------------------------------------------------------------


def test_missing_labels_are_the_normal_case(command: Any, frame: pd.DataFrame) -> None:
    rng = np.random.default_rng(1)
    frame["price"] = frame["price"].where(rng.random(300) > 0.7)
    frame["sold"] = frame["sold"].where(rng.random(300) > 0.5)
    frame.to_csv("mine.csv", index=False)
    rows = "uniform,single,inverse-constant,mgda"
    answer = command("compare", *OWN, "--methods", rows, "--seeds", 1, "--out", "c", "--json")
    assert answer.status == 0, answer.err
    assert all(np.isfinite(r["average"]["mean"]) for r in answer.json["rows"])
    assert "rows without a label" in answer.err
    assert command("search", *OWN, "--population", 2, "--ready", 1, "--out", "s").status == 0


def test_a_domain_column_gives_weights_to_domains(command: Any, frame: pd.DataFrame) -> None:
    one = ("--csv", "mine.csv", "--targets", "price", "--domain", "shop", "--epochs", 2, *SMALL)
    answer = command("compare", *one, "--methods", "uniform,single,pcgrad", "--seeds", 1, "--json")
    assert answer.status == 0, answer.err
    assert list(answer.json["rows"][0]["tasks"]) == ["north", "south"]
    both = command("train", *OWN, "--domain", "shop", "--json")
    assert set(both.json["test"]) == {f"{t} on {d}" for t in ("price", "sold") for d in ("north", "south")} | {
        "average"
    }


# --- the table's fingerprint ----------------------------------------------------------------------------------------


def test_a_run_goes_on_with_a_renamed_table_and_not_with_a_changed_one(command: Any, frame: pd.DataFrame) -> None:
    assert command("train", *OWN, "--out", "r").status == 0
    Path("mine.csv").rename("renamed.csv")
    renamed = ("--csv", "renamed.csv", *OWN[2:])
    assert command("train", *renamed, "--out", "r", "--resume").status == 0
    config = Path("r/config.yaml").read_text()
    assert "sha256:" in config
    assert "rows: 300" in config
    frame.head(290).to_csv("renamed.csv", index=False)
    answer = command("train", *renamed, "--out", "r", "--resume")
    assert answer.status == 2
    assert "rows: 300 then, 290 now" in answer.err


def test_a_name_changes_no_number(command: Any, frame: pd.DataFrame) -> None:
    first = command("train", *OWN, "--out", "a", "--json").json
    Path("mine.csv").rename("other.csv")
    second = command("train", "--csv", "other.csv", *OWN[2:], "--out", "b", "--json").json
    assert first["test"] == second["test"]


def test_retrain_and_report_refuse_a_changed_table(command: Any, frame: pd.DataFrame) -> None:
    assert command("search", *OWN, "--population", 2, "--algorithm", "random", "--out", "s").status == 0
    frame.assign(price=frame["price"] + 1).to_csv("mine.csv", index=False)
    again = ("search", *OWN, "--population", 2, "--algorithm", "random", "--out", "s", "--resume")
    for words in (("retrain", "s"), ("report", "s"), again):
        answer = command(*words)
        assert answer.status == 2, words
        assert "mine.csv" in answer.err.splitlines()[-1]
    assert not list(Path("s").glob("retrain*"))


def test_a_search_whose_table_was_renamed_goes_on(command: Any, frame: pd.DataFrame) -> None:
    words = ("--population", 2, "--algorithm", "random", "--out", "s")
    assert command("search", *OWN, *words, "--max-time", 0.01).status in (0, 1)
    Path("mine.csv").rename("other.csv")
    answer = command("search", "--csv", "other.csv", *OWN[2:], *words, "--resume")
    assert answer.status == 0, answer.err


# --- columns --------------------------------------------------------------------------------------------------------


def test_a_target_whose_name_has_a_comma_can_be_asked_for(command: Any, frame: pd.DataFrame) -> None:
    frame.rename(columns={"price": "price, net"}).to_csv("mine.csv", index=False)
    answer = command(
        "train", "--csv", "mine.csv", "--targets", "price, net", "--targets", "sold", "--epochs", 1, *SMALL, "--json"
    )
    assert answer.status == 0, answer.err
    assert "price, net" in answer.json["test"]


def test_a_target_that_looks_like_a_path_stays_inside(command: Any, frame: pd.DataFrame, tmp_path: Path) -> None:
    name = "../../../escaped/x"
    frame.rename(columns={"price": name}).to_csv("mine.csv", index=False)
    words = ("--csv", "mine.csv", "--targets", name, "--epochs", 1, *SMALL)
    answer = command("compare", *words, "--methods", "single", "--seeds", 1, "--out", "deep/c")
    assert answer.status == 0, answer.err
    assert not (tmp_path / "escaped").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "mine.csv"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--types", "price"), "--types: 'price' is not COLUMN=VALUE, as in --types visits=count"),
        (("--types", "price=number"), "unknown kind 'number' of 'price'"),
        (("--metrics", "price=auroc"), "unknown metric 'auroc' of target 'price'"),
        (("--ignore", "dya"), "unknown column 'dya'"),
        (("--groups", "person_id", "--time", "day"), "groups and time exclude each other"),
        (("--domain", "person_id"), "domain '0' has 5 rows"),
        (("--set", "data.shares=[0.5,0.5,0.5]"), "three shares above 0 with a sum of 1"),
    ],
)
def test_wrong_options_are_one_line(command: Any, frame: pd.DataFrame, words: tuple[str, ...], said: str) -> None:
    answer = command("train", *OWN, *words, "--out", "r")
    assert (answer.status, answer.err.count("\n")) == (2, 1)
    assert said in answer.err
    assert not Path("r").exists()


def test_options_of_tables_need_a_table(command: Any) -> None:
    answer = command("train", "rand-hie", "--groups", "x")
    assert answer.status == 2
    assert "--groups is about columns of a table" in answer.err
