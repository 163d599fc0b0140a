"""Tables as they come: CSV files and pandas frames to named columns of cells. No column has a meaning here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalarize.search.mixture.directories import columns_of
from scalarize.search.mixture.known import KEYS, OTHER, SIZES, STATES, STEPS, TOKENS
from scalarize.utils import documents, files
from scalarize.utils.errors import RequestError


@dataclass(frozen=True)
class Table:
    """Columns of cells, strings or numbers, and the words that an error names the table by."""

    name: str
    columns: dict[str, list[Any]]
    lines: list[int]  # the line of the file that each row comes from

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(self.lines)

    def at(self, row: int) -> str:
        """The words for a row in an error."""
        return f"{self.name}: line {self.lines[row]}"


def read(source: Any) -> Table:
    """Read a CSV file or a directory of runs of ``scalarize train``, or take a frame (or any mapping of columns).

    Raises:
        RequestError: the file cannot be read as CSV; a name stands twice in its header; a line has too many or too
            few cells; it has no rows.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        return _of_columns(str(path), columns_of(path)) if path.is_dir() else _read_csv(path)
    columns = {str(name): _cells(source[name]) for name in source}
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise RequestError("frame: needs columns of the same length and at least one row")
    index = getattr(source, "index", None)
    named = getattr(index, "name", None)
    if named is not None and str(named) in KEYS and str(named) not in columns:
        columns[str(named)] = _cells(index)
    return _of_columns("frame", columns)


def _of_columns(name: str, columns: dict[str, list[Any]]) -> Table:
    return Table(name, columns, list(range(1, len(next(iter(columns.values()))) + 1)))


def _cells(column: Any) -> list[Any]:
    return column.tolist() if hasattr(column, "tolist") else list(column)


def _read_csv(path: Path) -> Table:
    rows = documents.from_csv(files.read_bytes(path, documents.MOST_TABLE), str(path))
    rows = [(line, row) for line, row in rows if any(cell.strip() for cell in row)]
    if len(rows) < 2:
        raise RequestError(f"{path}: needs a header and at least one row")
    header = [name.strip() for name in rows[0][1]]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise RequestError(f"{path}: two columns are named {twice[0]!r}")
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise RequestError(f"{path}: line {line} has {len(row)} cells for {len(header)} columns")
    columns = {name: [row[i].strip() for _, row in rows[1:]] for i, name in enumerate(header)}
    return Table(str(path), columns, [line for line, _ in rows[1:]])


def join(first: Table, second: Table) -> tuple[Table, list[str]]:
    """Join two tables by the first of ``KEYS`` that both have, else by a column of words, each once, that both have.

    A column that both have with different cells is a weight in the first and a metric in the second.

    Returns:
        The table of rows that both have, in the order of the first, and notes on what was left out.

    Raises:
        RequestError: no key in common, a key twice in one table, no row in common, or a column of sizes, tokens,
            steps or states in both with different cells.
    """
    key = next((k for k in KEYS if k in first.columns and k in second.columns), None)
    if key is None:
        key = next((n for n in first.columns if _names_rows(first, n) and _names_rows(second, n)), None)
    if key is None:
        known = ", ".join(k for k in KEYS if k)
        raise RequestError(f"{first.name} and {second.name} have none of the columns {known} in common to join by")
    places = [_places(table, key) for table in (first, second)]
    common = [k for k in places[0] if k in places[1]]
    if not common:
        raise RequestError(f"{first.name} and {second.name} have no {key or 'first column'} in common")
    rows = [[place[k] for k in common] for place in places]
    columns = {name: [cells[i] for i in rows[0]] for name, cells in first.columns.items()}
    for name, cells in second.columns.items():
        taken = [cells[i] for i in rows[1]]
        if name not in columns:
            columns[name] = taken
        elif columns[name] != taken and name not in KEYS and name.lower() not in OTHER:
            if name.lower() in SIZES | TOKENS | STEPS | STATES:
                raise RequestError(f"{first.name} and {second.name} both have a column {name!r}, with different cells")
            columns[f"metrics/{name}"] = taken  # a domain's weight in one table and its loss in the other
    notes = [f"joined by {key or 'the first column'}: {len(common)} runs"]
    for table, place in zip((first, second), places, strict=True):
        if len(place) > len(common):
            notes.append(f"{len(place) - len(common)} runs of {table.name} are left out: the other table has none")
    return Table(f"{first.name} with {second.name}", columns, [first.lines[i] for i in rows[0]]), notes


def _names_rows(table: Table, name: str) -> bool:
    """If the cells of a column are words, each once."""
    cells = [str(c) for c in table.columns.get(name, [])]
    return bool(cells) and len(set(cells)) == len(cells) and not any(_is_number(c) for c in cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _places(table: Table, key: str) -> dict[str, int]:
    """The row of every key. A row repeated whole counts once."""
    found: dict[str, int] = {}
    for i, cell in enumerate(table.columns[key]):
        name = str(cell)
        if name in found and any(c[i] != c[found[name]] for n, c in table.columns.items() if n not in KEYS):
            raise RequestError(f"{table.at(i)}: {key or 'the first column'} {name!r} stands twice, with other cells")
        found.setdefault(name, i)
    return found


def parse_names(text: str | Sequence[str] | None) -> tuple[str, ...]:
    """``"a, b"`` or a sequence as a tuple of names."""
    if text is None:
        return ()
    parts = text.split(",") if isinstance(text, str) else text
    return tuple(str(p).strip() for p in parts if str(p).strip())
