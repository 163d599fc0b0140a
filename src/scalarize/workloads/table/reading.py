"""Reading of a table: CSV in its usual varieties, Parquet, or a data frame that is there already."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalarize.utils import files
from scalarize.utils.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = (",", ";", "\t", "|")
GZIP, PARQUET = b"\x1f\x8b", b"PAR1"
HEAD = 1 << 20  # bytes that are looked at to find out how a file is written


@dataclass(frozen=True)
class RawTable:
    """A table as it was read.

    frame: one row a row, columns by their names; cells of text are text, empty ones missing. hash: SHA-256 of the
    file's bytes, or of a frame's values, in hexadecimal digits. name: of the file, for messages. nameless: columns
    that had no name.
    """

    frame: pd.DataFrame
    hash: str
    name: str
    nameless: tuple[str, ...] = field(default=())


def read(path: Path) -> RawTable:
    """Read the table at ``path``: CSV (comma, semicolon, tab or bar; plain or gzip; with or without BOM) or Parquet.

    What a file is follows from its content, not from its name. A decimal comma is read where a semicolon separates.

    Raises:
        RequestError: one line that names the file, and the line at fault: no such file, a row longer than the header,
            two columns of one name, no UTF-8.
    """
    files.check_regular(path)
    try:
        with open(path, "rb") as handle:
            start = handle.read(4)
        checksum = _checksum(path)
    except OSError as error:
        raise files.read_error(path, error) from None
    if start.startswith(PARQUET):
        return _parquet(path, checksum)
    try:
        return _csv(path, checksum, start.startswith(GZIP))
    except UnicodeDecodeError:
        raise RequestError(f"{path}: cannot be read as CSV: it is not UTF-8; save it so") from None
    except (EOFError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RequestError(f"{path}: cannot be read: {reason}") from None
    except (ValueError, csv.Error) as error:
        if isinstance(error, RequestError):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RequestError(f"{path}: cannot be read as CSV: {reason}") from None


def from_frame(frame: Any, name: str = "table") -> RawTable:
    """Take a pandas data frame, or one of polars or another library that has ``to_pandas``.

    The frame is not changed. An index is no column.

    Raises:
        RequestError: it is no data frame, or two columns have one name.
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        if not hasattr(frame, "to_pandas"):
            raise RequestError(f"{name}: expected a data frame of pandas or polars, got {type(frame).__name__}")
        frame = frame.to_pandas()
    frame = frame.reset_index(drop=True)
    frame.columns = [str(column) for column in frame.columns]
    _no_name_twice(list(frame.columns), name)
    values = pd.util.hash_pandas_object(frame.astype({c: str for c in frame if frame[c].dtype == object}), index=False)
    told = hashlib.sha256("\0".join(frame.columns).encode("utf-8", "surrogatepass"))
    told.update(values.to_numpy().tobytes())
    return RawTable(frame, told.hexdigest(), name)


def _checksum(path: Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _parquet(path: Path, checksum: str) -> RawTable:
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except ImportError:
        raise RequestError(f"{path}: Parquet needs the package pyarrow: pip install pyarrow") from None
    except Exception as error:  # pyarrow has its own errors, and more of them than are documented
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RequestError(f"{path}: cannot be read as Parquet: {reason}") from None
    frame = frame.reset_index(drop=True)
    frame.columns = [str(column) for column in frame.columns]
    _no_name_twice(list(frame.columns), str(path))
    return RawTable(frame, checksum, path.name)


def _csv(path: Path, checksum: str, packed: bool) -> RawTable:
    import pandas as pd

    with _open(path, packed) as handle:
        head = handle.read(HEAD)
    if not head.strip():
        raise RequestError(f"{path}: is empty")
    separator = _separator(head)
    header = next(csv.reader(io.StringIO(head, newline=""), delimiter=separator))
    named = [name.strip() for name in header]
    while len(named) > 1 and not named[-1] and _trailing(head, separator, len(header)):
        named.pop()  # every row, the header too, ends with a separator
    _no_name_twice([name for name in named if name], str(path))
    nameless = tuple(f"column {k + 1}" for k, name in enumerate(named) if not name)
    columns = [name or f"column {k + 1}" for k, name in enumerate(named)]
    dropped = [f"\0{k}" for k in range(len(header) - len(named))]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # fields beyond the header
            frame = pd.read_csv(
                path,
                sep=separator,
                header=0,
                names=columns + dropped,
                index_col=False,
                compression="gzip" if packed else None,
                encoding="utf-8-sig",
                decimal="," if separator == ";" and _decimal_commas(head) else ".",
                keep_default_na=False,
                na_values=[""],
                low_memory=False,  # a column has one kind, however long it is
            )
    except (pd.errors.ParserWarning, pd.errors.ParserError) as error:
        raise _longer_row(path, packed, separator, len(header), str(error)) from None
    return RawTable(frame.drop(columns=dropped), checksum, path.name, nameless)


def _open(path: Path, packed: bool) -> io.TextIOBase:
    if packed:
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")  # type: ignore[return-value]
    return open(path, encoding="utf-8-sig", newline="")


def _separator(head: str) -> str:
    """Return the separator by which the first lines fall into equally many fields, more than one; else a comma."""
    lines = head.splitlines()[:50]
    if len(lines) > 2 and len(head) >= HEAD:
        lines = lines[:-1]  # cut off
    best, most = ",", 1
    for separator in SEPARATORS:
        counts = [len(row) for row in csv.reader(lines, delimiter=separator) if row]
        agree = sum(count == counts[0] for count in counts) / len(counts)
        if counts[0] > most and agree > 0.8:
            best, most = separator, counts[0]
    return best


def _trailing(head: str, separator: str, fields: int) -> bool:
    rows = [row for row in csv.reader(head.splitlines()[1:50], delimiter=separator) if row]
    full = [row for row in rows if len(row) == fields]
    return bool(full) and all(not row[-1].strip() for row in full)


def _decimal_commas(head: str) -> bool:
    """Return True if fields look like 3,14 and none like 3.14."""
    import re

    fields = [field.strip() for row in csv.reader(head.splitlines()[1:50], delimiter=";") for field in row]
    return any(re.fullmatch(r"[+-]?\d+,\d+", f) for f in fields) and not any(
        re.fullmatch(r"[+-]?\d+\.\d+", f) for f in fields
    )


def _no_name_twice(names: list[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise RequestError(f"{where}: two columns are called {name!r}; give each a name of its own")
        seen.add(name)


def _longer_row(path: Path, packed: bool, separator: str, width: int, reason: str) -> RequestError:
    """Find the first row with more fields than the header, for the message."""
    with _open(path, packed) as handle:
        reader = csv.reader(handle, delimiter=separator)
        for row in reader:
            if len(row) > width:
                return RequestError(
                    f"{path}: line {reader.line_num} has {len(row)} fields, the header names {width}; which column is "
                    "which cannot be known: name every column, or remove what is too much"
                )
    return RequestError(f"{path}: cannot be read as CSV: {reason.splitlines()[0]}")
