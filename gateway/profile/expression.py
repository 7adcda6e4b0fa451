r"""Regular expressions of users: Python's notation, searched in linear time.

Python's engine tries alternatives one after the other: a pattern with nested repetitions such as ``(a+)+$`` takes
longer than the universe on forty letters, and keeps every other thread of its process waiting meanwhile. RE2 takes time
that grows with the text alone. What it lacks is refused when the profile is loaded; what it means differently is
translated: ``\w``, ``\d`` and ``\s`` know the letters, digits and spaces of all scripts, ``\Z`` is the end of the text,
and ``\b`` is the edge of a word of any script.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import re2

__all__ = ["Expression", "ExpressionWrong"]

#: Escapes of Python that RE2 knows for ASCII only, and those that it spells otherwise.
_CLASSES: Final = {"w": r"\p{L}\p{M}\p{N}_", "d": r"\p{Nd}", "s": r"\s\x0B\x1C-\x1F\x{85}\p{Z}"}
_COMPLEMENTS: Final = {"W": "w", "D": "d", "S": "s"}
_SPELT: Final = {"Z": r"\z", "A": r"\A"}
#: Letters alone, written as Python's users do for want of a class of their own.
_LETTERS: Final = {r"[^\W\d_]": r"[\p{L}\p{M}]", r"[^\d\W_]": r"[\p{L}\p{M}]", r"[^\W_]": r"[\p{L}\p{M}\p{N}]"}
_REFUSED: Final = {
    "(?=": "looks ahead",
    "(?!": "looks ahead",
    "(?<=": "looks behind",
    "(?<!": "looks behind",
    "(?P=": "refers to a group",
    "(?(": "asks for a group",
    "(?>": "keeps what it has matched",
    "(?#": "holds a comment",
}
_HEX: Final = {"x": 2, "u": 4, "U": 8}
#: Memory of a compiled pattern, in bytes: RE2's own default is 8 MB, for each pattern and process.
_MOST_MEMORY: Final = 2 << 20


class ExpressionWrong(ValueError):
    """A pattern or a replacement that cannot be used; the message says why, in words for its author."""


@dataclass(frozen=True, slots=True)
class Expression:
    r"""A pattern that was understood.

    Attributes
    ----------
    pattern
        as its author wrote it
    """

    pattern: str
    _compiled: Any = field(init=False, repr=False, compare=False)
    #: The number of each of the author's groups among those of the translation; that of the whole match is 0.
    _groups: tuple[int, ...] = field(init=False, repr=False, compare=False)
    #: Empty groups that stand where a word has to have its edge.
    _edges: tuple[int, ...] = field(init=False, repr=False, compare=False)
    _names: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        translation = _Translation(self.pattern)
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MOST_MEMORY
        try:
            compiled = re2.compile(translation.text, options=options)
        except re2.error as failed:
            raise ExpressionWrong(_reason(failed)) from None
        object.__setattr__(self, "_compiled", compiled)
        object.__setattr__(self, "_groups", (0, *translation.groups))
        object.__setattr__(self, "_edges", tuple(translation.edges))
        object.__setattr__(self, "_names", {name: compiled.groupindex[name] for name in compiled.groupindex})

    def __reduce__(self) -> tuple[type[Expression], tuple[str]]:
        # Programs travel to the processes that apply them; what RE2 compiled does not.
        return Expression, (self.pattern,)

    @property
    def groups(self) -> int:
        """How many groups the author may refer to."""
        return len(self._groups) - 1

    def template(self, replacement: str) -> Template:
        r"""A replacement for matches of this pattern; ``\1`` and ``\g<name>`` stand for groups.

        Raises
        ------
        ExpressionWrong
            it names a group that there is not, or holds an escape that means nothing
        """
        return Template(tuple(self._parts(replacement)))

    def substitute(self, template: Template, text: str) -> tuple[str, int]:
        """``text`` with every match replaced, from left to right, and how many there were.

        Parameters
        ----------
        template
            made by this pattern
        text
            of any length; the time grows with it
        """
        # RE2 searches UTF-8: encoded once, and not for every match.
        encoded = text.encode("utf-8", "surrogatepass")
        written: list[bytes] = []
        at = count = 0
        for match in self._matches(encoded):
            written += (encoded[at : match.start()], template.filled(match))
            at = match.end()
            count += 1
        return b"".join((*written, encoded[at:])).decode("utf-8", "surrogatepass"), count

    def _matches(self, text: bytes) -> Iterator[Any]:
        """Matches that do not overlap; as in Python, an empty one may follow another one at its end."""
        at = 0
        while at <= len(text):
            match = self._compiled.search(text, at)
            if match is None:
                return
            start, end = match.span()
            if not self._has_its_edges(match, text):
                at = _next(text, start)
                continue
            yield match
            at = end if end > start else _next(text, end)

    def _has_its_edges(self, match: Any, text: bytes) -> bool:
        return all(match.start(number) < 0 or _is_edge(text, match.start(number)) for number in self._edges)

    def _parts(self, replacement: str) -> Iterator[str | int]:
        at = 0
        while (escape := replacement.find("\\", at)) >= 0:
            yield replacement[at:escape]
            sign = replacement[escape + 1 : escape + 2]
            at = escape + 2
            if sign.isascii() and sign.isdigit():
                second = replacement[at : at + 1]
                if second.isascii() and second.isdigit():
                    at += 1
                    sign += second
                yield self._group(sign)
            elif sign == "g" and replacement[at : at + 1] == "<" and ">" in replacement[at:]:
                close = replacement.index(">", at)
                yield self._group(replacement[at + 1 : close])
                at = close + 1
            elif sign == "\\":
                yield sign
            elif sign and sign in "nrt":
                yield {"n": "\n", "r": "\r", "t": "\t"}[sign]
            else:
                raise ExpressionWrong(f"\\{sign} means nothing in a replacement; write \\\\ for a backslash")
        yield replacement[at:]

    def _group(self, name: str) -> int:
        if name.isascii() and name.isdigit():
            if int(name) < len(self._groups):
                return self._groups[int(name)]
            raise ExpressionWrong(f"the pattern has {self.groups} groups, not {name}")
        if name in self._names:
            return self._names[name]
        raise ExpressionWrong(f'the pattern has no group "{name}"')


@dataclass(frozen=True, slots=True)
class Template:
    """A replacement: text, and numbers of groups of the pattern that it belongs to."""

    parts: tuple[str | int, ...]

    def filled(self, match: Any) -> bytes:
        """The text that replaces ``match``, in UTF-8; a group that took no part in it is empty."""
        return b"".join(part.encode() if isinstance(part, str) else match.group(part) or b"" for part in self.parts)


class _Translation:
    """A pattern in RE2's notation."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        #: Numbers of the author's groups, and of the groups that stand for edges of words.
        self.groups: list[int] = []
        self.edges: list[int] = []
        self._count = 0
        self.text = "".join(self._pieces())

    def _pieces(self) -> Iterator[str]:
        pattern = self._pattern
        while self._at < len(pattern):
            sign = pattern[self._at]
            if sign == "\\":
                yield self._escape(inside=False)
            elif sign == "[":
                yield self._class()
            elif sign == "(":
                yield self._open()
            else:
                self._at += 1
                yield sign

    def _open(self) -> str:
        rest = self._pattern[self._at :]
        for start, does in _REFUSED.items():
            if rest.startswith(start):
                raise ExpressionWrong(
                    f'at character {self._at + 1}: "{start}" {does}, which a search in linear time cannot'
                )
        if not rest.startswith("(?") or rest.startswith("(?P<"):
            self._count += 1
            self.groups.append(self._count)
        self._at += 1
        return "("

    def _escape(self, *, inside: bool) -> str:
        at = self._at
        sign = self._pattern[at + 1 : at + 2]
        self._at += 2
        if not sign:
            raise ExpressionWrong("it ends in a backslash")
        if sign in _CLASSES:
            return _CLASSES[sign] if inside else f"[{_CLASSES[sign]}]"
        if sign in _COMPLEMENTS:
            if inside:
                raise ExpressionWrong(
                    f"at character {at + 1}: \\{sign} inside [...] cannot be searched for in linear time; "
                    r"\p{L} is a letter, \P{L} none"
                )
            return f"[^{_CLASSES[_COMPLEMENTS[sign]]}]"
        if sign in _HEX:
            digits = self._pattern[self._at : self._at + _HEX[sign]]
            if len(digits) < _HEX[sign] or not all(one in "0123456789abcdefABCDEF" for one in digits):
                raise ExpressionWrong(f"at character {at + 1}: {_HEX[sign]} hexadecimal digits follow \\{sign}")
            self._at += _HEX[sign]
            return f"\\x{{{digits}}}"
        if sign == "b":
            return r"\x08" if inside else self._edge()
        if sign == "B":
            raise ExpressionWrong(f"at character {at + 1}: \\B cannot be searched for in linear time")
        if sign in "123456789":
            raise ExpressionWrong(
                f"at character {at + 1}: \\{sign} refers to a group, which a search in linear time cannot"
            )
        if sign == "0":
            return r"\x00"
        if sign in "pP":
            # RE2's own: \p{L}, \pN.
            return "\\" + sign
        return _SPELT.get(sign, "\\" + sign)

    def _edge(self) -> str:
        self._count += 1
        self.edges.append(self._count)
        return "()"

    def _class(self) -> str:
        for written, meant in _LETTERS.items():
            if self._pattern.startswith(written, self._at):
                self._at += len(written)
                return meant
        pieces = ["["]
        self._at += 1
        if self._pattern[self._at : self._at + 1] == "^":
            pieces.append("^")
            self._at += 1
        first = True
        while self._at < len(self._pattern):
            sign = self._pattern[self._at]
            if sign == "]" and not first:
                self._at += 1
                return "".join((*pieces, "]"))
            first = False
            if sign == "\\":
                pieces.append(self._escape(inside=True))
                continue
            self._at += 1
            # Only a letter to Python; RE2 would see the name of a class in [:alpha:].
            pieces.append("\\" + sign if sign in "[]" else sign)
        raise ExpressionWrong("a [ has no ]")


def _next(text: bytes, at: int) -> int:
    """Where the character after the one at ``at`` begins."""
    at += 1
    while at < len(text) and text[at] & 0xC0 == 0x80:
        at += 1
    return at


def _is_edge(text: bytes, at: int) -> bool:
    """Whether a word begins or ends at ``at``."""
    first = at - 1
    while first > 0 and text[first] & 0xC0 == 0x80:
        first -= 1
    before = text[max(first, 0) : at]
    return _is_word(before) != _is_word(text[at : _next(text, at)])


def _is_word(sign: bytes) -> bool:
    """Whether one encoded character belongs to a word; none does not."""
    character = sign.decode("utf-8", "surrogatepass")
    return character == "_" or (character != "" and unicodedata.category(character)[0] in "LMN")


def _reason(failed: Exception) -> str:
    said = failed.args[0] if failed.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
