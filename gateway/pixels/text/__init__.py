"""Finding text that is burned into images; needs the extra ``ocr``."""

from __future__ import annotations

from gateway.pixels.text.box import Findings, Remains, TextBox
from gateway.pixels.text.finder import TextFinder

__all__ = ["Findings", "Remains", "TextBox", "TextFinder"]
