"""Conditions on an instance in CEL, the Common Expression Language.

``Modality in ["CR", "DX"] && Manufacturer.startsWith("GE")``: names are keywords of the data dictionary and stand for
the values of the top-level elements. CEL is typed and has no side effects and no unbounded loops; the library
evaluates it natively. Of its functions these are open to rules: ``size``, ``contains``, ``startsWith``, ``endsWith``,
``matches``, ``int``, ``double``, ``string`` and the macros ``all``, ``exists``, ``exists_one``, ``filter``, ``map``;
and some are added (``gateway.profile.condition_functions``): ``present("Rows")`` tells whether an attribute is there
with a value; ``items("RequestAttributesSequence", "ScheduledProcedureStepID")`` is the list of the texts that the items
of a top-level sequence have for an attribute, ``items("A/B", "C")`` of one inside its items;
``value("(0019,xx10) ACME 1.1")`` is the text of a private element; ``same`` and ``contains_any`` compare texts whatever
their case and accents; ``age_years()`` and ``days_between(StudyDate, SeriesDate)`` count.

What the dictionary knows is asked when a condition is compiled: a comparison of a number with a text is an error.

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
from gateway.profile.condition_functions import ADDED, AGE_NEEDS, functions
from gateway.profile.condition_types import SOP_CLASS, ConditionWrong, doubts, refuse_wrong_types, with_uids
from gateway.profile.expression_language import cel
from gateway.sections.hints import CURLY
from gateway.sections.yamlfile import suggestion

#: Names that are not attributes: the configured source, the AE titles of the association, the route's name.
EXTRA_NAMES: Final = frozenset(("source", "calling_ae", "called_ae", "route"))
#: Names that stand for what follows from attributes.
DERIVED_NAMES: Final = frozenset((SOP_CLASS,))
MAXIMUM_LENGTH: Final = 4096

#: Functions and macros that a condition may use.
FUNCTIONS: Final = frozenset(
    ("size", "contains", "startsWith", "endsWith", "matches", "int", "double", "string", *ADDED)
)
MACROS: Final = ("all", "exists", "exists_one", "filter", "map")
# Operators are functions too; their names hold other characters, such as _==_ and @in.
_NAME = re.compile(r"\w+")
_STRING = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'", re.DOTALL)
_BOUND_NAME = re.compile(rf"\.\s*(?:{'|'.join(MACROS)})\s*\(\s*(\w+)\s*,")
_PRESENT = re.compile(r"\bpresent\s*\(\s*(?:\"(\w*)\"|'(\w*)')\s*\)")
_ITEMS = re.compile(r"\bitems\s*\(\s*(?:\"([\w/]*)\"|'([\w/]*)')\s*,\s*(?:\"(\w*)\"|'(\w*)')\s*\)")
_PRIVATE = re.compile(r"\b(present|value)\s*\(\s*(?:\"([^\"\\]*)\"|'([^'\\]*)')\s*\)")
_PRIVATE_NAME: Final = re.compile(r"\([0-9A-Fa-f]{3}[13579BDFbdf],xx[0-9A-Fa-f]{2}\) \S.*")
#: What is known of the file meta information of an instance as it came.
_META: Final = frozenset(
    (
        "TransferSyntaxUID", "MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "SourceApplicationEntityTitle",
        "ReceivingApplicationEntityTitle",
    )
)  # fmt: skip
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
    text
        the condition as written
    place
        where it stands
    keywords
        names that it uses, of attributes and of ``EXTRA_NAMES``; ``Sequence/Attribute`` for what ``items`` lists
    """

    __slots__ = ("_functions", "_program", "keywords", "place", "text")

    def __init__(self, text: str, place: str, program: cel.Program, keywords: frozenset[str]) -> None:
        self.text = text
        self.place = place
        self.keywords = keywords
        self._program = program
        self._functions = ADDED & frozenset(program.functions())

    @classmethod
    def compile(cls, text: str, *, place: str, error: type[GatewayError] = ProfileError) -> Condition:
        """Check and compile a condition.

        Parameters
        ----------
        text
            the condition, at most 4096 characters
        place
            where it stands, for errors
        error
            class of the errors about the condition itself, with the facts ``place`` and ``problem``

        Raises
        ------
        error
            the syntax is wrong, a name is no attribute, or a function is not open to rules
        """
        if len(text) > MAXIMUM_LENGTH:
            raise error(place=place, problem=f"the condition is longer than {MAXIMUM_LENGTH} characters")
        bound = _bound(text)
        try:
            program = cel.compile(text)
            program = cel.compile(with_uids(text, bound))
        except ConditionWrong as failed:
            raise error(place=place, problem=f"the condition is wrong: {failed}") from None
        except ValueError as failed:
            raise error(place=place, problem=_syntax_problem(text, str(failed))) from None
        present = [one or two for one, two in _PRESENT.findall(text)]
        items = [(one or two, three or four) for one, two, three, four in _ITEMS.findall(text)]
        private = [(function, one or two) for function, one, two in _PRIVATE.findall(text)]
        compared = [name for name in program.variables() if name not in bound]
        listed = (name for sequence, attribute in items for name in (*sequence.split("/"), attribute))
        for name in sorted({*present, *compared, *listed}):
            if name not in EXTRA_NAMES | DERIVED_NAMES and tag_of(name) is None:
                # A word in capital letters is hardly a misspelt keyword.
                near = (
                    f'; text stands in quotes: "{name}"'
                    if name.isupper()
                    else suggestion(name, (*EXTRA_NAMES, *DERIVED_NAMES, *dictionary_keywords()))
                )
                raise error(place=place, problem=f'the condition uses "{name}", which is no attribute{near}')
        _check_use((*compared, *present), compared, items, place, error)
        _check_private(private, place, error)
        for function in program.functions():
            if _NAME.fullmatch(function) and function not in FUNCTIONS:
                near = suggestion(function, FUNCTIONS)
                raise error(place=place, problem=f'the condition uses the unknown function "{function}"{near}')
        try:
            refuse_wrong_types(text, bound)
        except ConditionWrong as failed:
            raise error(place=place, problem=f"the condition is wrong: {failed}") from None
        names = {*present, *compared, *("/".join(pair) for pair in items)}
        names |= {name if function == "value" else f"?{name}" for function, name in private if name.startswith("(")}
        if "age_years" in program.functions():
            names |= AGE_NEEDS
        return cls(text, place, program, frozenset(names))

    @property
    def doubts(self) -> tuple[str, ...]:
        """What in it no instance can meet, by the types that the dictionary knows."""
        return doubts(self.text, _bound(self.text))

    def evaluate(self, values: Mapping[str, object]) -> bool:
        """Whether the condition holds.

        Parameters
        ----------
        values
            name -> text, list of texts, int or float; names that are missing or None read as empty text;
            ``Sequence/Attribute`` -> list of texts, which must be there if the condition lists it

        Raises
        ------
        RuleFailed
            the condition cannot be decided for these values, or its result is not true or false
        """
        context: dict[str, Any] = {}
        missing: list[str] = []
        for name in self.keywords:
            if name.isidentifier():
                value = values.get(name)
                context[name] = "" if value is None else value
        try:
            if self._functions:
                result = self._program.execute(cel.Context(context, functions(context, values, missing)))
            else:
                result = self._program.execute(context)
        except Exception as failed:  # noqa: BLE001 - whatever the library raises, the rule has failed
            raise self._failed(failed, missing) from None
        except BaseException as failed:
            # A panic of the native library arrives as an exception outside Exception.
            if type(failed).__name__ == "PanicException":
                raise self._failed(failed, missing) from None
            raise
        if not isinstance(result, bool):
            raise RuleFailed(where=self._where, reason="the condition is neither true nor false")
        return result

    @property
    def _where(self) -> str:
        return f"the condition at {self.place}"

    def _failed(self, failed: BaseException, missing: list[str]) -> RuleFailed:
        reasons = (reason for kind, reason in _REASONS if isinstance(failed, kind))
        reason = missing[0] if missing else next(reasons, "it cannot be evaluated")
        return RuleFailed(where=self._where, reason=reason)

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


