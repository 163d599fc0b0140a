"""Letters and digits drawn in the fonts that matplotlib ships and in those installed."""

from __future__ import annotations

import importlib.util
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scalarize.utils.errors import RequestError

CHARACTERS = string.digits + string.ascii_letters
INSTALLED = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
KINDS = ("serif", "sans", "mono")
# words of a family's name, looked for in this order: "DejaVu Sans Mono" is mono
_WORDS = {
    "mono": ("mono", "typewriter", "courier", "cmtt"),
    "sans": ("sans", "arial", "helvetica", "cmss", "roboto", "carlito"),
    "serif": ("serif", "stixgeneral", "times", "roman", "cmr10", "cmb10", "cmti10", "georgia", "caladea"),
}
_UNUSUAL = ("display", "math", "symbol", "icon", "emoji")


@dataclass(frozen=True)
class Font:
    """A font file with its kind ("serif", "sans", "mono"), its family without weights and widths, and its style."""

    path: Path
    kind: str
    family: str
    style: str

    @property
    def bold(self) -> bool:
        return "bold" in self.style.lower() or self.path.stem == "cmb10"

    @property
    def italic(self) -> bool:
        return any(word in self.style.lower() for word in ("italic", "oblique")) or self.path.stem == "cmti10"


def find(installed: bool = True) -> list[Font]:
    """Return text fonts of a known kind, sorted, one per family and style; ``installed``: the system's too."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise RequestError(
            "glyphs are drawn in the fonts of matplotlib, which is not installed: pip install matplotlib"
        )
    folders = [Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf", *(INSTALLED if installed else ())]
    found: dict[tuple[str, str], Font] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*.ttf"), key=lambda p: p.name):
            font = describe(path)
            if font is not None:
                found.setdefault((font.family, font.style), font)
    return sorted(found.values(), key=lambda f: (f.kind, f.family, f.style, f.path.name))


def describe(path: Path) -> Font | None:
    """Return what a font file says about itself; None for one that is no text font of a known kind."""
    from PIL import ImageFont

    try:
        family, style = ImageFont.truetype(str(path), 16).getname()
    except OSError:
        return None
    names = f"{family or ''} {path.stem}".lower()
    kind = next((k for k, words in _WORDS.items() if any(w in names for w in words)), None)
    if kind is None or any(w in names for w in _UNUSUAL):
        return None
    return Font(path, kind, (family or path.stem).replace(" Condensed", ""), style or "")


def draw(font: Font, character: str, side: int, generator: torch.Generator) -> Tensor:
    """Draw white on black, uint8 (1, side, side); size, position and a small rotation come from ``generator``."""
    from PIL import Image, ImageDraw, ImageFont

    size, right, down, turn = torch.rand(4, generator=generator).tolist()
    letters = ImageFont.truetype(str(font.path), round(side * (0.55 + 0.25 * size)))
    image = Image.new("L", (side, side))
    place = (side / 2 + side * 0.1 * (2 * right - 1), side / 2 + side * 0.1 * (2 * down - 1))
    ImageDraw.Draw(image).text(place, character, fill=255, font=letters, anchor="mm")
    turned = image.rotate(10 * (2 * turn - 1), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(turned).copy())[None]


def glyphs(fonts: Sequence[Font], side: int, drawings: int, seed: int) -> dict[str, Tensor]:
    """Draw every character in every font, ``drawings`` times.

    Returns:
        Images (N, 1, side, side) uint8, and N numbers each of ``font``, ``character`` (index into CHARACTERS) and
        ``group`` (equal for one character of one family).
    """
    generator = torch.Generator().manual_seed(seed)
    families = sorted({f.family for f in fonts})
    rows = [
        (draw(font, c, side, generator), number, k, families.index(font.family) * len(CHARACTERS) + k)
        for number, font in enumerate(fonts)
        for k, c in enumerate(CHARACTERS)
        for _ in range(drawings)
    ]
    pictures, numbers, characters, groups = zip(*rows, strict=True)
    return {
        "images": torch.stack(pictures),
        "font": torch.tensor(numbers),
        "character": torch.tensor(characters),
        "group": torch.tensor(groups),
    }
