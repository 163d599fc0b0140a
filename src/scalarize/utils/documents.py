"""One reader of documents that anyone may have written: JSON and YAML, as plain data within stated bounds.

A document holds mappings, lists, words, numbers, truth values and null, and nothing else. Its bounds are checked before
it is unfolded, so that no input takes more time or memory than its size suggests.
"""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

from scalarize.utils import not_finite
from scalarize.utils.errors import RequestError

MOST_BYTES = 64 * 2**20  # of a JSON document
MOST_YAML = 4 * 2**20  # bytes of a YAML document, which takes far longer to read
MOST_TABLE = 2**28  # bytes of a table of runs
MOST_VALUES = 1_000_000  # of a YAML document
MOST_DEPTH = 100
MOST_DIGITS = 64  # of a number

_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_LONG_NUMBER = re.compile(rb"\d{20}|[eE]\+?\d{3}")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")  # half a letter, or of a file's name that is not UTF-8
_TAG = "tag:yaml.org,2002:"
_LOADERS: dict[Any, Any] = {}


def from_json(content: bytes, where: str) -> Any:
    """Return the content of a JSON document.

    Args:
        content: the document in UTF-8. The words NaN and Infinity, which JSON has not, are read as numbers: early
            versions wrote them.
        where: what the message of an error begins with.

    Returns:
        Plain data.

    Raises:
        RequestError: it is no JSON, or exceeds a bound.

    >>> from_json(b'{"a": [1, null]}', "it")
    {'a': [1, None]}
    """
    try:
        _check_size(content, MOST_BYTES)
        if content.count(b"[") + content.count(b"{") > MOST_DEPTH:
            _check_brackets(content)
        text = content.decode()
        bounded: Any = {"parse_int": _whole, "parse_float": _real} if _LONG_NUMBER.search(content) else {}
        return not_finite.restored(_letters(json.loads(text, **bounded), content))
    except (ValueError, RecursionError) as error:  # invalid UTF-8, invalid JSON, a bound
        raise RequestError(f"{where}: cannot be read as JSON: {_reason(error)}") from None


def from_yaml(content: bytes | str, where: str) -> Any:
    """Return the content of a YAML document without aliases.

    Args:
        content: the document.
        where: what the message of an error begins with.

    Returns:
        Plain data; dates are words.

    Raises:
        RequestError: it is no YAML, holds an alias or a tag of a kind that plain data have not, or exceeds a bound.

    >>> from_yaml("a: [1, 2020-01-01]", "it")
    {'a': [1, '2020-01-01']}
    >>> from_yaml("a: &b [1]", "it")
    {'a': [1]}
    >>> from_yaml("a: &b [1]\\nc: *b", "it")
    Traceback (most recent call last):
        ...
    scalarize.utils.errors.RequestError: it: cannot be read: it holds the alias *b: write its content out
    """
    import yaml

    try:
        data = content.encode(errors="surrogatepass") if isinstance(content, str) else content
        _check_size(data, MOST_YAML)
        loader = _loader(data)
        _check_events(yaml.parse(data, loader))
        return _letters(yaml.load(data, loader), data)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        raise RequestError(f"{where}: cannot be read: {_reason(error)}") from None


def from_csv(content: bytes, where: str) -> list[tuple[int, list[str]]]:
    """Return the rows of a small table in UTF-8, separated by commas, each with the number of its line.

    Args:
        content: the table.
        where: what the message of an error begins with.

    Returns:
        Line and cells of each row, the header first.

    Raises:
        RequestError: it is no CSV, or exceeds a bound.

    >>> from_csv(b"a,b\\n1,2\\n", "it")
    [(1, ['a', 'b']), (2, ['1', '2'])]
    """
    try:
        _check_size(content, MOST_TABLE)
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        return [(reader.line_num, row) for row in reader]
    except (ValueError, csv.Error) as error:
        raise RequestError(f"{where}: cannot be read as CSV: {_reason(error)}") from None


