"""GNU message catalogues (``.mo``): English messages and their translations, as compiled by msgfmt."""

from __future__ import annotations

import re
import struct

from scalarize.utils.errors import RequestError

MAGIC = 0x950412DE
CONTEXT = "\x04"  # ends a message's context, which is no part of the text


def read(content: bytes, where: str) -> list[tuple[str, str]]:
    """Return the pairs (message, translation) of a UTF-8 catalogue in its order; of plurals, singular and first form.

    The layout is that of the GNU gettext manual, "The Format of GNU MO Files". Raises RequestError that names ``where``
    if the catalogue is damaged or is not UTF-8, whatever it declares.
    """
    try:
        order = {MAGIC.to_bytes(4, "little"): "<", MAGIC.to_bytes(4, "big"): ">"}[content[:4]]
        count, messages, translations = struct.unpack(f"{order}3I", content[8:20])
        raw = [(_piece(content, order, messages, k), _piece(content, order, translations, k)) for k in range(count)]
    except (KeyError, struct.error, ValueError):
        raise RequestError(f"{where}: damaged: not a message catalogue (.mo)") from None
    header = next((t for m, t in raw if not m), b"").decode("ascii", "replace")
    named = re.search(r"charset=([^\s;]+)", header)
    if named is None or named[1].lower() not in ("utf-8", "utf8"):
        raise RequestError(f"{where}: its encoding is {named[1] if named else 'not named'}, not UTF-8")
    try:
        decoded = [(m.decode(), t.decode()) for m, t in raw if m]
    except UnicodeDecodeError:
        raise RequestError(f"{where}: is not UTF-8, as it says") from None
    return [(m.rpartition(CONTEXT)[2].partition("\0")[0], t.partition("\0")[0]) for m, t in decoded]


def _piece(content: bytes, order: str, table: int, number: int) -> bytes:
    length, start = struct.unpack_from(f"{order}2I", content, table + 8 * number)
    if start + length > len(content):
        raise ValueError("beyond the end")
    return content[start : start + length]
