"""Tables of users behind runs: the same one, or refused by name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scalarize.utils import files
from scalarize.utils.errors import RequestError


def check_same(held: Any, now: Mapping[str, Any], where: str) -> None:
    """Check that a table is the one that something was made from.

    Args:
        held: fingerprint in its ``config.yaml``; None if it was made before tables had one.
        now: fingerprint of the table at hand.
        where: words that a message begins with.

    Raises:
        RequestError: the table is another one, or was changed; the message says in what.
    """
    if not isinstance(held, Mapping) or "sha256" not in held:
        raise RequestError(f"{where}: made by an earlier version, which kept no fingerprint of its table: start anew")
    if held["sha256"] == now["sha256"]:
        return
    changes = [
        f"{key}: {held.get(key)} then, {now[key]} now" for key in ("rows", "columns") if held.get(key) != now[key]
    ]
    before, after = held.get("kinds") or {}, now["kinds"]
    if set(before) != set(after):
        changes.append(f"columns {', '.join(sorted(set(before) ^ set(after))[:5])}")
    raise RequestError(
        f"{where}: the table {now['name']} is not the one that this was made from ({held.get('name')}): "
        + ("; ".join(changes) or "same size, other values")
        + "; restore it, or start anew in another `out`"
    )


def check_unchanged(config: Mapping[str, Any], directory: Path) -> None:
    """Check that the table behind a run is what it was, if its file is still there.

    Args:
        config: content of the run's ``config.yaml``.
        directory: the run's, for messages.

    Raises:
        RequestError: the file is there, and changed.
    """
    held, path = config.get("table"), config.get("request", {}).get("csv")
    if not isinstance(held, Mapping) or not isinstance(path, str) or not Path(path).is_file():
        return
    files.check_regular(path)
    with open(path, "rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    if found != held.get("sha256"):
        raise RequestError(f"{directory}: {path} has changed since this was made from it: restore it, or start anew")