def _bound(text: str) -> frozenset[str]:
    """The names that macros bind."""
    return frozenset(_BOUND_NAME.findall(_STRING.sub('""', text)))


def _check_private(used: Iterable[tuple[str, str]], place: str, error: type[GatewayError]) -> None:
    """Check how private elements are named, and that only these are."""
    for function, name in used:
        if name.startswith("(") and _PRIVATE_NAME.fullmatch(name) is None:
            problem = f'"{name}" is no private element: write it as "(0019,xx10) ACME 1.1"'
            raise error(place=place, problem=problem)
        if function == "value" and not name.startswith("("):
            problem = f'value is for private elements such as "(0019,xx10) ACME 1.1": write {name} itself'
            raise error(place=place, problem=problem)


def _check_use(
    names: Iterable[str],
    compared: Iterable[str],
    items: Iterable[tuple[str, str]],
    place: str,
    error: type[GatewayError],
) -> None:
    """Check that attributes are used in a way that their VR allows."""
    for name in sorted(names):
        tag = tag_of(name)
        if tag is not None and tag >> 16 in (0x0000, 0x0002, 0x0004) and name not in _META:
            known = ", ".join(sorted(_META))
            problem = (
                f"the condition uses {name}, which is no element of a data set; of the file meta there are {known}"
            )
            raise error(place=place, problem=problem)
    for name in sorted(compared):
        vr = _vr(name)
        if vr in _NOT_COMPARED:
            hint = f'items("{name}", "...")' if vr == "SQ" else f'present("{name}")'
            raise error(
                place=place, problem=f"the condition compares {name}, but VR {vr} has no values to compare: use {hint}"
            )
    for path, attribute in items:
        for sequence in path.split("/"):
            if _vr(sequence) != "SQ":
                problem = f"the condition lists items of {sequence}, which has VR {_vr(sequence)}"
                raise error(place=place, problem=problem)
        if _vr(attribute) in _NOT_COMPARED:
            raise error(place=place, problem=f"the condition lists {attribute}, but VR {_vr(attribute)} has no text")


def _vr(name: str) -> str:
    tag = tag_of(name)
    row = None if tag is None else entry(tag)
    return "" if row is None else row.vr


def _syntax_problem(text: str, message: str) -> str:
    match = _SYNTAX_ERROR.search(message)
    if match is None:
        return "the condition is no CEL expression"
    line, column, reason = match.groups()
    reason = reason.split(" expecting {", 1)[0]
    hint = ""
    plain = _STRING.sub('""', text)
    if any(sign in text for sign in CURLY):
        hint = "; quotes are straight: \" or '"
    elif reason.endswith("'<EOF>'"):
        reason = "it ends too early"
    elif re.search(r"[^=!<>]=[^=]", plain):
        hint = "; equality is written =="
    elif re.search(r"\b(?:and|or|not)\b", plain):
        hint = "; CEL writes && for and, || for or, ! for not"
    position = f"character {column}" if "\n" not in text.strip() else f"line {line}, character {column}"
    return f"the condition is wrong at {position}: {reason}{hint}"
