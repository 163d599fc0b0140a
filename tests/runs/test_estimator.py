"""The estimator among scikit-learn's own checks and tools, and on targets of several kinds."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import estimator_checks

import scalarize
from scalarize.utils.errors import RequestError, ScalarizeWarning


def quick(**choices: Any) -> Any:
    return scalarize.MultiTaskModel(epochs=choices.pop("epochs", 3), **choices)


# None of the checks for every estimator fails.
EXPECTED_FAILURES: dict[str, str] = {}


@estimator_checks.parametrize_with_checks([quick()], expected_failed_checks=lambda estimator: EXPECTED_FAILURES)
def test_checks_of_every_estimator(estimator: Any, check: Any) -> None:
    assert check(estimator) is None  # a check raises what it finds


# Checks that scikit-learn runs for classifiers or regressors only, which this is neither of: its targets may be both at
# once, so that it has no `estimator_type`. Those that can be met are.
ALSO = (
    "check_classifier_multioutput",
    "check_regressor_multioutput",
    "check_supervised_y_2d",
    "check_supervised_y_no_nan",
    "check_regressor_data_not_an_array",
    "check_classifier_data_not_an_array",
    "check_regressors_no_decision_function",
    "check_regressors_int",
    "check_classifiers_multilabel_output_format_predict",
    "check_non_transformer_estimators_n_iter",
)
# And those that cannot be, with the reason.
NOT_MET = {
    "check_classifiers_one_label": "a target of one class is refused: there is nothing to learn",
    "check_classifiers_regression_target": "numbers that are no classes are a regression, and not an error",
    "check_classifiers_classes": "reads the tags of a classifier; each target has classes of its own",
    "check_classifiers_train": "reads the tags of a classifier",
    "check_regressors_train": "reads the tags of a regressor",
}


@pytest.mark.parametrize("name", ALSO)
def test_checks_of_classifiers_and_regressors_of_several_outputs(name: str) -> None:
    assert getattr(estimator_checks, name)("MultiTaskModel", quick()) is None  # a check raises what it finds


@pytest.mark.parametrize("name", NOT_MET)
def test_checks_that_do_not_apply_still_do_not(name: str) -> None:
    with pytest.raises((AssertionError, AttributeError)):
        getattr(estimator_checks, name)("MultiTaskModel", quick())


@pytest.fixture(scope="module")
def wine() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Inputs, and a class and a number as targets, in random order."""
    frame = datasets.load_wine(as_frame=True).frame.sample(frac=1, random_state=0)
    targets = frame[["target", "alcohol"]].assign(target=frame["target"].map({0: "a", 1: "b", 2: "c"}))
    return frame.drop(columns=["target", "alcohol"]), targets


def test_targets_of_several_kinds_come_back_as_they_were_given(wine: Any) -> None:
    X, Y = wine
    model = quick(epochs=60).fit(X.iloc[:120], Y.iloc[:120])
    found = model.predict(X.iloc[120:])
    assert isinstance(found, pd.DataFrame)
    assert list(found.columns) == list(Y.columns)
    assert list(found.index) == list(X.index[120:])
    assert (found["target"] == Y["target"].iloc[120:]).mean() > 0.85
    assert 11 < found["alcohol"].mean() < 15
    assert model.score(X.iloc[120:], Y.iloc[120:]) > 0.5
    series = quick().fit(X, Y["alcohol"]).predict(X)
    assert isinstance(series, pd.Series)
    assert (series.name, list(series.index)) == ("alcohol", list(X.index))
    array = quick().fit(X.to_numpy(), Y["target"].to_numpy()).predict(X.to_numpy())
    assert array.shape == (len(X),)
    assert set(array) <= {"a", "b", "c"}
    whole = quick().fit(X.to_numpy(), np.stack([Y["alcohol"] > 13, Y["target"] == "a"], axis=1))
    assert whole.predict(X.to_numpy()).dtype == bool


def test_the_main_target_decides_score_and_epoch(wine: Any) -> None:
    X, Y = wine
    model = quick(main="alcohol", epochs=10).fit(X, Y)
    truth, guess = Y["alcohol"], model.predict(X)["alcohol"]
    assert model.score(X, Y) == pytest.approx(1 - ((truth - guess) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())
    assert model.model_.facts["epochs"] <= 10


def test_targets_with_names_are_judged_by_their_names(wine: Any) -> None:
    X, Y = wine
    model = quick(epochs=10).fit(X, Y)
    assert model.score(X, Y[["alcohol", "target"]]) == model.score(X, Y)
    with pytest.raises(RequestError, match="y has no column 'alcohol': it holds target"):
        model.score(X, Y[["target"]])
    main = quick(main="alcohol", epochs=10).fit(X, Y)
    assert main.score(X, Y[["alcohol"]]) == main.score(X, Y)
    numbers = quick(epochs=10).fit(X.to_numpy(), Y[["alcohol"]].to_numpy())
    with pytest.raises(RequestError, match="y has 2 columns, and 1 targets were learned"):
        numbers.score(X.to_numpy(), Y[["alcohol", "alcohol"]].to_numpy())


def test_tools_of_scikit_learn_take_it(wine: Any) -> None:
    X, Y = wine
    folds = KFold(3, shuffle=True, random_state=0)
    piped = make_pipeline(SimpleImputer(), StandardScaler(), quick())
    search = GridSearchCV(piped, {"multitaskmodel__main": [None, "alcohol"]}, cv=folds).fit(X, Y)
    assert len(search.predict(X)) == len(X)
    found = cross_val_predict(quick(epochs=40), X, Y["target"], cv=folds)
    assert (found == Y["target"]).mean() > 0.8
    assert cross_val_predict(quick(), X, Y, cv=folds).shape == Y.shape
    mixed = X.assign(colour=np.where(X.index % 2, "red", "white"))
    encoded = make_column_transformer((OneHotEncoder(sparse_output=False), ["colour"]), remainder="passthrough")
    assert len(make_pipeline(encoded, quick()).fit(mixed, Y).predict(mixed)) == len(X)


def test_it_is_copied_pickled_and_repeated_exactly(wine: Any) -> None:
    X, Y = wine
    model = quick().fit(X, Y)
    expected = model.predict(X)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(model)).predict(X), expected)
    pd.testing.assert_frame_equal(clone(model).fit(X, Y).predict(X), expected)
    other = clone(model).set_params(random_state=1).fit(X, Y).predict(X)
    assert not np.allclose(other["alcohol"], expected["alcohol"])


