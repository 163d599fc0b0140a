"""Cleaning of pairs of a message and its translation: markup is removed, mismatched pairs are dropped."""

from __future__ import annotations

import functools
import re
import unicodedata

MOST_CHARACTERS = 240  # of the English side
PLACEHOLDER = re.compile(
    r"%(?:\d+\$)?[-+ #0]*[\d*]*(?:\.[\d*]+)?(?:hh|h|ll|l|q|j|z|t|L)?[a-zA-Z%]|\$?\{\w*\}|%\(\w+\)s"
)
TAG = re.compile(r"</?(?:a|b|big|br|code|em|i|li|p|small|span|strong|sub|sup|tt|u|ul)(?:\s[^<>]*)?/?>", re.IGNORECASE)
ENTITY = re.compile(r"&(?:#\d+|[a-z]+);", re.IGNORECASE)
APART = re.compile(r"\s*\((?:_|&)\w\)")  # "文件(_F)"
LEADING = re.compile(r"(?<![\w&])[_&](?=[^\W\d_])")  # "_File", "&File"
INNER = re.compile(r"\w+[_&]\w+")  # "Pri_nt", but also "iso_639"
RATIO = {"zh": (0.1, 1.6)}  # characters of the translation to those of the message
LATIN = (0.4, 3.0)


def clean(message: str, translation: str, language: str) -> tuple[str, str] | str:
    """Return the pair as two lines of text, or the reason to drop it in a word.

    ``zh`` must be in Han characters, other languages in Latin ones. Placeholders (``%s``, ``{name}``) stay, and must be
    the same on both sides; markup and accelerator marks ("_File", "文件(_F)") are removed.
    """
    if sorted(PLACEHOLDER.findall(message)) != sorted(PLACEHOLDER.findall(translation)):
        return "placeholders"
    if len(TAG.findall(message)) != len(TAG.findall(translation)) or ENTITY.search(message + translation):
        return "tags"
    source, target = (" ".join(LEADING.sub("", APART.sub("", TAG.sub("", t))).split()) for t in (message, translation))
    if set(INNER.findall(source)) != set(INNER.findall(target)):
        return "accelerators"
    if not any(c.isalpha() for c in PLACEHOLDER.sub("", source)) or len(source) > MOST_CHARACTERS:
        return "length"
    low, high = RATIO.get(language, LATIN)
    if not low <= len(target) / len(source) <= high and abs(len(target) - len(source)) > 10:
        return "ratio"
    if source.casefold() == target.casefold():
        return "untranslated"
    return (source, target) if _in_script(PLACEHOLDER.sub("", target), language) else "script"


def _in_script(text: str, language: str) -> bool:
    """Return True if at least half of the letters are Han (Chinese) or nine tenths Latin (others; names stay as they
    are).
    """
    scripts = [_script(c) for c in text if c.isalpha()]
    wanted, share = ("CJK", 0.5) if language == "zh" else ("LATIN", 0.9)
    return bool(scripts) and scripts.count(wanted) >= share * len(scripts)


@functools.cache
def _script(letter: str) -> str:
    """Return the first word of the letter's Unicode name."""
    return unicodedata.name(letter, "").partition(" ")[0]


def key(source: str) -> str:
    """Return the key by which messages are told apart in splits: letters without case, placeholders and punctuation.

    >>> key("Cannot open '%s'!") == key("cannot open %s")
    True
    """
    return "".join(c for c in PLACEHOLDER.sub("", source).casefold() if c.isalpha())
