"""CTP's tests of elements as CEL conditions.

CTP compares texts: a missing element is the empty text, several values are one text with backslashes, numbers are
what is left when everything but digits is struck out, so that 1.5 is 15. The conditions here compare the same texts
where elements have text, and numbers where they have numbers. What CEL cannot say is an error, never a guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Final

from gateway.dicom.dictionary import Entry, entry, keyword_of, tag_of
from gateway.dicom.tag import is_private, show
from gateway.profile.expression_language import cel
from gateway.profile.importers.ctp.ctp_names import PrivateName, Reference

_INTEGERS: Final = frozenset(("IS", "SL", "SS", "SV", "UL", "US", "UV", "US or SS"))
_DECIMALS: Final = frozenset(("DS", "FD", "FL"))
_NOT_VALUES: Final = frozenset(("SQ", "OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW", "US or OW", "AT"))
#: One text, in which a backslash is no delimiter.
_SINGLE: Final = frozenset(("LT", "ST", "UT", "UR"))
#: Digits of a value of these VRs, which make texts comparable as numbers.
_DIGITS: Final = {"AS": 3, "DA": 8}
#: Command, file meta and directory elements.
_NO_DATA_SET: Final = frozenset((0x0000, 0x0002, 0x0004))
#: Of how many values a text across them is looked for among.
_MOST_VALUES: Final = 16
_META: Final = frozenset("\\.+*?()|[]{}^$#&-~")
_QUOTED: Final = re.compile(r"\\Q(.*?)(?:\\E|$)", re.DOTALL)


class Inexpressible(ValueError):
    """A test that conditions cannot say; the text says why."""


class Test(Enum):
    """What a test compares."""

    __test__ = False

    BLANK = auto()
    EXISTS = auto()
    EQUALS = auto()
    CONTAINS = auto()
    STARTS = auto()
    ENDS = auto()
    MATCHES = auto()
    LESS = auto()
    GREATER = auto()


def condition(reference: Reference, test: Test, text: str = "", *, ignore_case: bool = False) -> str:
    """The CEL condition of one test.

    Parameters
    ----------
    reference
        the element
    test
        what is compared
    text
        what it is compared with
    ignore_case
        whether upper and lower case are the same; for equals, contains, starts and ends

    Raises
    ------
    Inexpressible
        CEL cannot say it
    """
    if _is_unknown(reference):
        return _of_nothing(test, text, ignore_case=ignore_case)
    name, row = _row(reference)
    if test in (Test.BLANK, Test.EXISTS):
        expression = f"size({_items(reference, name)}) > 0" if reference.path else f'present("{name}")'
        return expression if test is Test.EXISTS else negated(expression)
    if row.vr in _NOT_VALUES:
        raise Inexpressible(f"{name} has VR {row.vr}, which conditions do not compare")
    if reference.path:
        compared = _compare_text("v", test, text, ignore_case=ignore_case) if text else "false"
        if not text and test is Test.EQUALS:
            return f"size({_items(reference, name)}) == 0"
        return compared if compared in ("true", "false") else f"{_items(reference, name)}.exists(v, {compared})"
    several = row.vm != "1" and row.vr not in _SINGLE
    if test in (Test.LESS, Test.GREATER):
        return _compare_number(name, row.vr, test, text, several=several)
    if several:
        return _compare_list(name, row.vr, test, text, ignore_case=ignore_case)
    if row.vr in _INTEGERS | _DECIMALS:
        return _compare_numeric_text(name, row.vr, test, text)
    return _compare_text(name, test, text, ignore_case=ignore_case)


def _is_unknown(reference: Reference) -> bool:
    """Whether no instance has the element, for the standard has none with this number."""
    element = reference.element
    return (
        isinstance(element, int)
        and not is_private(element)
        and element >> 16 not in _NO_DATA_SET
        and entry(element) is None
    )


def _of_nothing(test: Test, text: str, *, ignore_case: bool) -> str:
    """What a test says of the empty text, which CTP reads where an element is not there."""
    match test:
        case Test.BLANK:
            return "true"
        case Test.EQUALS | Test.CONTAINS | Test.STARTS | Test.ENDS:
            return "false" if text.strip() or (text and not ignore_case) else "true"
        case Test.MATCHES:
            return "true" if cel.compile(_matches('""', text)).execute({}) else "false"
        case _:
            return "false"


def differences(reference: Reference, test: Test) -> Iterator[str]:
    """What CTP does otherwise than the condition of a test, in words."""
    if _is_unknown(reference):
        yield "the standard has no such element: it is read as empty, as CTP reads it where it is not there"
    elif reference.path:
        yield "CTP looks at the first item of a sequence, the condition at all of them"
    if test in (Test.LESS, Test.GREATER):
        yield "CTP compares what is left without all but digits, so that 1.5 is 15; the condition compares numbers"
    if test is Test.EXISTS:
        yield "CTP takes an empty element for one that exists; to the condition it is missing"


def negated(text: str) -> str:
    """The condition that holds where ``text`` does not."""
    if text in ("true", "false"):
        return "false" if text == "true" else "true"
    if re.fullmatch(r'!present\("\w+"\)', text):
        return text[1:]
    if re.fullmatch(r'\w+ == "(?:\\.|[^"\\])*"', text):
        return text.replace(" == ", " != ", 1)
    if re.fullmatch(r"size\(.*\) > 0", text) and _outside(text) == "size > 0":
        return text.replace(" > 0", " == 0")
    call = r"\w+|\w+(?:\[\])?\.\w+" if "(" in text else r"(?!)"
    return f"!{text}" if re.fullmatch(call, _outside(text)) or _unwrapped(text) != text else f"!({text})"


def joined(parts: list[str], operator: str) -> str:
    """Conditions joined by ``&&`` or ``||``, simplified where one of them is constant."""
    neutral, decisive = ("true", "false") if operator == "&&" else ("false", "true")
    if decisive in parts:
        return decisive
    kept = list(dict.fromkeys(part for part in parts if part != neutral))
    if len(kept) > 1:
        kept = [bare if operator in _outside(bare := _unwrapped(part)) else part for part in kept]
    if not kept:
        return neutral
    other = "||" if operator == "&&" else "&&"
    if len(kept) == 1:
        return kept[0]
    return f" {operator} ".join(f"({part})" if other in _outside(part) else part for part in kept)


def literal(text: str) -> str:
    """``text`` as a CEL string."""
    if any(character < " " for character in text):
        raise Inexpressible("the text holds control characters")
    return json.dumps(text, ensure_ascii=False)


def java_regex(pattern: str) -> str:
    """A Java pattern whose quoted stretches, between backslash Q and backslash E, are written as escapes."""
    return _QUOTED.sub(lambda stretch: _escaped(stretch[1]), pattern)


def _row(reference: Reference) -> tuple[str, Entry]:
    element = reference.element
    if isinstance(element, PrivateName):
        raise Inexpressible(f"conditions do not read private elements: {element.group:04X}")
    if element >> 16 in _NO_DATA_SET:
        raise Inexpressible(f"{show(element)} is no element of the data set")
    if len(reference.path) > 1:
        raise Inexpressible("conditions look one sequence deep")
    row = entry(element)
    if row is None:
        raise Inexpressible(f"{show(element)} is not in the data dictionary")
    return _keyword(element), row


def _keyword(tag: int) -> str:
    keyword = keyword_of(tag)
    if tag_of(keyword) != tag:
        raise Inexpressible(f"{show(tag)} has no keyword of its own")
    return keyword


def _items(reference: Reference, name: str) -> str:
    return f'items("{_keyword(reference.path[0])}", "{name}")'


def _compare_text(value: str, test: Test, text: str, *, ignore_case: bool) -> str:
    caseless = ignore_case and text.lower() != text.upper()
    if test is Test.MATCHES:
        return _matches(value, text)
    if test in (Test.LESS, Test.GREATER):
        raise Inexpressible("conditions compare numbers at the top level only")
    if caseless:
        pattern = _escaped(text)
        before = "^" if test in (Test.EQUALS, Test.STARTS) else ""
        after = "$" if test in (Test.EQUALS, Test.ENDS) else ""
        return f"{value}.matches({literal(f'(?i){before}{pattern}{after}')})"
    if test is Test.EQUALS:
        return f"{value} == {literal(text)}"
    if not text:
        return "true"
    function = {Test.CONTAINS: "contains", Test.STARTS: "startsWith", Test.ENDS: "endsWith"}[test]
    return f"{value}.{function}({literal(text)})"


def _matches(value: str, pattern: str) -> str:
    """A match of the whole value; the pattern must be one that CEL's engine reads and Java means the same by."""
    whole = f"^(?:{java_regex(pattern)})$"
    if re.search(r"\[[^\]]*(?:\[|&&)", pattern):
        raise Inexpressible("the pattern holds a nested class")
    expression = f"{value}.matches({literal(whole)})"
    try:
        cel.compile(f'"".matches({literal(whole)})').execute({})
    except Exception:  # noqa: BLE001 - the library raises what its regular expressions make of the pattern
        raise Inexpressible("the pattern is none that conditions understand") from None
    return expression


