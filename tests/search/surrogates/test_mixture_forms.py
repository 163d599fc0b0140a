"""The forms recover their laws; the fit chooses among them; the proposal finds the optimum and doubts itself."""

from __future__ import annotations

import numpy as np
import pytest

from scalarize.search import runs_table
from scalarize.search.surrogates import mixture_fit
from scalarize.search.surrogates.mixture_forms import FORMS
from scalarize.utils.errors import RequestError

RNG = np.random.default_rng(0)
WEIGHTS = RNG.dirichlet(np.ones(4), size=80)
ELSEWHERE = RNG.dirichlet(np.ones(4), size=50)


def law(weights):
    """Two losses that follow the log-linear law."""
    return np.stack(
        [1.0 + np.exp(weights @ [0.5, -2.0, 0.3, 0.8]), 0.2 + np.exp(weights @ [-3.0, 1.0, 0.5, 0.0])], axis=1
    )


def test_log_linear_recovers_its_own_law_in_spite_of_outliers():
    losses = law(WEIGHTS)
    losses[::20] += 3.0
    predicted = FORMS["log-linear"].fit(WEIGHTS, losses)(ELSEWHERE)
    np.testing.assert_allclose(predicted, law(ELSEWHERE), atol=0.1)


@pytest.mark.parametrize(
    ("form", "transform"),
    [("ridge-w", lambda w: w), ("ridge-sqrt", np.sqrt), ("ridge-log", lambda w: np.log(np.maximum(w, 1e-3)))],
)
def test_each_ridge_recovers_a_law_in_its_features(form, transform):
    inside = (WEIGHTS > 1e-3).all(axis=1)
    slopes = np.array([[1.0], [-1.0], [0.5], [2.0]])
    predict = FORMS[form].fit(WEIGHTS[inside], transform(WEIGHTS[inside]) @ slopes)
    new = ELSEWHERE[(WEIGHTS[inside].min() < ELSEWHERE).all(axis=1)]
    np.testing.assert_allclose(predict(new), transform(new) @ slopes, atol=1e-2)


def test_forms_stand_constant_losses_and_few_runs():
    for form in FORMS.values():
        np.testing.assert_allclose(form.fit(WEIGHTS[:3], np.ones((3, 2)))(ELSEWHERE), 1.0, atol=1e-6)
        assert np.isfinite(form.fit(WEIGHTS[:2], law(WEIGHTS[:2]))(ELSEWHERE)).all()


def test_law_is_chosen_where_it_holds_and_replaced_where_it_does_not():
    clear = mixture_fit.fit(WEIGHTS, -law(WEIGHTS))
    assert clear.chosen == ("log-linear", "log-linear")
    bowl = -(
        ((WEIGHTS - 0.25) ** 2).sum(axis=1, keepdims=True)
        + 0.3 * np.abs(np.log(np.maximum(WEIGHTS, 0.01))).sum(1, keepdims=True)
    )
    assert mixture_fit.fit(WEIGHTS, bowl).chosen != ("log-linear",)


def test_proposal_is_the_optimum_of_the_law_on_the_simplex():
    def total(weights):
        return law(weights).mean(axis=1)

    proposal = mixture_fit.propose(mixture_fit.fit(WEIGHTS, -law(WEIGHTS)))
    dense = np.random.default_rng(1).dirichlet(np.full(4, 0.5), size=200_000)
    inside = ((dense >= WEIGHTS.min(axis=0)) & (dense <= WEIGHTS.max(axis=0))).all(axis=1)
    spread = total(WEIGHTS).mean() - total(dense[inside]).min()
    assert total(proposal.weights[None])[0] - total(dense[inside]).min() < 0.02 * spread
    assert proposal.weights.sum() == pytest.approx(1.0)
    assert (proposal.weights <= WEIGHTS.max(axis=0) + 1e-6).all()


def test_intervals_cover_new_runs():
    rng = np.random.default_rng(2)
    covered = []
    for _ in range(20):
        weights = rng.dirichlet(np.ones(4), size=60)
        metrics = -law(weights) + 0.1 * rng.standard_normal((60, 2))
        proposal = mixture_fit.propose(mixture_fit.fit(weights, metrics), candidates=ELSEWHERE)
        default = proposal.opinions[0]
        new = -law(proposal.weights[None]).mean() + 0.1 * rng.standard_normal(2).mean()
        covered.append(default.low <= new <= default.high)
    assert sum(covered) >= 15


def test_warnings_fire_where_forms_disagree_and_are_silent_where_they_agree():
    linear = WEIGHTS @ np.array([[1.0], [2.0], [3.0], [4.0]])
    assert mixture_fit.propose(mixture_fit.fit(WEIGHTS, linear)).warnings == ()
    noise = np.random.default_rng(3).standard_normal((80, 1))
    assert any("no form predicts" in w for w in mixture_fit.propose(mixture_fit.fit(WEIGHTS, noise)).warnings)
    few = mixture_fit.propose(mixture_fit.fit(WEIGHTS[:4], -law(WEIGHTS[:4])))
    assert any("4 runs are too few for 4 tasks" in w for w in few.warnings)
    slopes, draws = np.array([[1.0], [1.1], [1.2], [2.0]]), np.random.default_rng(4).standard_normal((80, 1))
    unsure = mixture_fit.propose(mixture_fit.fit(WEIGHTS[:20], WEIGHTS[:20] @ slopes + 0.5 * draws[:20]))
    assert any("hang on few runs" in w for w in unsure.warnings)
    assert any("forms disagree" in w for w in unsure.warnings)


def test_equal_runs_give_equal_bytes():
    first, second = (mixture_fit.propose(mixture_fit.fit(WEIGHTS, -law(WEIGHTS))) for _ in range(2))
    assert first.weights.tobytes() == second.weights.tobytes()
    assert first.opinions[1].predicted == second.opinions[1].predicted


def test_score_is_applied_to_predicted_metrics():
    fitted = mixture_fit.fit(WEIGHTS, -law(WEIGHTS))
    worst = mixture_fit.propose(fitted, score=lambda m: m.min(axis=1))
    mean = mixture_fit.propose(fitted)
    assert law(worst.weights[None]).max() < law(mean.weights[None]).max() - 0.01


def test_table_reads_directions_and_leaves_failed_runs_out(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text(
        "note,weight:a,weight:b,metric:acc,metric-:loss\nx,1,3,0.5,2\ny,1,1,,1\nz,2,2,0.7,nan\n\nw,0,1,0.6,4\n"
    )
    runs = runs_table.read(path)
    assert (runs.tasks, runs.metrics, runs.left_out) == (("a", "b"), ("acc", "loss"), 2)
    np.testing.assert_allclose(runs.weights, [[0.25, 0.75], [0, 1]])
    np.testing.assert_allclose(runs.values, [[0.5, -2], [0.6, -4]])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "needs columns weight:NAME"),
        ("weight:a,metric:b\n1,2\n", "at least 2 runs"),
        ("weight:a,weight:a,metric:b\n1,1,2\n", "distinct names"),
        ("weight:a,weight:b,metric:b\n1,x,2\n", "line 2, column weight:b: 'x' is no number"),
        ("weight:a,weight:b,metric:b\n1,-1,2\n", "line 2: task weights must be finite"),
        ("weight:a,weight:b,metric:b\n1,2\n", "line 2 has 2 cells for 3 columns"),
    ],
)
def test_damaged_tables_are_refused_in_one_line(tmp_path, content, says):
    path = tmp_path / "runs.csv"
    path.write_text(content)
    with pytest.raises(RequestError, match=says) as caught:
        runs_table.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
