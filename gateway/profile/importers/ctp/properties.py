"""Java properties files, the older form of CTP's anonymizer scripts and the form of its lookup tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.errors import ProfileError

_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}


@dataclass(frozen=True, slots=True)
class Property:
    """One entry.

    Attributes
    ----------
    line
        its first line in the file, from 1
    key, value
        unescaped; the key without the blanks around it
    text
        as written, continuation lines joined
    """

    line: int
    key: str
    value: str
    text: str


def read_properties(text: str, *, file: str) -> Iterator[Property]:
    """The entries of a properties file in order.

    A key ends at the first ``=`` (CTP's keys hold colons, blanks and brackets, and an editor of CTP reads them so).
    Lines that begin with ``#`` or ``!`` are comments; a backslash at the end of a line joins it with the next.

    Parameters
    ----------
    text
        the content of the file
    file
        its name, for errors

    Raises
    ------
    ProfileError
        a line is no entry; the error names file and line, not what stands there
    """
    for number, line in _logical_lines(text):
        key, equals, value = _split(line)
        if not equals:
            raise ProfileError(place=f"{file}:{number}", problem='this line has no "=" between a key and a value')
        place = f"{file}:{number}"
        yield Property(number, _unescaped(key, place).strip(), _unescaped(value, place), line)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    joined, first = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.lstrip()
        if not joined:
            if not stripped or stripped[0] in "#!":
                continue
            first = number
        joined += stripped
        backslashes = len(joined) - len(joined.rstrip("\\"))
        if backslashes % 2:
            joined = joined[:-1]
            continue
        yield first, joined
        joined = ""
    if joined:
        yield first, joined


def _split(line: str) -> tuple[str, str, str]:
    escaped = False
    for position, character in enumerate(line):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "=":
            return line[:position], "=", line[position + 1 :].lstrip()
    return line, "", ""


def _unescaped(text: str, place: str) -> str:
    characters: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character != "\\":
            characters.append(character)
            continue
        following = text[position : position + 1]
        position += 1
        if following == "u":
            digits = text[position : position + 4]
            position += 4
            if len(digits) != 4 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
                raise ProfileError(place=place, problem="a \\u escape has four hexadecimal digits")
            characters.append(chr(int(digits, 16)))
        else:
            characters.append(_ESCAPES.get(following, following))
    return "".join(characters)
