"""The replacement scripts of CTP's DicomAnonymizer, parsed.

A script is text with function calls: ``PRE-@hash(this,8)``. A call has a name, arguments in parentheses and, for
``@if``, ``@select`` and ``@append``, blocks in braces, which are scripts themselves. A backslash takes the special
meaning from the character after it. Arguments are kept as written: quotation marks, parameters and element names in
them mean what the function makes of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

#: Function -> how many blocks in braces follow its arguments.
_BLOCKS: Final = {"if": 2, "select": 2, "append": 1}
#: Every function that CTP knows, and the result words that it treats as such.
FUNCTIONS: Final = frozenset((
    "always", "append", "blank", "call", "contents", "date", "dateinterval", "decrypt", "empty", "encrypt", "hash",
    "hashdate", "hashname", "hashptid", "hashuid", "if", "incrementdate", "initials", "integer", "keep", "lookup",
    "lowercase", "modifydate", "param", "pathelement", "process", "quarantine", "remove", "require", "round", "select",
    "skip", "time", "truncate", "uppercase", "value",
))  # fmt: skip
_MAXIMUM_DEPTH: Final = 32


class ScriptError(ValueError):
    """A script that cannot be read; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Call:
    """One function call.

    Attributes
    ----------
    name
        without the ``@``
    arguments
        as written, trimmed, with their quotation marks
    blocks
        the scripts in braces; those that are left out are empty
    """

    name: str
    arguments: tuple[str, ...]
    blocks: tuple[Script, ...] = ()

    def argument(self, number: int) -> str:
        """An argument without its quotation marks, empty if it is not there."""
        return unquoted(self.arguments[number]) if number < len(self.arguments) else ""

    @property
    def call(self) -> str:
        """The call without its blocks, as CTP writes it."""
        return f"@{self.name}({','.join(self.arguments)})"


#: Text and calls, in order; neighbouring texts are joined.
Script: TypeAlias = "tuple[str | Call, ...]"


def unquoted(argument: str) -> str:
    """``argument`` without the quotation marks around it."""
    if len(argument) > 1 and argument.startswith('"') and argument.endswith('"'):
        return argument[1:-1]
    return argument


def parse_script(text: str, *, depth: int = 0) -> Script:
    """Parse a script.

    Raises
    ------
    ScriptError
        a parenthesis, brace or quotation mark is not closed, or a call has no arguments
    """
    if depth > _MAXIMUM_DEPTH:
        raise ScriptError("blocks are nested too deeply")
    parts: list[str | Call] = []
    plain: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character == "\\":
            plain.append(text[position : position + 1])
            position += 1
        elif character == "@":
            if plain:
                parts.append("".join(plain))
                plain = []
            call, position = _call(text, position, depth)
            parts.append(call)
        else:
            plain.append(character)
    if plain:
        parts.append("".join(plain))
    return tuple(parts)


def _call(text: str, start: int, depth: int) -> tuple[Call, int]:
    """The call whose name begins at ``start``, and where it ends."""
    opening = text.find("(", start)
    if opening < 0:
        raise ScriptError(f'"@{text[start:].strip()[:40]}" has no parentheses')
    name = "".join(text[start:opening].split())
    if not name.isalnum():
        raise ScriptError(f'"@{name[:40]}" is no name of a function')
    arguments: list[str] = []
    begin, end = opening + 1, opening
    while True:
        end = _delimiter(text, end + 1, ",)", "(")
        if end < 0:
            raise ScriptError(f"the parenthesis of @{name} is not closed")
        arguments.append(text[begin:end].strip())
        begin = end + 1
        if text[end] == ")":
            break
    position = end + 1
    blocks: list[Script] = []
    for _ in range(_BLOCKS.get(name, 0)):
        brace = position + len(text[position:]) - len(text[position:].lstrip())
        if text[brace : brace + 1] != "{":
            if not blocks:
                raise ScriptError(f"@{name} has no block in braces")
            # CTP ignores what follows a missing second block: an error here, where nothing is ignored.
            if text[position:].strip():
                raise ScriptError(f'"{text[position:].strip()[:40]}" follows the only block of @{name}')
            blocks.append(())
            break
        closing = _delimiter(text, brace + 1, "}", "{")
        if closing < 0:
            raise ScriptError(f"a brace of @{name} is not closed")
        blocks.append(parse_script(text[brace + 1 : closing], depth=depth + 1))
        position = closing + 1
    given = tuple(arguments) if arguments != [""] else ()
    return Call(name, given, tuple(blocks)), position


def _delimiter(text: str, start: int, delimiters: str, opening: str) -> int:
    """The first of ``delimiters`` outside quotation marks, brackets and nested pairs, or -1."""
    nested, brackets, quoted, escaped = 1, 0, False, False
    for position in range(start, len(text)):
        character = text[position]
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif character == "[":
            brackets += 1
        elif character == "]":
            brackets -= 1
        elif character == opening:
            nested += 1
        elif character in delimiters and not brackets:
            if character in ")}":
                nested -= 1
            # A comma inside a nested pair belongs to the pair.
            if not nested or (character == "," and nested == 1):
                return position
    return -1