def _compare_list(name: str, vr: str, test: Test, text: str, *, ignore_case: bool) -> str:
    if vr in _INTEGERS | _DECIMALS:
        raise Inexpressible(f"{name} is a list of numbers, which CTP compares as one text")
    if test is Test.MATCHES:
        test, text = _simple_pattern(name, text)
    if test is Test.EQUALS:
        if not text:
            return f'!present("{name}")'
        parts = text.split("\\")
        if not ignore_case:
            return f"{name} == [{', '.join(literal(part) for part in parts)}]"
        each = [_compare_text(f"{name}[{number}]", test, part, ignore_case=True) for number, part in enumerate(parts)]
        return f"({' && '.join([f'size({name}) == {len(parts)}', *each])})"
    if not text:
        return "true"
    if "\\" in text:
        return _across(name, test, text.split("\\"), ignore_case=ignore_case)
    if test is Test.CONTAINS:
        return f"{name}.exists(v, {_compare_text('v', test, text, ignore_case=ignore_case)})"
    value = f"{name}[0]" if test is Test.STARTS else f"{name}[size({name}) - 1]"
    return f"(size({name}) > 0 && {_compare_text(value, test, text, ignore_case=ignore_case)})"


def _across(name: str, test: Test, parts: list[str], *, ignore_case: bool) -> str:
    """A text that goes across several values: the first ends with its beginning, the last begins with its end."""
    last = len(parts) - 1

    def value(number: int) -> str:
        if test is Test.CONTAINS:
            return f"{name}[i + {number}]" if number else f"{name}[i]"
        return f"{name}[{number}]" if test is Test.STARTS else f"{name}[size({name}) - {last + 1 - number}]"

    tests = {0: Test.EQUALS if test is Test.STARTS else Test.ENDS, last: Test.STARTS}
    if test is Test.ENDS:
        tests[last] = Test.EQUALS
    each = [
        _compare_text(value(number), tests.get(number, Test.EQUALS), part, ignore_case=ignore_case)
        for number, part in enumerate(parts)
    ]
    compared = " && ".join(one for one in each if one != "true") or "true"
    if test is not Test.CONTAINS:
        return f"(size({name}) >= {last + 1} && {compared})"
    places = ", ".join(str(number) for number in range(_MOST_VALUES))
    return f"[{places}].exists(i, i + {last} < size({name}) && {compared})"