def to_json(content: Any, indent: int | None = None, reasons: bool = True) -> str:
    """Return plain data as a JSON document, in which a number that is not finite is null.

    Args:
        content: plain data.
        indent: spaces a level. Default: none, in one line.
        reasons: say in the entry ``not_finite`` of a mapping which numbers these are. Default True.

    Returns:
        The document, without a newline at its end.

    >>> to_json({"a": 0.5, "b": [float("nan")]})
    '{"a": 0.5, "b": [null], "not_finite": [{"at": ["b", 0], "was": "nan"}]}'
    """
    try:
        return json.dumps(content, indent=indent, allow_nan=False)
    except ValueError:
        return json.dumps(not_finite.without(content, reasons), indent=indent, allow_nan=False)


def to_yaml(content: Any) -> str:
    """Return plain data as a YAML document without aliases.

    Raises RequestError if the document is longer than :func:`from_yaml` reads.
    """
    import yaml

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    text = str(yaml.dump(content, Dumper=Plain, sort_keys=False))
    if len(text) > MOST_YAML:  # it is ASCII
        raise RequestError(f"the request is longer than the {MOST_YAML // 2**20} MiB that a configuration may have")
    return text


def _check_size(content: bytes, most: int) -> None:
    if len(content) > most:
        raise ValueError(f"it has more than {most // 2**20} MiB")


def _check_brackets(content: bytes) -> None:
    """Raise ValueError if the lists and mappings of a JSON document nest too deeply."""
    depth = 0
    for token in _BRACKETS.finditer(content):
        first = content[token.start()]
        if first in b"[{":
            depth += 1
            _check_depth(depth)
        elif first in b"]}":
            depth -= 1


def _check_depth(depth: int) -> None:
    if depth > MOST_DEPTH:
        raise ValueError(f"its lists and mappings nest deeper than {MOST_DEPTH}")


def _check_events(events: Any) -> None:
    """Raise ValueError for an alias, or for more or deeper values than are read."""
    from yaml import events as kinds

    depth = 0
    for count, event in enumerate(events):
        if isinstance(event, kinds.AliasEvent):
            raise ValueError(f"it holds the alias *{event.anchor}: write its content out")
        if isinstance(event, kinds.CollectionStartEvent):
            depth += 1
            _check_depth(depth)
        elif isinstance(event, kinds.CollectionEndEvent):
            depth -= 1
        if count > 2 * MOST_VALUES:  # a list is two events
            raise ValueError(f"it holds more than {MOST_VALUES:,} values")


def _loader(content: bytes) -> Any:
    """Return a loader of plain data: libyaml's if it is there and reads all that the other reads; it is ten times as
    fast."""
    import yaml

    base = yaml.SafeLoader if _SURROGATE.search(content) else getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    if base not in _LOADERS:
        kept = {_TAG + name: base.yaml_constructors[_TAG + name] for name in ("null", "bool", "str", "seq", "map")}
        plain: Any = type("PlainLoader", (base,), {"yaml_constructors": kept})
        for name in ("int", "float"):
            plain.add_constructor(_TAG + name, _bounded(base.yaml_constructors[_TAG + name]))
        plain.add_constructor(_TAG + "timestamp", lambda loader, node: loader.construct_scalar(node))
        plain.add_constructor(None, base.construct_undefined)
        _LOADERS[base] = plain
    return _LOADERS[base]


def _bounded(construct: Any) -> Any:
    def number(loader: Any, node: Any) -> Any:
        _check_digits(str(node.value))
        return construct(loader, node)

    return number


def _check_digits(text: str) -> None:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"it holds a number of more than {MOST_DIGITS} digits")


def _whole(text: str) -> int:
    _check_digits(text)
    return int(text)


def _real(text: str) -> float:
    value = float(text)
    if value in (float("inf"), -float("inf")):
        raise ValueError(f"it holds the number {text[:MOST_DIGITS]}, which is too large")
    return value


def _letters(found: Any, content: bytes) -> Any:
    """Return what was read. Raises ValueError if it holds half a letter that is no byte of a file's name."""
    if _SURROGATE.search(content):
        json.dumps(found, ensure_ascii=False, default=str).encode(errors="surrogateescape")
    return found


def _reason(error: BaseException) -> str:
    """Say in one line what is wrong, with the line of a document if that is known."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if problem and mark is not None:
        return f"line {mark.line + 1}: {problem}"
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
