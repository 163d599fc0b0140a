"""Every method of the peers is here under a name, or left out by name and with a reason in docs/comparison.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from scalarize.methods import names

PAGE = Path(__file__).parents[2] / "docs" / "comparison.md"
# TorchJD 0.18.0, aggregators and weightings (whose names end in Weighting) and scalarizers -> ours
TORCHJD = {
    "AlignedMTL": "aligned-mtl", "CAGrad": "cagrad", "COSMOS": "cosmos", "CRMOGM": "cr-mogm", "ConFIG": "config",
    "Constant": "fixed", "DWA": "dwa", "DualProj": "dualproj", "ExcessMTL": "excess-mtl", "FAMO": "famo",
    "FairGrad": "fairgrad", "GeometricMean": "gls", "GradDrop": "graddrop", "GradVac": "gradvac", "IMTLG": "imtl-g",
    "IMTLL": "imtl-l", "MGDA": "mgda", "Mean": "uniform", "MoDo": "modo", "NashMTL": "nash-mtl", "PBI": "pbi",
    "PCD": "pcd", "PCGrad": "pcgrad", "Random": "rlw", "SDMGrad": "sdmgrad", "STCH": "stch", "Sum": "unitary",
    "UPGrad": "upgrad", "UW": "uncertainty",
}  # fmt: skip
# LibMTL at commit 4336804, LibMTL/weighting/__init__.py -> ours
LIBMTL = {
    "EW": "unitary", "GradNorm": "gradnorm", "MGDA": "mgda", "UW": "uncertainty", "DWA": "dwa", "GLS": "gls",
    "GradDrop": "graddrop", "PCGrad": "pcgrad", "GradVac": "gradvac", "IMTL": "imtl", "CAGrad": "cagrad",
    "Nash_MTL": "nash-mtl", "RLW": "rlw", "MoCo": "moco", "Aligned_MTL": "aligned-mtl", "DB_MTL": "db-mtl",
    "STCH": "stch", "ExcessMTL": "excess-mtl", "FairGrad": "fairgrad", "FAMO": "famo", "MoDo": "modo",
    "SDMGrad": "sdmgrad", "UPGrad": "upgrad",
}  # fmt: skip
LEFT_OUT = {"Krum": "Krum", "TrimmedMean": "trimmed mean"}
BASES = {"Aggregator", "GramianWeightedAggregator", "WeightedAggregator", "Weighting", "Scalarizer"}


@pytest.mark.parametrize("module", ["aggregation", "scalarization"])
def test_torchjd(module: str) -> None:
    theirs = set(pytest.importorskip(f"torchjd.{module}").__all__) - BASES
    rules = {name.removesuffix("Weighting") for name in theirs}
    assert rules <= TORCHJD.keys() | LEFT_OUT.keys()


def test_the_names_are_registered() -> None:
    assert {*TORCHJD.values(), *LIBMTL.values()} <= set(names())


def test_the_page_names_what_is_left_out_and_counts_the_rest() -> None:
    part = PAGE.read_text().partition("## Methods that are left out")[2].partition("\n## ")[0]
    for name in (*LEFT_OUT.values(), "MOML", "FORUM", "Auto-Lambda", "ForkMerge"):
        assert name in part
    assert f"LibMTL's {len(LIBMTL)} weightings" in part
