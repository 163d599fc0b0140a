"""Digests of files: SHA-256, of a checkpoint over the checksums that it holds already.

A checkpoint of torch is a zip archive, whose directory at the end lists the CRC-32 of every part. The digest of that
directory stands for the whole at no cost in writing; in reading, the parts are compared with their checksums.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile

_LOCAL, _END, _END64 = b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06"
_ARCHIVE = "zip-sha256:"
_MOST = 2048  # bytes from the last record on, with a comment of ours


def of(content: bytes | memoryview) -> str:
    """Return the digest of a file.

    Args:
        content: of the file.

    Returns:
        The way it was made and hexadecimal digits, such as ``sha256:e3b0...``.

    >>> of(b"abc")[:15]
    'sha256:ba7816bf'
    """
    found = _directory(content)
    if found is None:
        return f"sha256:{hashlib.sha256(content).hexdigest()}"
    begin, end = found
    return f"{_ARCHIVE}{hashlib.sha256(content[begin : end + 20]).hexdigest()}"


def matches(content: bytes | memoryview, digest: str) -> bool:
    """Compare a file with its digest.

    Args:
        content: of the file.
        digest: as :func:`of` returned it.

    Returns:
        True if the file is the one of which the digest was made.

    >>> matches(b"abc", of(b"abc")), matches(b"abd", of(b"abc"))
    (True, False)
    """
    if of(content) != digest:
        return False
    return not digest.startswith(_ARCHIVE) or _whole(content)


def comment(content: bytes) -> bytes:
    """Return the comment of an archive; nothing if it has none."""
    end = _end(content)
    return b"" if end is None else content[end + 22 :]


def _end(content: bytes | memoryview) -> int | None:
    """Return the place of an archive's last record, after which a comment may follow; None if this is no archive."""
    if bytes(content[:4]) != _LOCAL:
        return None
    tail = bytes(content[-_MOST:])
    place = tail.rfind(_END)
    if place < 0 or len(tail) - place < 22 or struct.unpack_from("<H", tail, place + 20)[0] != len(tail) - place - 22:
        return None
    return len(content) - len(tail) + place


def _directory(content: bytes | memoryview) -> tuple[int, int] | None:
    """Return the places of an archive's directory and of its last record; None if this is no archive, or has no
    checksums."""
    end = _end(content)
    if end is None or not _checksums():
        return None
    begin = int(struct.unpack_from("<I", content, end + 16)[0])
    if begin == 0xFFFFFFFF and end >= 20:  # above 4 GB the place is in another record, whose place is written here
        place = int(struct.unpack_from("<Q", content, end - 12)[0])
        if place + 56 > len(content) or bytes(content[place : place + 4]) != _END64:
            return None
        begin = int(struct.unpack_from("<Q", content, place + 48)[0])
    return (begin, end) if begin < end else None


def _checksums() -> bool:
    """Return True if torch writes the CRC-32 of the parts, as it does unless it is told otherwise."""
    import sys

    torch = sys.modules.get("torch")
    return torch is None or bool(torch.serialization.get_crc32_options())


def _whole(content: bytes | memoryview) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.testzip() is None
    except Exception:  # damaged bytes can make the reader raise anything
        return False