def _simple_pattern(name: str, pattern: str) -> tuple[Test, str]:
    """The plain test that a pattern stands for: ``.*DERIVED.*`` is contains."""
    match = re.fullmatch(r"(\.\*)?(.*?)(\.\*)?", pattern, re.DOTALL)
    assert match is not None
    text = match[2]
    if not text or _META.intersection(text) - {"-", "#", "&", "~"}:
        raise Inexpressible(f"{name} has several values, and the pattern goes across them")
    if match[1] and match[3]:
        return Test.CONTAINS, text
    return (Test.ENDS if match[1] else Test.STARTS if match[3] else Test.EQUALS), text


def _compare_numeric_text(name: str, vr: str, test: Test, text: str) -> str:
    if test is Test.EQUALS:
        if not text.strip():
            return f'!present("{name}")'
        try:
            number: int | float = int(text) if vr in _INTEGERS else float(text)
        except ValueError:
            return "false"
        return f'(present("{name}") && {name} == {number})'
    if vr in _DECIMALS:
        raise Inexpressible(f"{name} is a decimal number, whose text conditions do not see")
    return _compare_text(f"string({name})", test, text, ignore_case=False)


def _compare_number(name: str, vr: str, test: Test, text: str, *, several: bool) -> str:
    if several:
        raise Inexpressible(f"{name} has several values, which are no number")
    sign = "<" if test is Test.LESS else ">"
    if vr in _DECIMALS:
        try:
            return f'(present("{name}") && {name} {sign} {float(text)})'
        except ValueError:
            return "false"
    digits = re.sub(r"[^0-9]", "", text)
    if not digits:
        return "false"
    width = _DIGITS.get(vr)
    if width is None:
        value = name if vr in _INTEGERS else f"int({name})"
        return f'(present("{name}") && {value} {sign} {int(digits)})'
    number = int(digits)
    if test is Test.LESS:
        bound = f"{name} < {literal(f'{min(number, 10**width):0{width}d}')}"
    elif number >= 10**width - 1:
        return "false"
    else:
        bound = f"{name} >= {literal(f'{number + 1:0{width}d}')}"
    return f'(present("{name}") && {bound})'


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in _META else character for character in text)


def _outside(text: str) -> str:
    """``text`` without what stands in quotation marks, parentheses and brackets."""
    plain = re.sub(r'"(?:\\.|[^"\\])*"', "", text)
    while True:
        shorter = re.sub(r"\([^()]*\)|(?<=\[)[^\[\]]+(?=\])", "", plain)
        if shorter == plain:
            return plain
        plain = shorter


def _unwrapped(text: str) -> str:
    """``text`` without the parentheses around it, if one pair encloses all of it."""
    return text[1:-1] if text.startswith("(") and not _outside(text) else text
