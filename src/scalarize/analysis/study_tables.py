"""Tables of a study: a frame, its kind (which decides the figures drawn of it), and its findings in sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from scalarize.utils import files
from scalarize.utils.errors import RequestError


@dataclass(frozen=True)
class StudyTable:
    """A table of a study.

    ``kind`` names the columns of the frame, and so the figures that can be drawn of it; ``findings`` states the results
    in sentences with intervals.
    """

    kind: str
    title: str
    frame: pd.DataFrame
    note: str = ""
    findings: tuple[str, ...] = ()


def write(table: StudyTable, directory: Path, workload: str) -> dict[str, Any]:
    """Write the frame as CSV to ``directory``/tables; return what :func:`read` needs besides it."""
    slug = re.sub(r"[^a-z0-9]+", "-", f"{workload} {table.title}".lower()).strip("-")
    path = f"tables/{slug}.csv"
    files.write_text(directory / path, table.frame.to_csv(index=False))
    content = {"file": path, "kind": table.kind, "title": table.title, "note": table.note, "workload": workload}
    return content | {"findings": list(table.findings)}


def read(directory: Path, entry: Mapping[str, Any]) -> StudyTable:
    """Read a table. Raises RequestError that names a missing or damaged file."""
    path = directory / str(entry["file"])
    files.check_regular(path)
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise RequestError(f"{path}: cannot be read: {error}") from None
    title = f"{entry['title']} ({entry['workload']})"
    return StudyTable(str(entry["kind"]), title, frame, str(entry["note"]), tuple(entry["findings"]))
