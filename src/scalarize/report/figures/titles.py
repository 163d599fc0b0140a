"""What a figure's title says of the table it is drawn from."""

from __future__ import annotations

from scalarize.analysis.study_tables import Table


def of(table: Table) -> str:
    """The workload, and what the title says besides the table's kind."""
    inside = table.title.rpartition("(")[2].rstrip(")")
    sizes = table.title.partition(",")[2].partition("(")[0].strip()
    return f"{inside}, {sizes}" if sizes else inside
