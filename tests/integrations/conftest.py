"""Makes the scripts of ``results/`` importable: other people's loops beside a training by hand stand there."""

from __future__ import annotations

import sys
from pathlib import Path

RESULTS = str(Path(__file__).resolve().parents[2] / "results")
if RESULTS not in sys.path:
    sys.path.append(RESULTS)  # last: no script there may hide a package
