"""What the dictionary knows of a condition before any instance comes: comparisons that cannot be made, or never hold.

Only what is plain to see is looked at: a name of the dictionary that stands beside a value written in the condition.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from pydicom._uid_dict import UID_dictionary

from gateway.dicom.dictionary import Entry, entry, tag_of
from gateway.sections.yamlfile import suggestion

__all__ = ["SOP_CLASS", "ConditionWrong", "doubts", "refuse_wrong_types", "sop_class_keyword", "with_uids"]

_TOKEN: Final = re.compile(
    r"""(?P<blank>\s+)
      | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
      | (?P<number>\d+\.\d+(?:[eE][-+]?\d+)?|\d+)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<sign>==|!=|<=|>=|&&|\|\||.)""",
    re.VERBOSE | re.DOTALL,
)
_INTEGERS: Final = frozenset(("IS", "SL", "SS", "SV", "UL", "US", "UV", "US or SS"))
_NUMBERS: Final = _INTEGERS | {"DS", "FD", "FL"}
_ORDERS: Final = frozenset(("<", "<=", ">", ">="))
_EQUAL: Final = frozenset(("==", "!="))
#: What may stand before and behind a comparison of one name and one value.
_BEFORE: Final = frozenset(("", "(", "&&", "||", "!", "?", ":", ",", "["))
_BEHIND: Final = frozenset(("", ")", "&&", "||", "?", ":", ",", "]"))
_TEXT_METHODS: Final = frozenset(("contains", "startsWith", "endsWith", "matches"))
_LIST_MACROS: Final = frozenset(("all", "exists", "exists_one", "filter", "map"))
#: Name of the keyword of an instance's SOP class.
SOP_CLASS: Final = "sop_class"
_UID: Final = re.compile(r"[0-9.]+")
_TRANSFER_SYNTAX: Final = "TransferSyntaxUID"
#: PS3.5 6.2.
_FORMS: Final = {
    "AS": (re.compile(r"[0-9]{3}[DWMY]"), 'an age is written as "018Y"'),
    "CS": (re.compile(r"[A-Z0-9_ ]{0,16}"), "its values are at most 16 capital letters, digits, blanks and _"),
    "DA": (re.compile(r"[0-9]{8}"), 'a date is written as "20260131"'),
    "TM": (re.compile(r"[0-9]{2}(?:[0-9]{2}(?:[0-9]{2}(?:\.[0-9]{1,6})?)?)?"), 'a time is written as "143000"'),
    "UI": (re.compile(r"[0-9.]{1,64}"), "a UID is digits and dots"),
    "SH": (re.compile(r".{0,16}", re.DOTALL), "its values have at most 16 characters"),
    "LO": (re.compile(r".{0,64}", re.DOTALL), "its values have at most 64 characters"),
}
#: Attributes with few enumerated values (PS3.3).
_ENUMERATED: Final = {
    "PatientSex": ("M", "F", "O"),
    "BurnedInAnnotation": ("YES", "NO"),
    "RecognizableVisualFeatures": ("YES", "NO"),
    "PatientIdentityRemoved": ("YES", "NO"),
    "LossyImageCompression": ("00", "01"),
    "Laterality": ("R", "L"),
}


class ConditionWrong(ValueError):
    """Two types that cannot be compared; the message says how it is written."""


class Token(NamedTuple):
    """One word of a condition.

    Attributes
    ----------
    kind
        ``text``, ``number``, ``name`` or ``sign``
    text
        as written
    start, end
        where it stands
    """

    kind: str
    text: str
    start: int
    end: int


class _Compared(NamedTuple):
    """One name beside values: ``name operator values``; ``holds`` is ``value in name``."""

    name: str
    row: Entry
    operator: str
    values: tuple[str | int | float, ...]


def tokens(condition: str) -> list[Token]:
    """The words of a condition, without the blanks between them."""
    words = (Token(str(one.lastgroup), one.group(), one.start(), one.end()) for one in _TOKEN.finditer(condition))
    return [one for one in words if one.kind != "blank"]


def literal(token: Token) -> str | int | float:
    """The value that a text or number of a condition stands for."""
    if token.kind == "number":
        return float(token.text) if "." in token.text else int(token.text)
    inner = token.text[1:-1]
    return re.sub(r"\\(.)", lambda escape: {"n": "\n", "t": "\t"}.get(escape[1], escape[1]), inner)


def sop_class_keyword(uid: str) -> str:
    """The keyword that PS3.6 has for a SOP class, such as ``CTImageStorage``; the UID itself where it has none."""
    row = UID_dictionary.get(uid)
    return row[4] if row is not None and row[4] else uid


def _uids(kind: str) -> dict[str, str]:
    return {row[4]: uid for uid, row in UID_dictionary.items() if row[1] == kind and row[4]}


def with_uids(condition: str, bound: frozenset[str]) -> str:
    """The condition with UIDs in place of keywords: ``SOPClassUID == "CTImageStorage"`` compares what the element has.

    Raises
    ------
    ConditionWrong
        a name is compared with what is neither a UID nor the keyword of one
    """
    words = tokens(condition)
    changed: list[tuple[Token, str]] = []
    for number, word in enumerate(words):
        row = _row(word, bound)
        if word.kind == "name" and (word.text == SOP_CLASS or (row is not None and row.vr == "UI")):
            changed += [(one, _as_uid(word.text, str(literal(one)))) for one in _beside(words, number)]
    for word, value in sorted(changed, key=lambda one: -one[0].start):
        condition = condition[: word.start] + json.dumps(value) + condition[word.end :]
    return condition


def _beside(words: Sequence[Token], number: int) -> list[Token]:
    """The texts that a name is compared with."""
    compared = []
    behind = words[number + 1].text if number + 1 < len(words) else ""
    if behind in _EQUAL and number + 2 < len(words):
        compared.append(words[number + 2])
    elif behind == "in" and _list(words, number + 2) is not None:
        end = next(at for at in range(number + 2, len(words)) if words[at].text == "]")
        compared += words[number + 3 : end]
    if number > 1 and words[number - 1].text in _EQUAL:
        compared.append(words[number - 2])
    return [one for one in compared if one.kind == "text" and literal(one)]


def _as_uid(name: str, written: str) -> str:
    if name == SOP_CLASS:
        known = _uids("SOP Class")
        if _UID.fullmatch(written):
            return sop_class_keyword(written)
    else:
        if _UID.fullmatch(written):
            return written
        known = _uids("Transfer Syntax") if name == _TRANSFER_SYNTAX else _uids("SOP Class")
    if written not in known:
        what = "transfer syntax" if name == _TRANSFER_SYNTAX else "SOP class"
        near = suggestion(written, known) or suggestion(f"{written}Storage", known)
        raise ConditionWrong(
            f'"{written}" is neither a UID nor the keyword of a {what} such as "CTImageStorage"{near}'
            if what == "SOP class"
            else f'"{written}" is neither a UID nor the keyword of a {what}{near}'
        )
    return written if name == SOP_CLASS else known[written]


def refuse_wrong_types(condition: str, bound: frozenset[str]) -> None:
    """Refuse comparisons that fail for every instance that has the attribute.

    Parameters
    ----------
    condition
        a condition without errors of syntax
    bound
        names that its macros bind

    Raises
    ------
    ConditionWrong
        a name is of another type than what is done with it
    """
    words = tokens(condition)
    for one in _compared(words, bound):
        if one.operator in _ORDERS:
            _check_order(one)
        elif one.operator == "holds" and one.row.vm == "1":
            value = json.dumps(one.values[0], ensure_ascii=False)
            raise ConditionWrong(f"{one.name} has one value and is no list: write {one.name} == {value}")
    for name, row, method in _methods(words, bound):
        if method in _TEXT_METHODS:
            if row.vr in _NUMBERS:
                raise ConditionWrong(f"{name} is a number: write string({name}).{method}(...)")
            if row.vm != "1":
                raise ConditionWrong(
                    f"{name} is a list, for it may have several values: write {name}.exists(v, v.{method}(...))"
                )
        elif row.vm == "1":
            raise ConditionWrong(f"{name} has one value and is no list, which {method} needs")


def doubts(condition: str, bound: frozenset[str]) -> tuple[str, ...]:
    """What is hardly meant: what no instance can meet whose values are of the types that the dictionary says.

    Parameters
    ----------
    condition, bound
        as for ``refuse_wrong_types``
    """
    words = tokens(condition)
    impossible = [text for one in _compared(words, bound) for text in _never(one)]
    return tuple(dict.fromkeys((*impossible, *_contradictions(words, bound))))


def _row(token: Token, bound: frozenset[str]) -> Entry | None:
    tag = tag_of(token.text) if token.kind == "name" and token.text not in bound else None
    return None if tag is None else entry(tag)


def _compared(words: Sequence[Token], bound: frozenset[str]) -> Iterator[_Compared]:
    """Every comparison of one name with values that are written."""
    for number, word in enumerate(words):
        if word.text in _ORDERS | _EQUAL and word.kind == "sign":
            left, before = _operand_before(words, number)
            right, behind = _operand_behind(words, number)
            if left is None or right is None or before not in _BEFORE or behind not in _BEHIND:
                continue
            (name, value), operator = (left, right), word.text
            if isinstance(value, Token):
                (name, value), operator = (right, left), _turned(operator)
            row = _row(name, bound) if isinstance(name, Token) else None
            if isinstance(name, Token) and row is not None and not isinstance(value, Token):
                yield _Compared(name.text, row, operator, (value,))
        elif word.kind == "name" and word.text == "in" and 0 < number < len(words) - 1:
            left, before = _operand_before(words, number)
            if before not in _BEFORE or left is None:
                continue
            listed = _list(words, number + 1)
            row = _row(left, bound) if isinstance(left, Token) else None
            if isinstance(left, Token) and row is not None and listed is not None:
                yield _Compared(left.text, row, "in", listed)
            right, behind = _operand_behind(words, number)
            row = _row(right, bound) if isinstance(right, Token) else None
            if not isinstance(left, Token) and isinstance(right, Token) and row is not None and behind in _BEHIND:
                yield _Compared(right.text, row, "holds", (left,))


def _operand_before(words: Sequence[Token], number: int) -> tuple[Token | str | int | float | None, str]:
    """The name or value before a sign, and what stands before that."""
    word = words[number - 1] if number else None
    if word is None or word.kind == "sign":
        return None, ""
    before = words[number - 2].text if number > 1 else ""
    return (word if word.kind == "name" else literal(word)), before


def _operand_behind(words: Sequence[Token], number: int) -> tuple[Token | str | int | float | None, str]:
    """The name or value behind a sign, and what stands behind that."""
    at, minus = number + 1, False
    if at < len(words) and words[at].text == "-":
        at, minus = at + 1, True
    word = words[at] if at < len(words) else None
    if word is None or word.kind == "sign":
        return None, ""
    behind = words[at + 1].text if at + 1 < len(words) else ""
    if word.kind == "name":
        return (None if minus else word), behind
    value = literal(word)
    return (-value if minus and not isinstance(value, str) else value), behind


def _list(words: Sequence[Token], at: int) -> tuple[str | int | float, ...] | None:
    """The values of a list that is written, None if it is anything else."""
    if at >= len(words) or words[at].text != "[":
        return None
    values: list[str | int | float] = []
    for word in words[at + 1 :]:
        if word.text == "]" and word.kind == "sign":
            return tuple(values)
        if word.kind in ("text", "number"):
            values.append(literal(word))
        elif word.text != ",":
            return None
    return None


def _methods(words: Sequence[Token], bound: frozenset[str]) -> Iterator[tuple[str, Entry, str]]:
    """Names on which a method or macro is called."""
    for number, word in enumerate(words[:-3]):
        row = _row(word, bound)
        dot, method, bracket = (one.text for one in words[number + 1 : number + 4])
        before = words[number - 1].text if number else ""
        if (
            row is not None
            and dot == "."
            and bracket == "("
            and before != "."
            and method in _TEXT_METHODS | _LIST_MACROS
        ):
            yield word.text, row, method


def _turned(operator: str) -> str:
    return {"<": ">", ">": "<", "<=": ">=", ">=": "<="}.get(operator, operator)


def _check_order(one: _Compared) -> None:
    name, row, operator, (value,) = one
    if row.vm != "1":
        raise ConditionWrong(f"{name} is a list, for it may have several values: write {name}[0] {operator} ...")
    if row.vr in _NUMBERS and isinstance(value, str):
        right = f": write {name} {operator} {value}" if re.fullmatch(r"-?\d+(\.\d+)?", value) else ""
        raise ConditionWrong(f'{name} is a number, and "{value}" is text{right}')
    if row.vr not in _NUMBERS and not isinstance(value, str):
        if row.vr == "AS":
            raise ConditionWrong(f'{name} is text such as "018Y": write age_years() {operator} {value}')
        if row.vr in ("DA", "DT", "TM"):
            raise ConditionWrong(f'{name} is text: write {name} {operator} "{value}"')
        raise ConditionWrong(f"{name} is text, and {value} is a number: write double({name}) {operator} {value}")


def _never(one: _Compared) -> Iterator[str]:
    """Why a comparison is never true, or not what it seems."""
    name, row, operator, values = one
    if operator in _ORDERS:
        # Digits alone are what an age begins with.
        if row.vr == "AS" and re.fullmatch(r"[0-9]{3}", str(values[0])) is None:
            yield f"{name} is text, and ages in days, months and years do not sort: write age_years()"
        return
    for value in values:
        shown = json.dumps(value, ensure_ascii=False)
        if row.vm != "1" and operator != "holds":
            yield f"{name} is a list, for it may have several values, and never equals {shown}: write {shown} in {name}"
        elif row.vr in _NUMBERS and isinstance(value, str):
            number = value.strip()
            right = f": write {number} without quotes" if re.fullmatch(r"-?\d+(\.\d+)?", number) else ""
            yield f"{name} is a number and never equals the text {shown}{right}"
        elif row.vr not in _NUMBERS and not isinstance(value, str):
            right = "write age_years()" if row.vr == "AS" else f'write "{value}" in quotes'
            yield f"{name} is text and never equals the number {value}: {right}"
        elif isinstance(value, str) and value:
            yield from _never_text(name, row.vr, value)


def _never_text(name: str, vr: str, value: str) -> Iterator[str]:
    form = _FORMS.get(vr)
    if value != value.strip():
        yield f'{name} never equals "{value}": blanks around a value do not count'
    elif form is not None and form[0].fullmatch(value) is None:
        near = ""
        if vr == "CS" and form[0].fullmatch(value.upper()):
            near = f'; did you mean "{value.upper()}"?'
        elif vr == "DA" and re.fullmatch(r"\d{4}[-./]\d\d[-./]\d\d", value):
            near = f'; did you mean "{re.sub(r"[-./]", "", value)}"?'
        elif vr == "AS" and re.fullmatch(r"\d{1,2}[DWMY]", value.upper()):
            near = f'; did you mean "{value.upper().rjust(4, "0")}"?'
        yield f'{name} never equals "{value}": {form[1]}{near}'
    elif name in _ENUMERATED and value not in _ENUMERATED[name]:
        yield f'{name} never equals "{value}": it is one of {", ".join(_ENUMERATED[name])}'


def _contradictions(words: Sequence[Token], bound: frozenset[str]) -> Iterator[str]:
    """What excludes each other among parts that must all hold."""
    depth = 0
    parts: list[list[Token]] = [[]]
    for word in words:
        depth += (word.kind == "sign") * ((word.text in "([{") - (word.text in ")]}"))
        if depth == 0 and word.text in ("||", "?"):
            return
        if depth == 0 and word.text == "&&":
            parts.append([])
        else:
            parts[-1].append(word)
    allowed: dict[str, set[str | int | float]] = {}
    bounds: dict[str, tuple[float, float]] = {}
    for part in parts:
        comparisons = list(_compared(part, bound))
        if (
            len(comparisons) != 1
            or comparisons[0].row.vm != "1"
            or part[0].text == "!"
            or not _is_whole(part, comparisons[0])
        ):
            continue
        name, _, operator, values = comparisons[0]
        if operator in ("==", "in"):
            allowed[name] = allowed.get(name, set(values)) & set(values)
        elif operator in _ORDERS and isinstance(values[0], int | float):
            low, high = bounds.get(name, (float("-inf"), float("inf")))
            value = float(values[0])
            bounds[name] = (max(low, value), high) if operator in (">", ">=") else (low, min(high, value))
    for name, possible in allowed.items():
        low, high = bounds.get(name, (float("-inf"), float("inf")))
        numbers = [one for one in possible if isinstance(one, int | float)]
        if not possible or (len(numbers) == len(possible) and not any(low <= one <= high for one in numbers)):
            yield f"no instance can meet all that is said of {name}"
    for name, (low, high) in bounds.items():
        if low > high:
            yield f"no instance can meet all that is said of {name}"


def _is_whole(part: Sequence[Token], one: _Compared) -> bool:
    """Whether a part is this comparison and nothing else."""
    return len(part) == (2 * len(one.values) + 3 if one.operator == "in" else 3) and part[-1].text != ","
