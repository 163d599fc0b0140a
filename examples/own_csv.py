"""A table of your own, searched and trained without a line of model code. The same as in a shell:

    scalarize search  --csv visits.csv --targets returned,spent --epochs 6 --out search
    scalarize compare --csv visits.csv --targets returned,spent --epochs 6 --methods uniform,policy \
                      --policy search/policy.json --out table
    scalarize report search table --out report.html

python examples/own_csv.py [FOLDER]
"""

from __future__ import annotations

import csv
import random
import subprocess
import sys
from pathlib import Path


def write_table(path: Path, rows: int = 400) -> None:
    """Visits of customers: whether they returned, and what they spent."""
    draw = random.Random(0)
    with open(path, "w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["age", "minutes", "shop", "returned", "spent"])
        for _ in range(rows):
            age, minutes = draw.randint(18, 80), draw.expovariate(0.1)
            returned = "yes" if minutes + draw.gauss(0, 3) > 8 else "no"
            writer.writerow([age, f"{minutes:.1f}", draw.choice("AB"), returned, f"{minutes * age / 10:.2f}"])


def main(folder: Path) -> Path:
    """Leave a table, a search, a comparison and a report in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / "visits.csv")
    own = ["--csv", "visits.csv", "--targets", "returned,spent", "--epochs", "6"]
    lines = [
        ["search", *own, "--population", "4", "--ready", "2", "--out", "search"],
        ["compare", *own, "--methods", "uniform,policy", "--policy", "search/policy.json", "--out", "table"],
        ["report", "search", "table", "--out", "report.html"],
    ]
    for words in lines:
        start = [sys.executable, "-c", "from scalarize.cli import main; main()"]  # `scalarize`, once it is installed
        subprocess.run([*start, *words], cwd=folder, check=True)
    return folder / "report.html"


if __name__ == "__main__":
    print(main(Path(sys.argv[1] if len(sys.argv) > 1 else "own-csv")))
