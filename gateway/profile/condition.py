"""Conditions on an instance in CEL, the Common Expression Language.

``Modality in ["CR", "DX"] && Manufacturer.startsWith("GE")``: names are keywords of the data dictionary and stand for
the values of the top-level elements. CEL is typed and has no side effects and no unbounded loops; the library
evaluates it natively. Of its functions these are open to rules: ``size``, ``contains``, ``startsWith``, ``endsWith``,
``matches``, ``int``, ``double``, ``string`` and the macros ``all``, ``exists``, ``exists_one``, ``filter``, ``map``;
and two are added: ``present("Rows")`` tells whether an attribute is there with a value, and
``items("RequestAttributesSequence", "ScheduledProcedureStepID")`` is the list of the texts that the items of a
top-level sequence have for an attribute.

An attribute that is missing reads as the empty string, so ``Rows > 100`` fails for an instance without Rows, which
holds the instance; ``present("Rows") && Rows > 100`` does not.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from gateway.dicom.dictionary import entry, tag_of
from gateway.dicom.dictionary import keywords as dictionary_keywords
from gateway.errors import GatewayError, ProfileError, RuleFailed
from gateway.profile.expression_language import cel
from gateway.sections.yamlfile import suggestion

#: Names that are not attributes: the configured source, the AE titles of the association, the route's name.
EXTRA_NAMES: Final = frozenset(("source", "calling_ae", "called_ae", "route"))
MAXIMUM_LENGTH: Final = 4096

#: Functions and macros that a condition may use.
FUNCTIONS: Final = frozenset(
    ("size", "contains", "startsWith", "endsWith", "matches", "int", "double", "string", "present", "items")
)
MACROS: Final = ("all", "exists", "exists_one", "filter", "map")
# Operators are functions too; their names hold other characters, such as _==_ and @in.
_NAME = re.compile(r"\w+")
_STRING = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'", re.DOTALL)
_BOUND_NAME = re.compile(rf"\.\s*(?:{'|'.join(MACROS)})\s*\(\s*(\w+)\s*,")
_PRESENT = re.compile(r"\bpresent\s*\(\s*(?:\"(\w*)\"|'(\w*)')\s*\)")
_ITEMS = re.compile(r"\bitems\s*\(\s*(?:\"(\w*)\"|'(\w*)')\s*,\s*(?:\"(\w*)\"|'(\w*)')\s*\)")
#: VRs without comparable values: such attributes can be asked for by ``present`` and ``items`` alone.
_NOT_COMPARED: Final = frozenset(
    ("SQ", "OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW", "US or SS or OW", "US or OW")
)
_SYNTAX_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): (?:Syntax error: )?(.*)")

#: What is said of an error of the library: its own words may quote values of the instance (promise P9).
_REASONS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (ZeroDivisionError, "division by zero"),
    (OverflowError, "a number is too large"),
    (IndexError, "an index lies outside its list"),
    (KeyError, "a key is not in its map"),
    (TypeError, "an operation does not suit the types of its values"),
)

# The library logs failures with the values that caused them (promise P9).
_LIBRARY_LOG: Final = logging.getLogger("cel")
_LIBRARY_LOG.addHandler(logging.NullHandler())
_LIBRARY_LOG.propagate = False


class Condition:
    """A compiled condition. It can be sent to other processes.

    Attributes
    ----------
    text: the condition as written
    place: where it stands
    keywords: names that it uses, of attributes and of ``EXTRA_NAMES``; ``Sequence/Attribute`` for what ``items`` lists
    """

    __slots__ = ("_functions", "_program", "keywords", "place", "text")

    def __init__(self, text: str, place: str, program: cel.Program, keywords: frozenset[str]) -> None:
        self.text = text
        self.place = place
        self.keywords = keywords
        self._program = program
        self._functions = frozenset(("present", "items")) & frozenset(program.functions())

    @classmethod
    def compile(cls, text: str, *, place: str, error: type[GatewayError] = ProfileError) -> Condition:
        """Check and compile a condition.

        Parameters
        ----------
        text: the condition, at most 4096 characters
        place: where it stands, for errors
        error: class of the errors about the condition itself, with the facts ``place`` and ``problem``

        Raises
        ------
        error: the syntax is wrong, a name is no attribute, or a function is not open to rules
        """
        if len(text) > MAXIMUM_LENGTH:
            raise error(place=place, problem=f"the condition is longer than {MAXIMUM_LENGTH} characters")
        try:
            program = cel.compile(text)
        except ValueError as failed:
            raise error(place=place, problem=_syntax_problem(text, str(failed))) from None
        present = [one or two for one, two in _PRESENT.findall(text)]
        items = [(one or two, three or four) for one, two, three, four in _ITEMS.findall(text)]
        bound = set(_BOUND_NAME.findall(_STRING.sub('""', text)))
        compared = [name for name in program.variables() if name not in bound]
        for name in sorted({*present, *compared, *(name for pair in items for name in pair)}):
            if name not in EXTRA_NAMES and tag_of(name) is None:
                near = suggestion(name, (*EXTRA_NAMES, *dictionary_keywords()))
                raise error(place=place, problem=f'the condition uses "{name}", which is no attribute{near}')
        _check_use(compared, items, place, error)
        for function in program.functions():
            if _NAME.fullmatch(function) and function not in FUNCTIONS:
                near = suggestion(function, FUNCTIONS)
                raise error(place=place, problem=f'the condition uses the unknown function "{function}"{near}')
        names = (*present, *compared, *("/".join(pair) for pair in items))
        return cls(text, place, program, frozenset(names))

    def evaluate(self, values: Mapping[str, object]) -> bool:
        """Whether the condition holds.

        Parameters
        ----------
        values: name -> text, list of texts, int or float; names that are missing or None read as empty text;
            ``Sequence/Attribute`` -> list of texts, which must be there if the condition lists it

        Raises
        ------
        RuleFailed: the condition cannot be decided for these values, or its result is not true or false
        """
        context: dict[str, Any] = {}
        for name in self.keywords:
            if "/" not in name:
                value = values.get(name)
                context[name] = "" if value is None else value
        try:
            if self._functions:
                functions: dict[str, Callable[..., Any]] = {
                    "present": self._presence(context),
                    "items": self._listing(values),
                }
                result = self._program.execute(cel.Context(context, functions))
            else:
                result = self._program.execute(context)
        except Exception as failed:  # noqa: BLE001 - whatever the library raises, the rule has failed
            raise self._failed(failed) from None
        except BaseException as failed:
            # A panic of the native library arrives as an exception outside Exception.
            if type(failed).__name__ == "PanicException":
                raise self._failed(failed) from None
            raise
        if not isinstance(result, bool):
            raise RuleFailed(where=self._where, reason="the condition is neither true nor false")
        return result

    @property
    def _where(self) -> str:
        return f"the condition at {self.place}"

    def _failed(self, failed: BaseException) -> RuleFailed:
        reason = next((reason for kind, reason in _REASONS if isinstance(failed, kind)), "it cannot be evaluated")
        return RuleFailed(where=self._where, reason=reason)

    @staticmethod
    def _presence(context: Mapping[str, Any]) -> Callable[[str], bool]:
        def present(name: str) -> bool:
            if name not in context:
                # A computed name is an error, never "absent"; the library logs the text of what is raised here.
                raise LookupError("the argument of present is not written in the condition")
            return context[name] not in ("", [])

        return present

    @staticmethod
    def _listing(values: Mapping[str, object]) -> Callable[[str, str], object]:
        def items(sequence: str, attribute: str) -> object:
            found = values.get(f"{sequence}/{attribute}")
            if found is None:
                # Values that nobody has gathered are an error, never "none"; the library logs the text raised here.
                raise LookupError("the arguments of items are not written in the condition")
            return found

        return items

    def __reduce__(self) -> tuple[Callable[[str, str], Condition], tuple[str, str]]:
        return _rebuild, (self.text, self.place)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Condition) and (self.text, self.place) == (other.text, other.place)

    def __hash__(self) -> int:
        return hash((self.text, self.place))

    def __repr__(self) -> str:
        return f"Condition({self.text!r}, place={self.place!r})"


def _rebuild(text: str, place: str) -> Condition:
    return Condition.compile(text, place=place)


def _check_use(
    compared: Iterable[str], items: Iterable[tuple[str, str]], place: str, error: type[GatewayError]
) -> None:
    """Check that attributes are used in a way that their VR allows."""
    for name in sorted(compared):
        vr = _vr(name)
        if vr in _NOT_COMPARED:
            hint = f'items("{name}", "...")' if vr == "SQ" else f'present("{name}")'
            raise error(
                place=place, problem=f"the condition compares {name}, but VR {vr} has no values to compare: use {hint}"
            )
    for sequence, attribute in items:
        if _vr(sequence) != "SQ":
            raise error(place=place, problem=f"the condition lists items of {sequence}, which has VR {_vr(sequence)}")
        if _vr(attribute) in _NOT_COMPARED:
            raise error(place=place, problem=f"the condition lists {attribute}, but VR {_vr(attribute)} has no text")


def _vr(name: str) -> str:
    tag = tag_of(name)
    row = None if tag is None else entry(tag)
    return "" if row is None else row.vr


def _syntax_problem(text: str, message: str) -> str:
    found = _SYNTAX_ERROR.search(message)
    if found is None:
        return "the condition is no CEL expression"
    line, column, reason = found.groups()
    reason = reason.split(" expecting {", 1)[0]
    hint = ""
    plain = _STRING.sub('""', text)
    if re.search(r"[^=!<>]=[^=]", plain):
        hint = "; equality is written =="
    elif re.search(r"\b(?:and|or|not)\b", plain):
        hint = "; CEL writes && for and, || for or, ! for not"
    position = f"character {column}" if "\n" not in text.strip() else f"line {line}, character {column}"
    return f"the condition is wrong at {position}: {reason}{hint}"
