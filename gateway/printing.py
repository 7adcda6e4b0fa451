"""What is printed or exported is text: no escape sequence of a terminal, no formula of a spreadsheet.

Names of files, AE titles, answers of servers and reasons that people type come from outside. Everything that a command
prints passes :class:`PlainStream`; what goes into a table for spreadsheets passes :func:`cell`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO, cast

__all__ = ["PlainStream", "cell", "printable", "printing_plainly", "terminal"]

#: Controls of C0 but line feed and tab, DEL, C1; what changes the direction of text or breaks lines unseen; halves of
#: surrogate pairs, which stand for bytes of file names that are no text.
_UNSAFE: Final = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_CONTROL: Final = re.compile(f"[{_UNSAFE}]")
#: The same, but for bold, dim, italic, underlined and six colours, which rich gives to a terminal.
_CONTROL_BUT_STYLE: Final = re.compile(f"\x1b\\[(?:(?:[0-49]|2[2-4]|3[1-69])(?:;|(?=m)))*m|[{_UNSAFE}]")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?")


def printable(text: str) -> str:
    """``text`` with its controls as JSON writes them by number. Line feeds and tabs stay."""
    return _CONTROL.sub(_written, text)


def cell(text: str) -> str:
    """``text`` for a cell of a table that a spreadsheet may open: nothing that it takes for a formula, no controls.

    A number stays one; anything else that begins like a formula gets an apostrophe in front.
    """
    if text.startswith(_FORMULA) and _NUMBER.fullmatch(text) is None:
        text = f"'{text}"
    return printable(text)


class PlainStream:
    """A text stream that lets no control through but line feed and tab, and on a terminal changes of style.

    Parameters
    ----------
    stream
        where the text goes
    """

    def __init__(self, stream: TextIO) -> None:
        self.below = stream
        self._control = _CONTROL_BUT_STYLE if stream.isatty() else _CONTROL

    def write(self, text: str) -> int:
        """Write text; returns its length, as streams do."""
        if not isinstance(text, str):
            raise TypeError("text is written here")
        self.below.write(self._control.sub(_written, text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the stream's: its encoding, whether it is a terminal, its bytes below."""
        return getattr(self.below, name)


@contextmanager
def printing_plainly() -> Iterator[None]:
    """Standard output and error are plain within the block."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", PlainStream(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def terminal(stream: TextIO) -> TextIO:
    """The stream below a plain one: for a progress bar, which moves the cursor and shows constant texts only."""
    return stream.below if isinstance(stream, PlainStream) else stream


def _written(found: re.Match[str]) -> str:
    text = found[0]
    return f"\\u{ord(text):04x}" if len(text) == 1 else text