def test_words_dates_holes_and_missing_labels() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"day": pd.date_range("2020-01-01", periods=200), "kind": rng.choice(["x", "y", None], 200)})
    X["flag"] = pd.array(rng.choice([True, False, None], 200), dtype="boolean")
    X["size"] = pd.Categorical(rng.choice(["small", "large"], 200))
    Y = pd.DataFrame({"big": np.where(rng.random(200) < 0.3, None, np.where(X["size"] == "large", "yes", "no"))})
    Y["cost"] = np.where(rng.random(200) < 0.5, np.nan, (X["size"] == "large") * 1e6 + 2010)
    model = quick(epochs=60).fit(X, Y)
    found = model.predict(X)
    assert found.notna().all().all()
    assert model.score(X, Y) > 0.9
    new = X.assign(size="huge", kind="z").astype({"size": "object"})
    assert len(model.predict(new)) == 200
    shares = model.model_.predict(X, probabilities=True)
    assert np.allclose(shares["big: no"] + shares["big: yes"], 1)


def test_weights_and_policies_are_taken(wine: Any) -> None:
    X, Y = wine
    even = quick().fit(X, Y).predict(X)
    weighted = quick(weights={"target": 0.01, "alcohol": 0.99}).fit(X, Y).predict(X)
    assert not np.allclose(even["alcohol"], weighted["alcohol"])
    policy = scalarize.Policy.constant({"target": 0.01, "alcohol": 0.99}, 3)
    assert np.allclose(quick(policy=policy).fit(X, Y).predict(X)["alcohol"], weighted["alcohol"])


REFUSED = {
    "main": ({"main": "alcool"}, "main names 'alcool', which is none of the targets target, alcohol"),
    "method": ({"method": "unifrm"}, "did you mean 'uniform'"),
    "method with a view": ({"method": "rotograd"}, "rotograd turns the representation for each task"),
    "weights": ({"weights": {"alcohol": 1.0}}, "name all of target, alcohol"),
    "types": ({"types": {"alcool": "count"}}, "unknown column 'alcool'"),
    "settings": ({"settings": {"optimiser.lr": 1.0}}, "did you mean 'optimizer.lr'"),
    "share": ({"validation_fraction": 1.0}, "validation_fraction must lie between 0 and 1"),
    "two sources": ({"weights": {}, "policy": scalarize.Policy.constant({"a": 1.0}, 1)}, "exclude each other"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_wrong_choices_are_refused_in_fit(what: str, wine: Any) -> None:
    choices, expected = REFUSED[what]
    with pytest.raises(RequestError, match=expected):
        quick(**choices).fit(*wine)


def test_what_does_not_fit_together_is_refused(wine: Any) -> None:
    X, Y = wine
    with pytest.raises(RequestError, match="column 'ash' is an input and a target"):
        quick().fit(X, Y.assign(ash=X["ash"]))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        quick().fit(X, Y.head(10))
    with pytest.raises(RequestError, match="column 'ash': 'heavy' in row 1"):
        quick().fit(X, Y).predict(X.assign(ash="heavy"))


def test_a_frame_of_polars() -> None:
    polars = pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    data = datasets.load_diabetes(as_frame=True)
    X, y = polars.from_pandas(data.data), polars.DataFrame({"target": data.target.to_numpy()})
    assert len(quick().fit(X, y).predict(X)) == len(X)


def test_columns_that_are_no_inputs_are_said(wine: Any) -> None:
    X, Y = wine
    numbered = X.assign(row=range(len(X)))
    broken = numbered.assign(ash=[np.inf, *X.ash[1:]])
    with pytest.warns(
        ScalarizeWarning, match=r"no inputs: ash: infinite in row 1; row: it numbers the rows \(left_out_"
    ):
        model = quick().fit(broken, Y)
    assert set(model.left_out_) == {"ash", "row"}
    assert quick(types={"row": "number"}).fit(numbered, Y).left_out_ == {}


def test_dates_are_no_numbers(wine: Any) -> None:
    X, Y = wine
    model = quick().fit(X, Y)
    with pytest.raises(RequestError, match="column 'ash': '2020-01-01 00:00:00' in row 1 is a date, no number"):
        model.predict(X.assign(ash=pd.Timestamp("2020-01-01")))


def test_models_trained_in_threads_are_those_of_one_thread(wine: Any) -> None:
    X, Y = wine
    models = [quick(random_state=k, settings={"model.dropout": 0.5}) for k in range(4)]
    with ThreadPoolExecutor(4) as pool:
        side_by_side = list(pool.map(lambda m: clone(m).fit(X, Y).predict(X), models))
    for together, model in zip(side_by_side, models, strict=True):
        pd.testing.assert_frame_equal(together, model.fit(X, Y).predict(X))
