"""A joint vocabulary of subwords (SentencePiece, Kudo and Richardson 2018), and its symbols."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from scalarize.utils import files
from scalarize.utils.errors import RequestError

PAD, UNKNOWN, BEGIN, END = range(4)
REMEDY = "pip install 'scalarize[nmt]'"


def tag(language: str) -> str:
    """Return the symbol that asks for ``language`` (Johnson et al. 2017)."""
    return f"<2{language}>"


class Subwords:
    """A vocabulary: text to numbers and back. ``model`` comes from :func:`train`. Raises RequestError for damaged
    bytes.
    """

    def __init__(self, model: bytes, where: str = "the vocabulary") -> None:
        self._processor = _package().SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
        except RuntimeError:
            raise RequestError(f"{where}: damaged: not a SentencePiece model") from None

    def __len__(self) -> int:
        return int(self._processor.GetPieceSize())

    def symbol(self, language: str) -> int:
        """Return the number of a language's tag. Raises RequestError if the vocabulary was made without it."""
        found = int(self._processor.PieceToId(tag(language)))
        if found == UNKNOWN:
            raise RequestError(f"the vocabulary knows no language {language!r}")
        return found

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """Return the numbers of each line, without begin and end."""
        found: list[list[int]] = self._processor.Encode(list(lines))
        return found

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Return the text of each row; symbols are dropped."""
        found: list[str] = self._processor.Decode([[int(n) for n in row] for row in rows])
        return found


def train(lines: Iterable[str], size: int, languages: Sequence[str]) -> bytes:
    """Train a model of at most ``size`` pieces (fewer if the text has no more); equal lines give equal models.

    Pieces are SentencePiece's unigrams. Our choices: no normalisation, and bytes for rare characters, so that every
    text can be restored. Raises RequestError if ``size`` is too small for the symbols.
    """
    package, model = _package(), io.BytesIO()
    try:
        package.SentencePieceTrainer.Train(
            sentence_iterator=iter(lines),
            model_writer=model,
            vocab_size=size,
            hard_vocab_limit=False,
            byte_fallback=True,
            character_coverage=0.9995,
            normalization_rule_name="identity",
            control_symbols=[tag(language) for language in languages],
            pad_id=PAD,
            unk_id=UNKNOWN,
            bos_id=BEGIN,
            eos_id=END,
            num_threads=1,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        reason = str(error).splitlines()[-1][:200]
        raise RequestError(f"no vocabulary of {size} pieces can be made of this text: {reason}") from None
    return model.getvalue()


def cached(folder: Path, lines: Sequence[str], size: int, languages: Sequence[str]) -> Subwords:
    """Return the vocabulary of ``lines``, made once, then read from ``folder``; its name hashes all it depends on."""
    digest = hashlib.blake2b(f"{size} {' '.join(languages)}".encode(), digest_size=6)
    for line in lines:
        digest.update(line.encode() + b"\n")
    path = folder / f"vocabulary-{size}-{digest.hexdigest()}.model"
    if not path.is_file():
        files.write_bytes(path, train(lines, size, languages))
    return Subwords(files.read_bytes(path), str(path))


def _package() -> Any:
    try:
        import sentencepiece
    except ImportError:
        raise RequestError(f"translation needs sentencepiece: {REMEDY}") from None
    return sentencepiece
