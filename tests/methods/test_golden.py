"""Oracle values computed with public implementations and independent solves (``../shared/golden/README.md``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scalarize.methods import create

GOLDEN = Path(__file__).resolve().parents[2] / "../shared/golden"
pytestmark = pytest.mark.skipif(
    not (GOLDEN / "index.json").exists(), reason="oracle values are not beside the checkout"
)
INDEX: dict[str, Any] = json.loads((GOLDEN / "index.json").read_text()) if (GOLDEN / "index.json").exists() else {}
VALUES = np.load(GOLDEN / "values.npz")["values"] if INDEX else np.zeros(0)

# key of the oracle -> method, hyper-parameters, and which input is its draws
GRADIENT_KEYS: dict[str, tuple[str, dict[str, Any], str | None]] = {
    "sum": ("unitary", {}, None),
    "mgda_none": ("mgda", {"normalization": "none"}, None),
    "mgda_l2": ("mgda", {"normalization": "l2"}, None),
    "mgda_loss": ("mgda", {"normalization": "loss"}, None),
    "mgda_loss+": ("mgda", {"normalization": "loss+"}, None),
    "pcgrad": ("pcgrad", {}, "orders"),
    "graddrop": ("graddrop", {}, "U"),
    "cagrad_c0.4": ("cagrad", {"c": 0.4}, None),
    "cagrad_c0.5": ("cagrad", {"c": 0.5}, None),
    "imtl_g": ("imtl-g", {}, None),
    "gradnorm": ("gradnorm", {"alpha": 1.5}, None),
    "nash_mtl": ("nash-mtl", {}, None),
    "fairgrad_a2": ("fairgrad", {"alpha": 2}, None),
    "fairgrad_a0.5": ("fairgrad", {"alpha": 0.5}, None),
    "aligned_mtl_min": ("aligned-mtl", {"scale": "min"}, None),
    "aligned_mtl_median": ("aligned-mtl", {"scale": "median"}, None),
    "aligned_mtl_rmse": ("aligned-mtl", {"scale": "rmse"}, None),
    "upgrad_exact": ("upgrad", {"regularization": 0.0}, None),
    "upgrad_reg1e-4": ("upgrad", {"regularization": 1e-4}, None),
    "dualproj_exact": ("dualproj", {"regularization": 0.0}, None),
    "dualproj_reg1e-4": ("dualproj", {"regularization": 1e-4}, None),
    "config": ("config", {}, None),
}
# Families whose Gramian loses about three digits (README, "Known limits").
LOOSE = {"scale1e6": 1e-3}
# 'degenerate' values are the pseudo-inverse conventions that these methods adopt.
ADOPTED = ("imtl_g", "config", "aligned_mtl_min", "aligned_mtl_median", "aligned_mtl_rmse")
# Its reference is the normalised rounding error of a direction that is exactly 0.
MEANINGLESS = {("config", "opposite_half_T2_P50")}


def array(reference: Any) -> np.ndarray:
    offset, shape = reference
    return VALUES[offset : offset + int(np.prod(shape))].reshape(shape)


def tensor(reference: Any, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.from_numpy(array(reference).copy()).to(dtype)


def call(key: str, case: dict[str, Any], dtype: torch.dtype = torch.float64, **more: Any) -> Any:
    name, hyper, draws = GRADIENT_KEYS[key]
    method = create(name, **hyper, **more)
    inputs = case["inputs"]
    if key == "gradnorm":
        method.state["weights"] = tensor(inputs["gradnorm_w"], dtype)
        method.state["initial_losses"] = tensor(inputs["L0"], dtype)
    fixed = tensor(inputs[draws]) if draws in inputs else None
    return method, method.combine_gradients(tensor(inputs["J"], dtype), tensor(inputs["L"], dtype), draws=fixed)


def expected_gradient(entry: dict[str, Any], case: dict[str, Any]) -> np.ndarray:
    return array(entry["g"]) if "g" in entry else array(entry["w"]) @ array(case["inputs"]["J"])


def off(got: torch.Tensor, want: np.ndarray, rtol: float, atol: float) -> str | None:
    """None where ``got`` agrees, else by how much it does not."""
    difference = float(np.linalg.norm(got.double().numpy() - want))
    bound = 10 * rtol * float(np.linalg.norm(want)) + atol
    return None if difference <= bound else f"|g - g_ref| = {difference:.3g} > {bound:.3g}"


@pytest.mark.parametrize("key", GRADIENT_KEYS)
def test_gradients_agree_in_float64(key: str) -> None:
    compared, wrong = 0, []
    for name, case in INDEX["grad_cases"].items():
        entry = case["expected"].get(key)
        if entry is None:
            continue
        _, result = call(key, case)
        assert torch.isfinite(result.gradient).all(), name
        if (key, name) in MEANINGLESS:
            continue
        if entry["status"] == "undefined" or (entry["status"] == "degenerate" and key not in ADOPTED):
            continue
        rtol = max(entry["rtol"], LOOSE.get(case["family"], 0.0))
        if entry.get("g_is_unique", True):
            compared += 1
            if problem := off(result.gradient, expected_gradient(entry, case), rtol, entry["atol"]):
                wrong.append((name, problem))
        if entry.get("w_unique") and entry["status"] == "ok":
            compared += 1
            if problem := off(result.weights, array(entry["w"]), rtol, 1e-6):
                wrong.append((name, f"weights: {problem}"))
    assert not wrong
    assert compared >= 30


@pytest.mark.parametrize("key", GRADIENT_KEYS)
def test_gradients_agree_in_float32(key: str) -> None:
    compared, wrong = 0, []
    for name, case in INDEX["grad_cases"].items():
        entry = case["expected"].get(key)
        if entry is None or entry["status"] != "ok" or case["family"] not in ("gauss", "conflict", "aligned"):
            continue
        if not entry.get("g_is_unique", True):
            continue
        _, result = call(key, case, torch.float32)
        assert result.gradient.dtype == torch.float32
        compared += 1
        if problem := off(result.gradient, expected_gradient(entry, case), 1e-3, max(entry["atol"], 1e-5)):
            wrong.append((name, problem))
    assert not wrong
    assert compared >= 15


@pytest.mark.parametrize("key", ["mgda_l2", "mgda_loss", "mgda_loss+"])
def test_mgda_on_normalized_gradients(key: str) -> None:
    for name, case in INDEX["grad_cases"].items():
        entry = case["expected"][key]
        if "g_norm" in entry:
            _, result = call(key, case, applied_to="normalized")
            assert off(result.gradient, array(entry["g_norm"]), entry["rtol"], entry["atol_g_norm"]) is None, name


def test_graddrop_renormalized() -> None:
    for name, case in INDEX["grad_cases"].items():
        entry = case["expected"]["graddrop"]
        if "g_renorm" in entry:
            _, result = call("graddrop", case, renormalize=True)
            assert off(result.gradient, array(entry["g_renorm"]), entry["rtol"], entry["atol"]) is None, name


@pytest.mark.parametrize("rescale", ["square", "linear", "lambda"])
def test_cagrad_rescaled(rescale: str) -> None:
    case = INDEX["grad_cases"]["conflict_T3_P50"]
    entry = case["expected"]["cagrad_c0.5"]
    divisor = {"square": 1.25, "linear": 1.5, "lambda": array(entry["w"]).sum()}[rescale]
    _, result = call("cagrad_c0.5", case, rescale=rescale)
    assert off(result.gradient, expected_gradient(entry, case) / divisor, entry["rtol"], entry["atol"]) is None


TIMES_TASKS = ("mgda_none", "cagrad_c0.5", "fairgrad_a2", "aligned_mtl_median", "upgrad_exact", "dualproj_exact")


@pytest.mark.parametrize("key", TIMES_TASKS)
def test_times_the_number_of_tasks_as_in_public_code(key: str) -> None:
    case = INDEX["grad_cases"]["conflict_T3_P50"]
    entry = case["expected"][key]
    _, result = call(key, case, times_tasks=True)
    assert off(result.gradient, 3 * expected_gradient(entry, case), entry["rtol"], entry["atol"]) is None


def test_aligned_mtl_with_the_rank_of_float32() -> None:
    differing = 0
    for name, case in INDEX["grad_cases"].items():
        for key in ("aligned_mtl_min", "aligned_mtl_median", "aligned_mtl_rmse"):
            entry = case["expected"][key]
            if "g_float32_eps" in entry:
                _, result = call(key, case, rank_eps=torch.finfo(torch.float32).eps)
                assert off(result.gradient, array(entry["g_float32_eps"]), 1e-3, entry["atol"]) is None, (name, key)
                differing += 1
    assert differing >= 9


def test_gradnorm_updates_its_weights() -> None:
    for name, case in INDEX["grad_cases"].items():
        entry = case["expected"]["gradnorm"]
        method, _ = call("gradnorm", case)
        want = array(entry["w_after_sgd_lr0p025"])
        np.testing.assert_allclose(method.state["weights"].numpy(), want, rtol=1e-8, atol=1e-10, err_msg=name)


def test_gradnorm_updates_its_logits() -> None:
    for name, case in INDEX["grad_cases"].items():
        entry = case["expected"]["gradnorm"]
        method = create("gradnorm", alpha=1.5, form="softmax", lr=1.0)
        method.state["logits"] = tensor(case["inputs"]["gradnorm_logits"])
        method.state["initial_losses"] = tensor(case["inputs"]["L0"])
        method.combine_gradients(tensor(case["inputs"]["J"]), tensor(case["inputs"]["L"]))
        moved = array(case["inputs"]["gradnorm_logits"]) - method.state["logits"].numpy()
        want = array(entry["grad_logits"])
        np.testing.assert_allclose(moved, want, rtol=1e-8, atol=1e-9 * (1 + np.abs(want).max()), err_msg=name)


def test_nash_mtl_clipped() -> None:
    for name, case in INDEX["grad_cases"].items():
        entry = case["expected"]["nash_mtl"]
        if entry.get("g_clipped_norm1"):
            _, result = call("nash_mtl", case, max_norm=1.0)
            assert off(result.gradient, array(entry["g_clipped_norm1"]), entry["rtol"], entry["atol"]) is None, name


@pytest.mark.parametrize("key", ["nash_mtl", "fairgrad_a2", "fairgrad_a0.5"])
def test_no_solution_is_counted(key: str) -> None:
    undefined = 0
    for name, case in INDEX["grad_cases"].items():
        method, _ = call(key, case)
        expected = int(case["expected"][key]["status"] == "undefined")
        assert method.solver_failures == expected, name
        undefined += expected
    assert undefined >= 10


# --- sequences ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", INDEX.get("seq_cases", {}))
@pytest.mark.parametrize("beta", ["0.5", "0.01"])
def test_gradvac(name: str, beta: str) -> None:
    case = INDEX["seq_cases"][name]
    entry, inputs = case["expected"][f"gradvac_b{beta}"], case["inputs"]
    method = create("gradvac", beta=float(beta))
    for k in range(case["K"]):
        draws = tensor(inputs["orders"])[k]
        result = method.combine_gradients(tensor(inputs["J"])[k], tensor(inputs["L"])[k], draws=draws)
        assert off(result.gradient, array(entry["g_steps"])[k], entry["rtol"], entry["atol"]) is None, k
        assert off(result.weights, array(entry["w_steps"])[k], entry["rtol"], entry["atol"]) is None, k
        phi = array(entry["phi_steps"])[k]
        np.testing.assert_allclose(method.state["phi"], phi, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", INDEX.get("seq_cases", {}))
@pytest.mark.parametrize(("beta", "sigma"), [("0.9", "0.0"), ("0.5", "0.5")])
def test_db_mtl(name: str, beta: str, sigma: str) -> None:
    case = INDEX["seq_cases"][name]
    entry, inputs = case["expected"][f"db_mtl_b{beta}_s{sigma}"], case["inputs"]
    method = create("db-mtl", beta=float(beta), sigma=float(sigma))
    for k in range(case["K"]):
        result = method.combine_gradients(tensor(inputs["J"])[k], tensor(inputs["L"])[k])
        assert off(result.gradient, array(entry["g_steps"])[k], entry["rtol"], entry["atol"]) is None, k


@pytest.mark.parametrize("name", INDEX.get("seq_cases", {}))
@pytest.mark.parametrize("lr", ["5", "10"])
def test_sdmgrad(name: str, lr: str) -> None:
    case = INDEX["seq_cases"][name]
    entry, j = case["expected"][f"sdmgrad_lr{lr}"], tensor(case["inputs"]["J"])
    method = create("sdmgrad", lr=float(lr))
    for k, (total, simplex) in enumerate(
        zip(array(entry["w_total_steps"]), array(entry["w_simplex_steps"]), strict=True)
    ):
        result = method.combine_gradients(j[k], extra=[j[k + 1]])
        assert off(result.weights, total, entry["rtol"], entry["atol"]) is None, k
        assert off(method.state["weights"], simplex, entry["rtol"], entry["atol"]) is None, k
        assert torch.equal(result.gradient, result.weights @ j[k])


# --- the loss side ------------------------------------------------------------------------------------------------

FORMS = {"uw_logvar": "logvar", "uw_kendall_sigma": "sigma", "uw_liebel": "liebel", "uw_logvar_unit": "logvar-unit"}


def check_loss(result: Any, losses: torch.Tensor, entry: dict[str, Any]) -> None:
    """Value, gradient by the losses, and the reported weights, to 1e-9."""
    assert result.loss.item() == pytest.approx(entry["loss"], rel=1e-9, abs=1e-12)
    result.loss.backward()
    np.testing.assert_allclose(losses.grad, entry["grad_L"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(result.weights, entry["grad_L"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", INDEX.get("loss_cases", {}))
@pytest.mark.parametrize("key", FORMS)
def test_uncertainty(name: str, key: str) -> None:
    case = INDEX["loss_cases"][name]
    entry = case["expected"][key]
    method = create("uncertainty", form=FORMS[key])
    learned = "sigma" if FORMS[key] in ("sigma", "liebel") else "s"
    method.state[learned] = torch.tensor(case["inputs"][learned], dtype=torch.float64)
    losses = torch.tensor(case["inputs"]["L"][0], dtype=torch.float64, requires_grad=True)
    check_loss(method.combine_losses(losses), losses, entry)
    np.testing.assert_allclose(method.parameters()[0].grad, entry["grad_param"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("form", FORMS.values())
def test_uncertainty_starts_where_asked(form: str) -> None:
    started, given = create("uncertainty", form=form, start=-0.5), create("uncertainty", form=form)
    key = "sigma" if form in ("sigma", "liebel") else "s"
    given.state[key] = torch.full((2,), np.exp(-0.25) if key == "sigma" else -0.5, dtype=torch.float64)
    losses = torch.tensor([0.7, 3.0], dtype=torch.float64)
    torch.testing.assert_close(started.combine_losses(losses).weights, given.combine_losses(losses).weights)


@pytest.mark.parametrize("name", INDEX.get("loss_cases", {}))
def test_imtl_l(name: str) -> None:
    case = INDEX["loss_cases"][name]
    method = create("imtl-l")
    method.state["s"] = torch.tensor(case["inputs"]["s"], dtype=torch.float64)
    losses = torch.tensor(case["inputs"]["L"][0], dtype=torch.float64, requires_grad=True)
    check_loss(method.combine_losses(losses), losses, case["expected"]["imtl_l"])
    np.testing.assert_allclose(method.parameters()[0].grad, case["expected"]["imtl_l"]["grad_param"], rtol=1e-9)


@pytest.mark.parametrize("name", INDEX.get("loss_cases", {}))
@pytest.mark.parametrize("counted", [True, False])
def test_dwa(name: str, counted: bool) -> None:
    case = INDEX["loss_cases"][name]
    method = create("dwa", temperature=2)
    rows = [*case["inputs"]["L"], case["inputs"]["L"][0]]
    for epoch, (row, want) in enumerate(zip(rows, case["expected"]["dwa_T2"]["weights"], strict=True)):
        # Where no epoch is named, each call is one.
        result = method.combine_losses(torch.tensor(row, dtype=torch.float64), epoch=epoch if counted else None)
        np.testing.assert_allclose(result.weights, want, rtol=1e-9)


@pytest.mark.parametrize("name", INDEX.get("loss_cases", {}))
def test_dwa_with_sum_one(name: str) -> None:
    case = INDEX["loss_cases"][name]
    method = create("dwa", reduction="mean")
    for row, want in zip(case["inputs"]["L"], case["expected"]["dwa_T2"]["weights"], strict=False):
        result = method.combine_losses(torch.tensor(row, dtype=torch.float64))
        np.testing.assert_allclose(result.weights, np.array(want) / len(want), rtol=1e-9)


@pytest.mark.parametrize("name", INDEX.get("loss_cases", {}))
def test_rlw(name: str) -> None:
    case = INDEX["loss_cases"][name]
    draws = torch.tensor(case["inputs"]["normal_draws"], dtype=torch.float64)
    losses = torch.tensor(case["inputs"]["L"][0], dtype=torch.float64)
    result = create("rlw").combine_losses(losses, draws=draws)
    want = np.array(case["expected"]["rlw_normal"]["w"])
    np.testing.assert_allclose(result.weights, want, rtol=1e-9)
    result = create("rlw", times_tasks=True).combine_losses(losses, draws=draws)
    np.testing.assert_allclose(result.weights, len(want) * want, rtol=1e-9)


@pytest.mark.parametrize(("distribution", "key"), [("normal", "normal_softmax"), ("dirichlet", "dirichlet1")])
@pytest.mark.parametrize("n_tasks", [2, 3, 8])
def test_rlw_moments(distribution: str, key: str, n_tasks: int) -> None:
    method, generator = create("rlw", distribution=distribution), torch.Generator().manual_seed(3)
    losses = torch.ones(n_tasks)
    draws = torch.stack([method.combine_losses(losses, generator=generator).weights for _ in range(4000)])
    moments = INDEX["rlw_moments"][str(n_tasks)][key]
    assert draws.mean().item() == pytest.approx(moments["mean"], rel=1e-6)
    assert draws.var(dim=0).mean().item() == pytest.approx(moments["var"], rel=0.08)


@pytest.mark.parametrize("name", INDEX.get("loss_cases", {}))
def test_gls(name: str) -> None:
    case = INDEX["loss_cases"][name]
    losses = torch.tensor(case["inputs"]["L"][0], dtype=torch.float64, requires_grad=True)
    check_loss(create("gls").combine_losses(losses), losses, case["expected"]["gls"])


@pytest.mark.parametrize("name", INDEX.get("loss_cases", {}))
@pytest.mark.parametrize("mu", ["1", "0.1"])
@pytest.mark.parametrize("form", ["paper", "mtl"])
def test_stch(name: str, form: str, mu: str) -> None:
    case = INDEX["loss_cases"][name]
    losses = torch.tensor(case["inputs"]["L"][0], dtype=torch.float64, requires_grad=True)
    by_hand = create("stch", form=form, mu=float(mu))
    if form == "mtl":
        by_hand.state["nadir"] = torch.tensor(case["inputs"]["nadir"], dtype=torch.float64)
    check_loss(by_hand.combine_losses(losses), losses, case["expected"][f"stch_{form}_mu{mu}"])
    losses.grad = None
    given = create("stch", form=form, mu=float(mu), nadir=case["inputs"]["nadir"])
    check_loss(given.combine_losses(losses), losses, case["expected"][f"stch_{form}_mu{mu}"])


@pytest.mark.parametrize("name", INDEX.get("loss_cases", {}))
@pytest.mark.parametrize("decay", ["0.001", "1e-05", "0.01"])
def test_famo(name: str, decay: str) -> None:
    case = INDEX["loss_cases"][name]
    entry, inputs = case["expected"][f"famo_wd{decay}"], case["inputs"]
    method = create("famo", decay=float(decay))
    for k, (before, after) in enumerate(zip(inputs["L"], inputs["L_after"], strict=True)):
        result = method.combine_losses(torch.tensor(before, dtype=torch.float64))
        assert result.loss.item() == pytest.approx(entry["loss"][k], rel=1e-8, abs=1e-10)
        np.testing.assert_allclose(result.weights, entry["lw"][k], rtol=1e-8)
        np.testing.assert_allclose(method.state["logits"], entry["logits"][k], rtol=1e-8, atol=1e-10)
        method.observe(torch.tensor(after, dtype=torch.float64))
        np.testing.assert_allclose(torch.softmax(method.state["logits"], 0), entry["z"][k + 1], rtol=1e-8)


# --- a small network ----------------------------------------------------------------------------------------------

MODEL_KEYS = {
    "mean": ("uniform", {}, "J"),
    "mgda_none": ("mgda", {}, "J"),
    "mgda_ub": ("mgda", {}, "J_rep"),
    "imtl_g": ("imtl-g", {}, "J"),
    "imtl_g_ub": ("imtl-g", {}, "J_rep"),
    "cagrad_c0p5": ("cagrad", {"c": 0.5}, "J"),
    "nash_mtl": ("nash-mtl", {}, "J"),
    "upgrad_exact": ("upgrad", {}, "J"),
    "aligned_mtl_min": ("aligned-mtl", {}, "J"),
}


@pytest.mark.parametrize("key", MODEL_KEYS)
def test_model_case(key: str) -> None:
    name, hyper, level = MODEL_KEYS[key]
    case = INDEX["model_case"]
    jacobian = torch.tensor(case["J"], dtype=torch.float64)
    seen = torch.tensor(case[level], dtype=torch.float64)
    weights = create(name, **hyper).combine_gradients(seen, torch.tensor(case["losses"])).weights
    np.testing.assert_allclose(weights, case["expected"][key]["w"], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(weights @ jacobian, case["expected"][key]["shared_grad"], rtol=1e-5, atol=1e-7)
